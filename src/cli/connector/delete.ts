import type { Command } from 'commander';
import { DeleteConnectorResponse } from '../../generated/reconciler/v1/connectors.ts';
import { patiently, withCatalog } from '../context.ts';
import { connectorOf } from '../resolve.ts';

const HELP = `
The tables that it brought stay. It cannot be deleted while a job of it runs: cancel that first.

Examples:
  $ reconciler connector delete lake`;

export function addDelete(group: Command): void {
  group
    .command('delete')
    .description('Deletes a connector.')
    .argument('<connector>', 'name or id')
    .option('--etag <etag>', 'only if nobody changed it since')
    .addHelpText('after', HELP)
    .action(
      withCatalog(async ({ clients, out }, name: string, { etag }: { etag?: string }) => {
        const { connectorId, displayName } = await connectorOf(clients, name);
        const response = await clients.connectors.deleteConnector({ connectorId, etag }, patiently());
        await out.message(DeleteConnectorResponse, response, () => `deleted ${displayName}`);
      }),
    );
}
