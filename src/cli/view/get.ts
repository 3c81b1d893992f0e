import type { Command } from 'commander';
import { View } from '../../generated/reconciler/v1/views.ts';
import { formatName } from '../../names.ts';
import { withCatalog, withDeadline } from '../catalog-session/context.ts';
import { viewIdOf } from '../catalog-session/resolve.ts';
import { details } from '../io/details.ts';
import { printable, time } from '../io/format.ts';

const HELP = `
Examples:
  $ reconciler view get main.sales.large_orders
  $ reconciler view get main.sales.large_orders --json \\
      | jq -r '.representations[0].sql'`;

export function addGet(group: Command): void {
  group
    .command('get')
    .description('Shows one view: its SQL in every dialect, its columns, and its upstream.')
    .argument('<view>', 'catalog.namespace.view')
    .addHelpText('after', HELP)
    .action(
      withCatalog(async ({ clients, out }, name: string) => {
        const viewId = await viewIdOf(clients, name);
        await out.message(View, await clients.views.getView({ viewId }, withDeadline()), describeView);
      }),
    );
}

function describeView(view: View): string[] {
  const { upstream, properties } = view;
  return [
    ...details([
      ['view', formatName([...view.namespacePath, view.name])],
      ['id', view.viewId],
      ['description', view.description],
      ['version', String(view.versionId)],
      ['default catalog', view.defaultCatalog],
      ['default namespace', formatName(view.defaultNamespace)],
      [
        'properties',
        Object.entries(properties)
          .map(([key, value]) => `${key}=${value}`)
          .join(', '),
      ],
      ['upstream', upstream && formatName([...upstream.namespacePath, upstream.tableName])],
      ['fetched', upstream?.fetchedAt && time(upstream.fetchedAt)],
      ['missing since', upstream?.missingSince && time(upstream.missingSince)],
      ['created', time(view.createdAt)],
      ['updated', time(view.updatedAt)],
    ]),
    '',
    'columns',
    ...(view.schema?.columns ?? []).map(
      (column) => `  ${String(column.columnId).padStart(4)}  ${printable(column.name)}  ${column.type}`,
    ),
    ...view.representations.flatMap(({ dialect, sql }) => ['', `SQL (${printable(dialect)})`, ...indented(sql)]),
  ];
}

/** Keeps the line breaks, which `printable` would remove. */
function indented(sql: string): string[] {
  return sql
    .trim()
    .split(/\r?\n/)
    .map((line) => `  ${printable(line.replaceAll('\t', '    '))}`.trimEnd());
}
