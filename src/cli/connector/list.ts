import type { Command } from 'commander';
import { Connector } from '../../generated/reconciler/v1/connectors.ts';
import { withCatalog } from '../catalog-session/context.ts';
import { NONE } from '../io/format.ts';
import { limitOption } from '../io/options.ts';
import { pagesOf } from '../io/paging.ts';
import { destinationText, kindWord, sourceText, stateTone, stateWord } from './describe.ts';

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
            { title: 'NAME', value: (c) => c.displayName, min: 20 },
            { title: 'KIND', value: kindWord, weight: 8 },
            { title: 'STATE', value: stateWord, tone: stateTone },
            { title: 'SOURCE', value: sourceText, weight: 5, min: 12 },
            { title: 'DESTINATION', value: destinationText, weight: 7, min: 12 },
            { title: 'URI', value: (c) => c.uri, weight: 6, min: 24 },
            { title: 'RUNNING JOB', value: (c) => c.runningJobId || NONE, weight: 4 },
          ],
          { empty: 'no connectors yet; create one with `reconciler connector create --help`' },
        );
      }),
    );
}
