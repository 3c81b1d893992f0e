import type { Command } from 'commander';
import { DeleteConnectorResponse, type DeletedNamespace } from '../../generated/reconciler/v1/connectors.ts';
import { formatName } from '../../names.ts';
import { withCatalog, withDeadline } from '../catalog-session/context.ts';
import { connectorOf } from '../catalog-session/resolve.ts';
import { UsageError } from '../io/errors.ts';
import { count, printable } from '../io/format.ts';

/** Namespaces that are shown before a deletion. */
const MAX_NAMESPACES = 10;

const HELP = `
Before that, its jobs are cancelled and its schedule is removed; meanwhile its
state is DELETING. If the deletion is interrupted, run the same command again.
The tables and views that it ingested stay without a connector; --contents
deletes them too. Namespaces and catalogs stay, and so do the records of its
jobs: \`reconciler job list --connector lake\` still lists them.

Examples:
  $ reconciler connector delete lake
  $ reconciler connector delete lake --contents   # shows what it would delete
  $ reconciler connector delete lake --contents --yes`;

interface DeleteOptions {
  contents?: boolean;
  yes?: boolean;
  etag?: string;
}

export function addDelete(group: Command): void {
  group
    .command('delete')
    .description('Deletes a connector.')
    .argument('<connector>', 'name or id')
    .option('--contents', 'also delete the tables and views that it ingested')
    .option('--yes', 'confirm --contents')
    .option('--etag <etag>', 'fail if the connector has changed since this version')
    .addHelpText('after', HELP)
    .action(
      withCatalog(async ({ clients, out }, name: string, { contents, yes, etag }: DeleteOptions) => {
        const { connectorId, displayName } = await connectorOf(clients, name);
        const request = { connectorId, etag, deleteContents: contents };
        if (contents && !yes) {
          const preview = await clients.connectors.deleteConnector({ ...request, validateOnly: true }, withDeadline());
          throw new UsageError(
            [`this would delete '${displayName}' and ${contentsText(preview)}`, ...namespaceLines(preview)].join('\n'),
            'add --yes to delete all of it; without --contents, tables and views stay',
          );
        }
        const response = await clients.connectors.deleteConnector(request, withDeadline());
        await out.message(DeleteConnectorResponse, response, (deleted) =>
          contents ? `deleted ${displayName} and ${contentsText(deleted)}` : `deleted ${displayName}`,
        );
      }),
    );
}

function contentsText({ tablesDeleted, viewsDeleted, snapshotsDeleted }: DeleteConnectorResponse): string {
  const tables = `${counted(tablesDeleted, 'table')} with ${counted(snapshotsDeleted, 'snapshot')}`;
  return `${tables}, and ${counted(viewsDeleted, 'view')}`;
}

/** One line per namespace: `  main.sales  7 tables (items, orders, …), 1 view (totals)`. */
function namespaceLines({ namespaces, namespaceCount }: DeleteConnectorResponse): string[] {
  const shown = namespaces.slice(0, MAX_NAMESPACES);
  const names = shown.map(({ catalogName, path }) => printable(formatName([catalogName, ...path])));
  const width = Math.max(0, ...names.map((name) => name.length));
  const lines = shown.map((namespace, n) => `  ${names[n]?.padEnd(width)}  ${objectsText(namespace)}`);
  const more = namespaceCount - BigInt(shown.length);
  return more > 0n ? [...lines, `  … and ${counted(more, 'namespace')} more`] : lines;
}

function objectsText({ tables, views, firstTables, firstViews }: DeletedNamespace): string {
  return [objects(tables, 'table', firstTables), objects(views, 'view', firstViews)].filter(Boolean).join(', ');
}

function objects(total: bigint, noun: string, first: string[]): string {
  if (total === 0n) return '';
  const names = first.map((name) => printable(formatName([name])));
  if (total > BigInt(first.length)) names.push('…');
  return `${counted(total, noun)} (${names.join(', ')})`;
}

const counted = (n: bigint, noun: string) => `${count(n)} ${noun}${n === 1n ? '' : 's'}`;
