import type { CatalogClients } from '../../catalog-client/connect.ts';
import type { Tenant } from '../../generated/reconciler/v1/tenants.ts';
import { withDeadline } from '../catalog-session/context.ts';
import { SEARCHED, suggesting } from '../catalog-session/suggesting.ts';

/** The tenant with this id; the error for one that does not exist suggests similar ones. */
export function tenantOf(clients: CatalogClients, tenantId: string): Promise<Tenant> {
  return suggesting(clients.tenants.getTenant({ tenantId }, withDeadline()), tenantId, async () => {
    const { tenants } = await clients.tenants.listTenants({ pageSize: SEARCHED }, withDeadline());
    return { names: tenants.map((tenant) => tenant.tenantId), list: 'tenant list' };
  });
}
