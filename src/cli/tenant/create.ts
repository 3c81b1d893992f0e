import type { Command } from 'commander';
import { Tenant } from '../../generated/reconciler/v1/tenants.ts';
import { withCatalog, withDeadline } from '../catalog-session/context.ts';
import { describeTenant } from './describe.ts';
import { addFieldOptions, type FieldOptions, withFields } from './fields.ts';

const HELP = `
Tenants share the catalog service and see nothing of each other. Afterwards,
create a token for the tenant's admin, and let workers poll its task queue.

Examples:
  $ reconciler tenant create acme --description 'ACME Corp.' --max-jobs 10
  $ reconciler token create acme-admin --role admin --tenants acme`;

export function addCreate(group: Command): void {
  addFieldOptions(
    group
      .command('create')
      .description('Creates a tenant.')
      .argument('<id>', 'a name of 1 to 63 lower-case letters, digits and hyphens, beginning with a letter'),
  )
    .addHelpText('after', HELP)
    .action(
      withCatalog(async ({ clients, out }, tenantId: string, options: FieldOptions) => {
        const tenant = withFields({ tenantId }, options);
        await out.message(Tenant, await clients.tenants.createTenant({ tenant }, withDeadline()), describeTenant);
      }),
    );
}
