import { type Kysely, sql } from 'kysely';
import { TenantLimits } from '../../../generated/reconciler/v1/tenants.ts';
import type { Schema } from '../database/schema.ts';

type Db = Kysely<Schema>;

/** What a tenant may have: `TenantLimits` with the defaults in place of 0. */
export interface Limits {
  requestsPerSecond: number;
  openStreams: number;
  connectors: number;
  tables: number;
  files: number;
  runningJobs: number;
}

/** What is counted in the database. */
export type Counted = 'connectors' | 'tables' | 'files' | 'runningJobs';

/** The limits of a tenant that sets none; see tenants.proto. */
export const DEFAULT_LIMITS: Limits = {
  requestsPerSecond: 200,
  openStreams: 64,
  connectors: 1_000,
  tables: 200_000,
  files: 50_000_000,
  runningJobs: 50,
};

/** The limits of a tenant, also of one that does not exist. */
export async function limitsOf(db: Db, tenant: string): Promise<Limits> {
  const row = await db.selectFrom('tenants').select('limits').where('tenant_id', '=', tenant).executeTakeFirst();
  const set = TenantLimits.fromJSON(JSON.parse(row?.limits ?? '{}'));
  const limits = { ...DEFAULT_LIMITS };
  for (const name of Object.keys(limits) as (keyof Limits)[]) limits[name] = Number(set[name]) || limits[name];
  return limits;
}

/** How many of these a tenant has. */
export async function countOf(db: Db, tenant: string, counted: Counted): Promise<number> {
  const { count } = await COUNTS[counted](db, tenant).executeTakeFirstOrThrow();
  return Number(count ?? 0);
}

const COUNTS = {
  connectors: (db: Db, tenant: string) =>
    db.selectFrom('connectors').select(sql<number>`count(*)`.as('count')).where('tenant_id', '=', tenant),
  tables: (db: Db, tenant: string) =>
    db.selectFrom('tables').select(sql<number>`count(*)`.as('count')).where('tenant_id', '=', tenant),
  files: (db: Db, tenant: string) =>
    db
      .selectFrom('tables')
      .innerJoin('table_contents', 'table_contents.table_num', 'tables.table_num')
      .select(({ fn }) => fn.sum<number>('table_contents.files').as('count'))
      .where('tables.tenant_id', '=', tenant),
  runningJobs: (db: Db, tenant: string) =>
    db
      .selectFrom('jobs')
      .select(sql<number>`count(*)`.as('count'))
      .where('tenant_id', '=', tenant)
      .where('state', '=', 'JS_RUNNING'),
};
