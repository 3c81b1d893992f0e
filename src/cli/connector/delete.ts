import type { Command } from 'commander';
import { ObjectKind } from '../../generated/reconciler/internal/v1/bindings.ts';
import { DeleteConnectorResponse } from '../../generated/reconciler/v1/connectors.ts';
import { withCatalog, withDeadline } from '../catalog-session/context.ts';
import { connectorOf } from '../catalog-session/resolve.ts';
import { UsageError } from '../io/errors.ts';
import { count } from '../io/format.ts';

const HELP = `
Its jobs are cancelled and its schedule is removed first; meanwhile it is DELETING. Where that is cut off, the same command goes on. The
tables and views that it brought in stay, bound to no connector; with --contents they go too. Namespaces and catalogs stay.

Examples:
  $ reconciler connector delete lake
  $ reconciler connector delete lake --contents          # says how many tables would go
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
    .option('--contents', 'also the tables and views that it brought in')
    .option('--yes', 'with --contents: really')
    .option('--etag <etag>', 'only if nobody changed it since')
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
            `${tablesText(tables)}, those missing upstream and all views that '${displayName}' brought in would be deleted with it`,
            'add --yes if that is meant; without --contents they stay',
          );
        }
        const request = { connectorId, etag, deleteContents: contents };
        const response = await clients.connectors.deleteConnector(request, withDeadline());
        await out.message(DeleteConnectorResponse, response, ({ tablesDeleted, viewsDeleted }) => {
          const views = `${count(viewsDeleted)} view${viewsDeleted === 1n ? '' : 's'}`;
          return `deleted ${displayName}${contents ? `, ${tablesText(tablesDeleted)} and ${views}` : ''}`;
        });
      }),
    );
}

const tablesText = (tables: bigint) => `${count(tables)} table${tables === 1n ? '' : 's'}`;
