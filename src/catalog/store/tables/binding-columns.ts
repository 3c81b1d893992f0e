import type { Insertable, Kysely, Selectable, Updateable } from 'kysely';
import type { ObjectKind } from '../../../generated/reconciler/internal/v1/bindings.ts';
import type { TableUpstream } from '../../../generated/reconciler/v1/tables.ts';
import { upstreamNameHash } from '../../../upstream-name-hash.ts';
import { TENANT } from '../../identity/tenant.ts';
import { compiledWrite } from '../database/compiled-query.ts';
import { date, ms } from '../database/json.ts';
import { pathKey, pathOfKey } from '../database/path-key.ts';
import type { BindingRow, Schema } from '../database/schema.ts';

type Db = Kysely<Schema>;

/** The columns that rows of tables and views join. */
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
/** All null for an object without a binding. */
export type JoinedBinding = { [Column in keyof BindingColumns]: BindingColumns[Column] | null };

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

/** @returns undefined for an object without a binding */
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

/** Binds an object, in place of the binding that it may have. Its etag is the caller's concern. */
export async function putBinding(db: Db, kind: ObjectKind, objectId: string, columns: BindingColumns): Promise<void> {
  const hash = upstreamNameHash(pathOfKey(columns.upstream_path_key), columns.upstream_name);
  await upsert(db, {
    object_id: objectId,
    tenant_id: TENANT,
    kind,
    ...columns,
    name_hash: BigInt.asIntN(64, hash),
  });
}

const upsert = compiledWrite((db, row: Insertable<BindingRow>) =>
  db
    .insertInto('bindings')
    .values(row)
    .onConflict((conflict) =>
      conflict.column('object_id').doUpdateSet(({ ref }) => ({
        connector_id: ref('excluded.connector_id'),
        upstream_path_key: ref('excluded.upstream_path_key'),
        upstream_name: ref('excluded.upstream_name'),
        name_hash: ref('excluded.name_hash'),
        upstream_uuid: ref('excluded.upstream_uuid'),
        fingerprint: ref('excluded.fingerprint'),
        coverage: ref('excluded.coverage'),
        fetched_at: ref('excluded.fetched_at'),
        missing_since: ref('excluded.missing_since'),
      })),
    ),
);

/** What can change while the upstream name stays. */
export type BindingState = Pick<Updateable<BindingRow>, 'fingerprint' | 'coverage' | 'fetched_at' | 'missing_since'>;

/** Changes columns of a binding; nothing without one. The object's etag is the caller's concern. */
export async function updateBinding(db: Db, objectId: string, changes: BindingState): Promise<void> {
  await update(db, changes, objectId);
}

const update = compiledWrite((db, row: BindingState, objectId: string) =>
  db.updateTable('bindings').set(row).where('object_id', '=', objectId),
);

export async function deleteBinding(db: Db, objectId: string): Promise<void> {
  await db.deleteFrom('bindings').where('object_id', '=', objectId).execute();
}

/** Whether a row has other values than these. */
export function differs<Row extends object>(row: Row, values: Partial<Row>): boolean {
  return Object.entries(values).some(([column, value]) => row[column as keyof Row] !== value);
}
