import type { Command } from 'commander';
import { Catalog } from '../../generated/reconciler/v1/catalogs.ts';
import { formatName } from '../../names.ts';
import { withCatalog } from '../catalog-session/context.ts';
import { time } from '../io/format.ts';
import { limitOption } from '../io/options.ts';
import { pagesOf } from '../io/paging.ts';

const HELP = `
Here, --address is the catalog service to call.

Examples:
  $ reconciler catalog list
  $ reconciler catalog list --json | jq -r .displayName`;

export function addList(group: Command): void {
  group
    .command('list')
    .summary('list the catalogs that the service holds')
    .description('Lists the catalogs that the service holds, sorted by name.')
    .addOption(limitOption())
    .addHelpText('after', HELP)
    .action(
      withCatalog(async ({ clients, out }, { limit }: { limit?: number }) => {
        const pages = pagesOf(async (page, call) => {
          const { catalogs, nextPageToken } = await clients.catalogs.listCatalogs(page, call);
          return { items: catalogs, nextPageToken };
        }, limit);
        await out.list(
          Catalog,
          pages,
          [
            // As it is typed in names: quoted if necessary.
            { title: 'CATALOG', value: (c) => formatName([c.displayName]), min: 20 },
            { title: 'CREATED', value: (c) => time(c.createdAt), weight: 2 },
            { title: 'DESCRIPTION', value: (c) => c.description, weight: 1, min: 20 },
          ],
          { empty: 'no catalogs yet; the first job of a connector creates its destination' },
        );
      }),
    );
}
