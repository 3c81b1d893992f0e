import type { Command } from 'commander';
import { Connector } from '../../generated/reconciler/v1/connectors.ts';
import { withCatalog } from '../catalog-session/context.ts';
import { NONE } from '../io/format.ts';
import { limitOption } from '../io/options.ts';
import { pagesOf } from '../io/paging.ts';
import { destinationText, kindWord, sourceText, stateWord } from './describe.ts';

const HELP = `
Examples:
  $ reconciler connector list
  $ reconciler connector list --json | jq -r .displayName`;

export function addList(group: Command): void {
  group
    .command('list')
    .description('Lists connectors, sorted by name.')
    .addOption(limitOption())
    .addHelpText('after', HELP)
    .action(
      withCatalog(async ({ clients, out }, { limit }: { limit?: number }) => {
        const pages = pagesOf(async (page, call) => {
          const { connectors, nextPageToken } = await clients.connectors.listConnectors(page, call);
          return { items: connectors, nextPageToken };
        }, limit);
        await out.list(
          Connector,
          pages,
          [
            { title: 'NAME', value: (c) => c.displayName },
            { title: 'KIND', value: kindWord },
            { title: 'STATE', value: stateWord },
            { title: 'SOURCE', value: sourceText, flexible: true },
            { title: 'DESTINATION', value: destinationText, flexible: true },
            { title: 'URI', value: (c) => c.uri, flexible: true },
            { title: 'RUNNING JOB', value: (c) => c.runningJobId || NONE, flexible: true },
          ],
          { empty: 'no connectors yet; create one with `reconciler connector create --help`' },
        );
      }),
    );
}
