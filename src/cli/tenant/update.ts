import type { Command } from 'commander';
import { Tenant } from '../../generated/reconciler/v1/tenants.ts';
import { withCatalog, withDeadline } from '../catalog-session/context.ts';
import { UsageError } from '../io/errors.ts';
import { describeTenant } from './describe.ts';
import { addFieldOptions, type FieldOptions, withFields } from './fields.ts';
import { tenantOf } from './find.ts';

const HELP = `
Only the fields that options name are changed.

Examples:
  $ reconciler tenant update acme --max-jobs 20 --max-connectors 5000
  $ reconciler tenant update acme --task-queue acme`;

export function addUpdate(group: Command): void {
  addFieldOptions(group.command('update').description('Changes a tenant.').argument('<tenant>', 'id of the tenant'))
    .option('--etag <etag>', 'fail if the tenant has changed since this version')
    .addHelpText('after', HELP)
    .action(
      withCatalog(
        async ({ clients, out }, tenantId: string, { etag, ...options }: FieldOptions & { etag?: string }) => {
          if (Object.keys(options).length === 0)
            throw new UsageError('there is nothing to change', 'name at least one field, such as --max-jobs 20');
          const current = await tenantOf(clients, tenantId);
          const tenant = withFields({ ...current, etag: etag ?? current.etag }, options);
          await out.message(Tenant, await clients.tenants.updateTenant({ tenant }, withDeadline()), describeTenant);
        },
      ),
    );
}
