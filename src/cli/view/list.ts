import type { Command } from 'commander';
import { View } from '../../generated/reconciler/v1/views.ts';
import { withCatalog } from '../catalog-session/context.ts';
import { namespaceIdOf } from '../catalog-session/resolve.ts';
import { upstreamStatus } from '../catalog-session/upstream-status.ts';
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
            { title: 'VIEW', value: (v) => v.name },
            { title: 'VERSION', value: (v) => String(v.versionId), align: 'right' },
            { title: 'DIALECTS', value: (v) => v.representations.map(({ dialect }) => dialect).join(', ') },
            { title: 'UPDATED', value: (v) => time(v.updatedAt) },
            { title: 'UPSTREAM', value: (v) => upstreamStatus(v.upstream) },
            {
              title: 'COLUMNS',
              value: (v) => (v.schema?.columns ?? []).map(({ name }) => name).join(', '),
              flexible: true,
            },
          ],
          { empty: 'no views' },
        );
      }),
    );
}
