import type { Command } from 'commander';
import { View } from '../../generated/reconciler/v1/views.ts';
import { withCatalog } from '../catalog-session/context.ts';
import { namespaceIdOf } from '../catalog-session/resolve.ts';
import { upstreamStatus, upstreamTone } from '../catalog-session/upstream-status.ts';
import { time } from '../io/format.ts';
import { limitOption } from '../io/options.ts';
import { pagesOf } from '../io/paging.ts';

const HELP = `
Examples:
  $ reconciler view list main.sales
  $ reconciler view list main.sales --json \\
      | jq -r '.representations[] | select(.dialect == "trino") | .sql'`;

export function addList(group: Command): void {
  group
    .command('list')
    .description('Lists the views of a namespace.')
    .argument('<namespace>', 'catalog.namespace')
    .addOption(limitOption())
    .addHelpText('after', HELP)
    .action(
      withCatalog(async ({ clients, out }, namespace: string, { limit }: { limit?: number }) => {
        const namespaceId = await namespaceIdOf(clients, namespace);
        const pages = pagesOf(async (page, call) => {
          const { views, nextPageToken } = await clients.views.listViews({ ...page, namespaceId }, call);
          return { items: views, nextPageToken };
        }, limit);
        await out.list(
          View,
          pages,
          [
            { title: 'VIEW', value: (v) => v.name, min: 20 },
            { title: 'VERSION', value: (v) => String(v.versionId), weight: 8, align: 'right' },
            {
              title: 'DIALECTS',
              value: (v) => v.representations.map(({ dialect }) => dialect).join(', '),
              weight: 7,
              min: 8,
            },
            { title: 'UPDATED', value: (v) => time(v.updatedAt), weight: 6 },
            {
              title: 'UPSTREAM',
              value: (v) => upstreamStatus(v.upstream),
              weight: 9,
              tone: (v) => upstreamTone(v.upstream),
            },
            {
              title: 'COLUMNS',
              value: (v) => (v.schema?.columns ?? []).map(({ name }) => name).join(', '),
              weight: 4,
              min: 24,
            },
          ],
          { empty: 'no views' },
        );
      }),
    );
}
