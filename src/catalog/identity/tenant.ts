/** Every row belongs to a tenant. Until callers bring tokens that name theirs, this is the only one. */
export const TENANT = 'default';
