import type { Kysely } from 'kysely';
import type { Schema } from './schema.ts';

/** A handle for work that concerns all tenants, which only the catalog's own work does. Code outside of the store names the handle by this type. */
export type AllTenants = Kysely<Schema>;

declare const SCOPED: unique symbol;

/**
 * A handle for work of one tenant. Functions of the store that read or write rows with a `tenant_id` take it, and name its tenant in each statement. What
 * has no `tenant_id`, such as files and snapshots, belongs to a table's contents, which are found through the table's row.
 */
export interface Scoped extends Kysely<Schema> {
  readonly tenant: string;
  /** So that no other object is taken for one: only this file makes them. */
  readonly [SCOPED]: true;
}

/** A handle on the same connection, for the work of a tenant. */
export function scopedTo(db: AllTenants, tenant: string): Scoped {
  return withTenant(db.withTables<Record<never, never>>(), tenant);
}

/** Gives a transaction the tenant of the handle that began it, if that has one. */
export function continueScope<Db extends AllTenants>(db: Db, trx: AllTenants): Db {
  return (isScoped(db) ? withTenant(trx, db.tenant) : trx) as Db;
}

export const isScoped = (db: AllTenants): db is Scoped => 'tenant' in db;

function withTenant(fresh: AllTenants, tenant: string): Scoped {
  return Object.assign(fresh, { tenant }) as Scoped;
}
