import type { Insertable, Selectable, Updateable } from 'kysely';
import type { ObjectKind } from '../../../generated/reconciler/internal/v1/bindings.ts';
import type { TableUpstream } from '../../../generated/reconciler/v1/tables.ts';
import { upstreamNameHash } from '../../../upstream-name-hash.ts';
import { compiledWrite } from '../database/compiled-query.ts';
import { date, ms } from '../database/json.ts';
import { pathKey, pathOfKey } from '../database/path-key.ts';
import type { BindingRow } from '../database/schema.ts';
import type { Scoped } from '../database/scoped.ts';

type Db = Scoped;

/** The columns of a binding that are joined to rows of tables and views. */
export const BINDING_COLUMNS = [
  'connector_id',
  'upstream_path_key',
  'upstream_name',
  'upstream_uuid',
  'fingerprint',
  'coverage',
  'fetched_at',
  'missing_since',
] as const;

export type BindingColumns = Pick<Selectable<BindingRow>, (typeof BINDING_COLUMNS)[number]>;
/** A binding joined to an object's row; all columns are null for an object without a binding. */
export type JoinedBinding = { [Column in keyof BindingColumns]: BindingColumns[Column] | null };

export const UNBOUND: JoinedBinding = {
  connector_id: null,
  upstream_path_key: null,
  upstream_name: null,
  upstream_uuid: null,
  fingerprint: null,
  coverage: null,
  fetched_at: null,
  missing_since: null,
};

export function bindingColumns(upstream: TableUpstream): BindingColumns {
  return {
    connector_id: upstream.connectorId || null,
    upstream_path_key: pathKey(upstream.namespacePath),
    upstream_name: upstream.tableName,
    upstream_uuid: upstream.uuid,
    fingerprint: upstream.fingerprint,
    coverage: upstream.coverage,
    fetched_at: ms(upstream.fetchedAt),
    missing_since: ms(upstream.missingSince),
  };
}

/** @returns undefined if the object has no binding */
export function toUpstream(row: JoinedBinding): TableUpstream | undefined {
  if (row.upstream_name === null) return undefined;
  return {
    connectorId: row.connector_id ?? '',
    namespacePath: pathOfKey(row.upstream_path_key ?? ''),
    tableName: row.upstream_name,
    uuid: row.upstream_uuid ?? '',
    fingerprint: row.fingerprint ?? '',
    fetchedAt: date(row.fetched_at),
    missingSince: date(row.missing_since),
    coverage: row.coverage ?? '',
  };
}

/** Binds an object that has no binding. The caller updates the object's etag, here and below. */
export async function insertBinding(
  db: Db,
  kind: ObjectKind,
  objectId: string,
  columns: BindingColumns,
): Promise<void> {
  await insert(db, { object_id: objectId, ...newBindingColumns(db.tenant, kind, columns) });
}

/** The columns of a new binding, apart from the object's id. */
export function newBindingColumns(
  tenant: string,
  kind: ObjectKind,
  columns: BindingColumns,
): Omit<BindingRow, 'object_id'> {
  return { tenant_id: tenant, kind, ...columns, name_hash: nameHash(columns) };
}

const insert = compiledWrite((db, row: Insertable<BindingRow>) => db.insertInto('bindings').values(row));

/**
 * Replaces the columns of an object's binding, or binds an object that has none. Writes only columns that differ.
 *
 * @returns whether anything differed
 */
export async function rebind(
  db: Db,
  kind: ObjectKind,
  objectId: string,
  stored: JoinedBinding,
  columns: BindingColumns,
): Promise<boolean> {
  if (stored.upstream_name === null) {
    await insertBinding(db, kind, objectId, columns);
    return true;
  }
  const changes = difference(stored, columns);
  if (Object.keys(changes).length === 0) return false;
  const isRenamed = 'upstream_path_key' in changes || 'upstream_name' in changes;
  await updateBinding(db, objectId, isRenamed ? { ...changes, name_hash: nameHash(columns) } : changes);
  return true;
}

function nameHash({ upstream_path_key, upstream_name }: BindingColumns): bigint {
  return BigInt.asIntN(64, upstreamNameHash(pathOfKey(upstream_path_key), upstream_name));
}

export async function updateBinding(db: Db, objectId: string, changes: Updateable<BindingRow>): Promise<void> {
  await update(db, changes, objectId, db.tenant);
}

const update = compiledWrite((db, row: Updateable<BindingRow>, objectId: string, tenant: string) =>
  db.updateTable('bindings').set(row).where('object_id', '=', objectId).where('tenant_id', '=', tenant),
);

export async function deleteBinding(db: Db, objectId: string): Promise<void> {
  await db.deleteFrom('bindings').where('tenant_id', '=', db.tenant).where('object_id', '=', objectId).execute();
}

/** The values that differ from the row's. */
export function difference<Values extends object>(row: { [Column in keyof Values]: unknown }, values: Values) {
  const columns = Object.entries(values).filter(([column, value]) => row[column as keyof Values] !== value);
  return Object.fromEntries(columns) as Partial<Values>;
}
