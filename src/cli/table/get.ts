import type { Command } from 'commander';
import { type SnapshotRef, Table } from '../../generated/reconciler/v1/tables.ts';
import { formatName } from '../../names.ts';
import { plural } from '../../text.ts';
import { withCatalog, withDeadline } from '../catalog-session/context.ts';
import { tableIdOf } from '../catalog-session/resolve.ts';
import { details } from '../io/details.ts';
import { NONE, printable, time, word } from '../io/format.ts';
import { formatText } from './list.ts';

const HELP = `
Examples:
  $ reconciler table get main.sales.orders
  $ reconciler table get main.sales.orders --json | jq -r .schema.json`;

export function addGet(group: Command): void {
  group
    .command('get')
    .description('Shows one table: its schema, partitioning, branches and tags, and its upstream.')
    .argument('<table>', 'catalog.namespace.table')
    .addHelpText('after', HELP)
    .action(
      withCatalog(async ({ clients, out }, name: string) => {
        const tableId = await tableIdOf(clients, name);
        await out.message(Table, await clients.tables.getTable({ tableId }, withDeadline()), describeTable);
      }),
    );
}

function describeTable(table: Table): string[] {
  const { upstream } = table;
  return [
    ...details([
      ['table', formatName([...table.namespacePath, table.name])],
      ['id', table.tableId],
      ['description', table.description],
      ['format', formatText(table)],
      ['location', table.location],
      ['metadata', table.metadataLocation],
      ['snapshot', table.currentSnapshotId?.toString() ?? NONE],
      ['unreadable', table.unreadableSnapshots > 0 ? unreadableText(table) : undefined],
      ['refs', table.refs.map(refText).join(', ')],
      ['partitioning', partitioning(table)],
      ['upstream', upstream && formatName([...upstream.namespacePath, upstream.tableName])],
      ['fetched', upstream?.fetchedAt && time(upstream.fetchedAt)],
      ['ingested', upstream?.coverage],
      ['missing since', upstream?.missingSince && time(upstream.missingSince)],
      ['created', time(table.createdAt)],
      ['updated', time(table.updatedAt)],
    ]),
    '',
    'columns',
    ...(table.schema?.columns ?? []).map(
      (column) =>
        `  ${String(column.columnId).padStart(4)}  ${printable(column.name)}  ${column.type}${column.required ? ' not null' : ''}`,
    ),
  ];
}

const unreadableText = ({ unreadableSnapshots: count }: Table) =>
  `${plural(count, 'snapshot')}: reconciler snapshot list --json has the reasons`;

const refText = (ref: SnapshotRef) => `${ref.name} (${word(ref.type, 'SNAPSHOT_REF_TYPE_')}) ${ref.snapshotId}`;

/** Fields of the default spec; their names already contain the transform, such as `ordered_at_day`. */
function partitioning({ partitionSpecs, defaultSpecId }: Table): string {
  const fields = partitionSpecs.find(({ specId }) => specId === defaultSpecId)?.fields ?? [];
  return fields.map(({ name, transform }) => `${name} (${transform})`).join(', ') || 'none';
}
