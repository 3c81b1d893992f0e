import type { Command } from 'commander';
import { Namespace } from '../../generated/reconciler/v1/namespaces.ts';
import { formatName } from '../../names.ts';
import { withCatalog } from '../catalog-session/context.ts';
import { catalogIdOf } from '../catalog-session/resolve.ts';
import { time } from '../io/format.ts';
import { limitOption } from '../io/options.ts';
import { pagesOf } from '../io/paging.ts';

const HELP = `
Examples:
  $ reconciler namespace list main
  $ reconciler namespace list main.sales`;

export function addList(group: Command): void {
  group
    .command('list')
    .description('Lists all namespaces of a catalog, or those below one namespace.')
    .argument('<name>', 'catalog, or catalog.namespace')
    .addOption(limitOption())
    .addHelpText('after', HELP)
    .action(
      withCatalog(async ({ clients, out }, name: string, { limit }: { limit?: number }) => {
        const { catalogId, path } = await catalogIdOf(clients, name);
        const pages = pagesOf(async (page, call) => {
          const request = { ...page, catalogId, parentPath: path };
          const { namespaces, nextPageToken } = await clients.namespaces.listNamespaces(request, call);
          return { items: namespaces, nextPageToken };
        }, limit);
        await out.list(
          Namespace,
          pages,
          [
            { title: 'NAMESPACE', value: (n) => formatName(n.path), min: 20 },
            { title: 'CREATED', value: (n) => time(n.createdAt), weight: 2 },
            { title: 'DESCRIPTION', value: (n) => n.description, weight: 1, min: 20 },
          ],
          { empty: 'no namespaces' },
        );
      }),
    );
}
