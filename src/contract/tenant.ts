/** The tenant that always exists. Calls belong to it if their token has it and they name no other. */
export const DEFAULT_TENANT = 'default';

/** Key of the gRPC metadata that names the tenant of a call. A token of one tenant needs none. */
export const TENANT_METADATA = 'reconciler-tenant';

/** Header in which the activities and children of a workflow learn its tenant, as JSON. */
export const TENANT_HEADER = 'reconciler-tenant';

/** Stands for all tenants in tokens and policies. */
export const ALL_TENANTS = '*';

/** 1 to 63 lower-case letters, digits and hyphens, beginning with a letter. */
export const TENANT_ID = /^[a-z][a-z0-9-]{0,62}$/;

/** The tenant as a request names it: the default one is not named. */
export const namedTenant = (tenant: string): { tenant?: string } => (tenant === DEFAULT_TENANT ? {} : { tenant });
