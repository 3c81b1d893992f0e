import type { Selectable } from 'kysely';
import { DEFAULT_TENANT } from '../../../contract/tenant.ts';
import { CodedError } from '../../../errors.ts';
import { type Tenant, TenantLimits } from '../../../generated/reconciler/v1/tenants.ts';
import { newEtag } from '../../identity/ids.ts';
import { bytesOf, mapPage, type Page, readPage } from '../database/page-cut.ts';
import type { TenantRow } from '../database/schema.ts';
import type { AllTenants, Scoped } from '../database/scoped.ts';

type Db = AllTenants;

/** The fields of a tenant that a caller sets. */
export type NewTenant = Omit<Tenant, 'createdAt' | 'updatedAt' | 'etag'>;

/** @throws CodedError ALREADY_EXISTS */
export async function insertTenant(db: Db, tenant: NewTenant): Promise<Tenant> {
  if (await findTenant(db, tenant.tenantId)) {
    throw new CodedError('ALREADY_EXISTS', `tenant '${tenant.tenantId}' already exists`);
  }
  const now = Date.now();
  const row = { tenant_id: tenant.tenantId, ...columnsOf(tenant), created_at: now, updated_at: now, etag: newEtag() };
  await db.insertInto('tenants').values(row).execute();
  return toMessage(row);
}

export async function findTenant(db: Db, id: string): Promise<Tenant | undefined> {
  const row = await db.selectFrom('tenants').selectAll().where('tenant_id', '=', id).executeTakeFirst();
  return row && toMessage(row);
}

/** @throws CodedError NOT_FOUND */
export async function getTenant(db: Db, id: string): Promise<Tenant> {
  const tenant = await findTenant(db, id);
  if (!tenant) throw new CodedError('NOT_FOUND', `tenant '${id}' does not exist`);
  return tenant;
}

/** Lists a page of at most `size` tenants after `after`, ordered by id. */
export async function listTenants(db: Db, size: number, after = ''): Promise<Page<Tenant>> {
  const query = db.selectFrom('tenants').selectAll().where('tenant_id', '>', after).orderBy('tenant_id');
  return mapPage(await readPage(query, bytesOf('tenant_id', 'description', 'task_queue', 'limits'), size), toMessage);
}

/** @throws CodedError NOT_FOUND */
export async function updateTenant(db: Db, tenant: NewTenant): Promise<Tenant> {
  const changes = { ...columnsOf(tenant), updated_at: Date.now(), etag: newEtag() };
  await db.updateTable('tenants').set(changes).where('tenant_id', '=', tenant.tenantId).execute();
  return getTenant(db, tenant.tenantId);
}

/** The tenants of each namespace of Temporal; those that share the catalog's own are under the empty name. */
export async function tenantsByNamespace(db: Db): Promise<Map<string, string[]>> {
  const rows = await db.selectFrom('tenants').select(['tenant_id', 'temporal_namespace']).execute();
  const found = new Map<string, string[]>();
  for (const { tenant_id, temporal_namespace } of rows) {
    found.set(temporal_namespace, [...(found.get(temporal_namespace) ?? []), tenant_id]);
  }
  return found;
}

/** The task queue of the tenant's ingests, for connectors that name none; undefined for the common one. */
export async function taskQueueOfTenant(db: Scoped): Promise<string | undefined> {
  return (await findTenant(db, db.tenant))?.taskQueue || undefined;
}

/** Whether the tenant has connectors. */
export async function hasConnectors(db: Db, id: string): Promise<boolean> {
  const query = db.selectFrom('connectors').select('connector_id').where('tenant_id', '=', id);
  return (await query.limit(1).executeTakeFirst()) !== undefined;
}

/** @throws CodedError FAILED_PRECONDITION if the tenant cannot be deleted now */
export async function refuseInUse(db: Db, id: string): Promise<void> {
  if (id === DEFAULT_TENANT) throw inUse(id, 'it always exists');
  if (await hasConnectors(db, id)) throw inUse(id, 'it still has connectors: delete them first');
  const catalog = db.selectFrom('catalogs').select('catalog_id').where('tenant_id', '=', id);
  if (await catalog.limit(1).executeTakeFirst()) throw inUse(id, 'it still has catalogs: delete them first');
}

const inUse = (id: string, why: string) =>
  new CodedError('FAILED_PRECONDITION', `tenant '${id}' cannot be deleted: ${why}`);

/** Deletes a tenant without connectors, catalogs and jobs, with its tokens, drafts and idempotency keys. Its audit events stay. */
export async function deleteTenant(db: Db, id: string): Promise<void> {
  for (const table of ['idempotency_keys', 'connector_drafts'] as const) {
    await db.deleteFrom(table).where('tenant_id', '=', id).execute();
  }
  await deleteTokens(db, id);
  await db.deleteFrom('tenants').where('tenant_id', '=', id).execute();
}

/** Deletes the tokens that have only this tenant. Those that have others lose it. */
async function deleteTokens(db: Db, id: string): Promise<void> {
  const tokens = await db
    .selectFrom('token_tenants')
    .innerJoin('tokens', 'tokens.token_id', 'token_tenants.token_id')
    .select(['tokens.token_id', 'tokens.tenants'])
    .where('token_tenants.tenant_id', '=', id)
    .execute();
  await db.deleteFrom('token_tenants').where('tenant_id', '=', id).execute();
  for (const { token_id, tenants } of tokens) {
    const others = (JSON.parse(tenants) as string[]).filter((tenant) => tenant !== id);
    if (others.length === 0) await db.deleteFrom('tokens').where('token_id', '=', token_id).execute();
    else {
      const changed = { tenants: JSON.stringify(others) };
      await db.updateTable('tokens').set(changed).where('token_id', '=', token_id).execute();
    }
  }
}

function columnsOf({ description, temporalNamespace, taskQueue, limits }: NewTenant) {
  return {
    description,
    temporal_namespace: temporalNamespace,
    task_queue: taskQueue,
    limits: JSON.stringify(TenantLimits.toJSON(limits ?? TenantLimits.create())),
  };
}

function toMessage(row: Selectable<TenantRow>): Tenant {
  return {
    tenantId: row.tenant_id,
    description: row.description,
    temporalNamespace: row.temporal_namespace,
    taskQueue: row.task_queue,
    limits: TenantLimits.fromJSON(JSON.parse(row.limits)),
    createdAt: new Date(row.created_at),
    updatedAt: new Date(row.updated_at),
    etag: row.etag,
  };
}
