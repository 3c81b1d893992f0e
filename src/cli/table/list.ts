import type { Command } from 'commander';
import { Table } from '../../generated/reconciler/v1/tables.ts';
import { withCatalog } from '../catalog-session/context.ts';
import { namespaceIdOf } from '../catalog-session/resolve.ts';
import { upstreamStatus, upstreamTone } from '../catalog-session/upstream-status.ts';
import { NONE, time, word } from '../io/format.ts';
import { limitOption } from '../io/options.ts';
import { pagesOf } from '../io/paging.ts';

const HELP = `
Examples:
  $ reconciler table list main.sales
  $ reconciler table list 'main."my ns"' --json | jq -r .name`;

export function addList(group: Command): void {
  group
    .command('list')
    .description('Lists the tables of a namespace.')
    .argument('<namespace>', 'catalog.namespace')
    .addOption(limitOption())
    .addHelpText('after', HELP)
    .action(
      withCatalog(async ({ clients, out }, namespace: string, { limit }: { limit?: number }) => {
        const namespaceId = await namespaceIdOf(clients, namespace);
        const pages = pagesOf(async (page, call) => {
          const { tables, nextPageToken } = await clients.tables.listTables({ ...page, namespaceId }, call);
          return { items: tables, nextPageToken };
        }, limit);
        await out.list(
          Table,
          pages,
          [
            { title: 'TABLE', value: (t) => t.name, min: 20 },
            { title: 'FORMAT', value: formatText, weight: 8 },
            {
              title: 'CURRENT SNAPSHOT',
              value: (t) => t.currentSnapshotId?.toString() ?? NONE,
              weight: 7,
              align: 'right',
            },
            { title: 'UPDATED', value: (t) => time(t.updatedAt), weight: 6 },
            {
              title: 'UPSTREAM',
              value: (t) => upstreamStatus(t.upstream),
              weight: 9,
              tone: (t) => upstreamTone(t.upstream),
            },
            { title: 'LOCATION', value: (t) => t.location, weight: 4, min: 24 },
          ],
          { empty: 'no tables' },
        );
      }),
    );
}

/** `iceberg v2` */
export function formatText(table: Table): string {
  const format = word(table.format, 'TABLE_FORMAT_');
  return table.formatVersion > 0 ? `${format} v${table.formatVersion}` : format;
}
