import { ALL_TENANTS, DEFAULT_TENANT } from '../../contract/tenant.ts';

export const ROLES = ['reader', 'operator', 'admin', 'worker', 'platform'] as const;

/** What a caller may do; see the enum Role of tokens.proto. */
export type Role = (typeof ROLES)[number];

/** Who is calling. */
export interface Principal {
  /** Whom a token is for, or the `sub` of a JWT. */
  subject: string;
  /** `reconciler` for API tokens; otherwise the issuer of a JWT. */
  issuer: string;
  /** The tenants in which the roles apply, or `*` alone. */
  tenants: readonly string[];
  roles: readonly Role[];
  /** The id of the API token. */
  tokenId?: string;
  /** Milliseconds since 1970. */
  expiresAt?: number;
}

/** Every caller of a catalog service that does not authenticate. */
export const ANYONE: Principal = {
  subject: 'anyone',
  issuer: '',
  tenants: [ALL_TENANTS],
  roles: ['admin', 'worker', 'platform'],
};

/** Whether the catalog does not know who is calling, since it does not authenticate. */
export function isAnyone(principal: Principal): boolean {
  return principal === ANYONE;
}

/** Whether the principal's roles apply in the tenant. */
export function isMember({ tenants }: Principal, tenant: string): boolean {
  return tenants.includes(ALL_TENANTS) || tenants.includes(tenant);
}

/** The tenant of a call that names none: the principal's only one, or `default`. Undefined if it must name one. */
export function tenantByDefault(principal: Principal): string | undefined {
  const [only, ...others] = principal.tenants;
  if (only !== ALL_TENANTS && others.length === 0) return only;
  return isMember(principal, DEFAULT_TENANT) ? DEFAULT_TENANT : undefined;
}
