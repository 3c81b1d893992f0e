import type { Command } from 'commander';
import { Tenant } from '../../generated/reconciler/v1/tenants.ts';
import { withCatalog } from '../catalog-session/context.ts';
import { time } from '../io/format.ts';
import { limitOption } from '../io/options.ts';
import { pagesOf } from '../io/paging.ts';
import type { Column } from '../io/table-printer.ts';
import { namespaceText, queueText } from './describe.ts';

const HELP = `
Examples:
  $ reconciler tenant list
  $ reconciler tenant list --json | jq -r .tenantId`;

const COLUMNS: Column<Tenant>[] = [
  { title: 'TENANT', value: (t) => t.tenantId },
  { title: 'NAMESPACE', value: namespaceText, min: 8 },
  { title: 'TASK QUEUE', value: queueText, min: 8 },
  { title: 'CREATED', value: (t) => time(t.createdAt), weight: 4 },
  { title: 'DESCRIPTION', value: (t) => t.description, weight: 6, min: 16 },
];

export function addList(group: Command): void {
  group
    .command('list')
    .description('Lists tenants, sorted by id.')
    .addOption(limitOption())
    .addHelpText('after', HELP)
    .action(
      withCatalog(async ({ clients, out }, { limit }: { limit?: number }) => {
        const pages = pagesOf(async (page, call) => {
          const { tenants, nextPageToken } = await clients.tenants.listTenants(page, call);
          return { items: tenants, nextPageToken };
        }, limit);
        await out.list(Tenant, pages, COLUMNS);
      }),
    );
}
