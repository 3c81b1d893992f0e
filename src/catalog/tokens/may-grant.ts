import { ALL_TENANTS } from '../../contract/tenant.ts';
import { CodedError } from '../../errors.ts';
import { isMember, type Principal, type Role } from '../identity/principal.ts';

const DAY_MS = 24 * 3_600_000;
const DEFAULT_LIFE_MS = 90 * DAY_MS;

/** What a new token may do, and where. */
export interface Grant {
  roles: readonly Role[];
  /** Ids, or `*` alone. */
  tenants: readonly string[];
}

/**
 * Checks that the caller may give these roles: an admin gives the roles of a tenant in its own tenants, the platform role gives any.
 *
 * @returns how long the token is valid unless the request says otherwise, in milliseconds. With the platform role alone one gets at the data
 *   of a tenant only by such a token, so it ends within a day.
 * @throws CodedError PERMISSION_DENIED
 */
export function checkGrant(caller: Principal, { roles, tenants }: Grant): number {
  const isOfTenant = !roles.includes('platform');
  if (caller.roles.includes('admin') && isOfTenant && tenants.every((tenant) => isWithin(caller, tenant))) {
    return DEFAULT_LIFE_MS;
  }
  if (caller.roles.includes('platform')) return roles.every((role) => role === 'platform') ? DEFAULT_LIFE_MS : DAY_MS;
  const beyond = isOfTenant
    ? `the tenants ${tenants.join(', ')}: it is an admin of ${caller.tenants.join(', ')}`
    : 'the role platform, which only the platform role gives';
  throw new CodedError('PERMISSION_DENIED', `'${caller.subject}' may not create a token with ${beyond}`);
}

/** Whether the caller may revoke the token: an admin may if it belongs to tenants of the admin only, and the platform role may always. */
export function mayRevoke(caller: Principal, { roles, tenants }: Grant): boolean {
  if (caller.roles.includes('platform')) return true;
  return !roles.includes('platform') && tenants.every((tenant) => isWithin(caller, tenant));
}

/** Whether a tenant, or all of them, are the caller's. */
function isWithin(caller: Principal, tenant: string): boolean {
  return tenant === ALL_TENANTS ? caller.tenants.includes(ALL_TENANTS) : isMember(caller, tenant);
}
