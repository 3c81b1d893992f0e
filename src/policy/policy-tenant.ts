import { DEFAULT_TENANT } from '../contract/tenant.ts';

let tenantOf = (): string => DEFAULT_TENANT;

/** Says how this process knows for which tenant it is working. */
export function usePolicyTenant(tenant: () => string): void {
  tenantOf = tenant;
}

/** The tenant for which this process is working. */
export function policyTenant(): string {
  return tenantOf();
}
