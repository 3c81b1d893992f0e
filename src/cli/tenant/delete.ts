import type { Command } from 'commander';
import { DeleteTenantResponse } from '../../generated/reconciler/v1/tenants.ts';
import { withCatalog, withDeadline } from '../catalog-session/context.ts';
import { UsageError } from '../io/errors.ts';
import { tenantOf } from './find.ts';

const HELP = `
Its tokens are deleted with it. A tenant that still has connectors or catalogs
cannot be deleted, and neither can the tenant \`default\`.

Examples:
  $ reconciler tenant delete acme --yes`;

interface DeleteOptions {
  yes?: boolean;
  etag?: string;
}

export function addDelete(group: Command): void {
  group
    .command('delete')
    .description('Deletes a tenant with its tokens.')
    .argument('<tenant>', 'id of the tenant')
    .option('--yes', 'confirm it')
    .option('--etag <etag>', 'fail if the tenant has changed since this version')
    .addHelpText('after', HELP)
    .action(
      withCatalog(async ({ clients, out }, text: string, { yes, etag }: DeleteOptions) => {
        const { tenantId } = await tenantOf(clients, text);
        if (!yes)
          throw new UsageError(`this would delete the tenant '${tenantId}' with its tokens`, 'add --yes to delete it');
        const deleted = await clients.tenants.deleteTenant({ tenantId, etag: etag ?? '' }, withDeadline());
        await out.message(DeleteTenantResponse, deleted, () => `deleted ${tenantId}`);
      }),
    );
}
