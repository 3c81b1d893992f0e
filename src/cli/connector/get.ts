import type { Command } from 'commander';
import { Connector } from '../../generated/reconciler/v1/connectors.ts';
import { withCatalog } from '../context.ts';
import { connectorOf } from '../resolve.ts';
import { describeConnector } from './describe.ts';

const HELP = `
Examples:
  $ reconciler connector get lake
  $ reconciler connector get lake --json | jq .destination`;

export function addGet(group: Command): void {
  group
    .command('get')
    .description('Shows one connector.')
    .argument('<connector>', 'name or id')
    .addHelpText('after', HELP)
    .action(
      withCatalog(async ({ clients, out }, connector: string) => {
        await out.message(Connector, await connectorOf(clients, connector), describeConnector);
      }),
    );
}
