/** Every row belongs to a tenant. This is the only one until callers authenticate with tokens that name theirs. */
export const TENANT = 'default';
