import type { Command } from 'commander';
import { ObjectKind } from '../../generated/reconciler/internal/v1/bindings.ts';
import { DeleteConnectorResponse } from '../../generated/reconciler/v1/connectors.ts';
import { withCatalog, withDeadline } from '../catalog-session/context.ts';
import { connectorOf } from '../catalog-session/resolve.ts';
import { UsageError } from '../io/errors.ts';
import { count } from '../io/format.ts';

const HELP = `
Before that, its jobs are cancelled and its schedule is removed; meanwhile its
state is DELETING. If the deletion is interrupted, run the same command again.
The tables and views that it ingested stay without a connector; --contents
deletes them too. Namespaces and catalogs stay.

Examples:
  $ reconciler connector delete lake
  $ reconciler connector delete lake --contents   # reports how many tables
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
        if (contents && !yes) {
          const { count: tables } = await clients.bindings.countBindings(
            { connectorId, kind: ObjectKind.OBJECT_KIND_TABLE },
            withDeadline(),
          );
          throw new UsageError(
            `this would also delete what '${displayName}' ingested: ${counted(tables, 'table')}, those missing upstream, and all views`,
            'add --yes to confirm; without --contents they stay',
          );
        }
        const request = { connectorId, etag, deleteContents: contents };
        const response = await clients.connectors.deleteConnector(request, withDeadline());
        await out.message(DeleteConnectorResponse, response, ({ tablesDeleted, viewsDeleted }) => {
          const deleted = `, ${counted(tablesDeleted, 'table')} and ${counted(viewsDeleted, 'view')}`;
          return `deleted ${displayName}${contents ? deleted : ''}`;
        });
      }),
    );
}

const counted = (n: bigint, noun: string) => `${count(n)} ${noun}${n === 1n ? '' : 's'}`;
