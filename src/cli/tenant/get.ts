import type { Command } from 'commander';
import { Tenant } from '../../generated/reconciler/v1/tenants.ts';
import { withCatalog } from '../catalog-session/context.ts';
import { describeTenant } from './describe.ts';
import { tenantOf } from './find.ts';

const HELP = `
Examples:
  $ reconciler tenant get acme
  $ reconciler tenant get acme --json | jq .limits`;

export function addGet(group: Command): void {
  group
    .command('get')
    .description('Shows one tenant with its limits.')
    .argument('<tenant>', 'id of the tenant')
    .addHelpText('after', HELP)
    .action(
      withCatalog(async ({ clients, out }, tenantId: string) => {
        await out.message(Tenant, await tenantOf(clients, tenantId), describeTenant);
      }),
    );
}
