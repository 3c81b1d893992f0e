import type { Kysely } from 'kysely';
import type { EnsureTableRequest, UpstreamTable } from '../../../generated/reconciler/internal/v1/bindings.ts';
import type { Connector } from '../../../generated/reconciler/v1/connectors.ts';
import type { Namespace } from '../../../generated/reconciler/v1/namespaces.ts';
import { type Table, Table as TableMessage, tableFormatToJSON } from '../../../generated/reconciler/v1/tables.ts';
import { pathKey } from '../database/path-key.ts';
import type { Schema } from '../database/schema.ts';
import { putSchema } from '../tables/table-schemas.ts';
import {
  dropContents,
  getTable,
  getTableRow,
  insertFreeTable,
  moveTable,
  newContents,
  updateTableRow,
} from '../tables/tables.ts';
import { boundAmong, findBoundId } from './bound-names.ts';
import { deleteOwner, findNameOwner, isBoundTo, nameTaken } from './name-conflict.ts';

type Db = Kysely<Schema>;
type Row = Awaited<ReturnType<typeof getTableRow>>;

interface EnsuredTable {
  table: Table;
  hasSnapshots: boolean;
  made: boolean;
  /** False where nothing differed. */
  changed: boolean;
  /** Old contents wait to be removed. */
  emptied: boolean;
}

/**
 * The table that an upstream table is bound to. It is made where there is none, moved where the destination has changed, and
 * emptied where the upstream table is another one than before.
 *
 * @throws CodedError ALREADY_EXISTS where the name belongs to something else
 */
export async function ensureTable(
  db: Db,
  request: EnsureTableRequest,
  upstream: UpstreamTable,
  connector: Connector,
  namespace: Namespace,
): Promise<EnsuredTable> {
  const boundId = await findBoundId(db, 'tables', connector.connectorId, upstream);
  const bound = boundId === undefined ? undefined : await getTableRow(db, boundId);
  const inPlace = bound && bound.namespace_id === namespace.namespaceId && bound.name === request.name;
  let holder = inPlace ? undefined : await findNameOwner(db, namespace.namespaceId, request.name);
  if (holder?.kind === 'views' && request.replacesView && isBoundTo(holder, connector, upstream)) {
    await deleteOwner(db, holder);
    holder = undefined;
  }
  if (holder && (bound || holder.owner || holder.kind === 'views')) {
    throw nameTaken('tables', namespace, request.name, holder, connector);
  }
  if (bound) {
    if (!inPlace) await moveTable(db, bound, namespace.namespaceId, namespace.catalogId, request.name);
    const refreshed = await refresh(db, bound, request, {});
    return { ...refreshed, changed: refreshed.changed || !inPlace };
  }
  if (holder) {
    const binding = {
      connector_id: connector.connectorId,
      upstream_path_key: pathKey(upstream.namespacePath),
      upstream_name: upstream.name,
      // The fingerprint was another connector's: this one has yet to read the table.
      fingerprint: '',
      coverage: '',
    };
    return refresh(db, await getTableRow(db, holder.id), request, binding);
  }
  const made = await insertFreeTable(db, namespace, {
    ...TableMessage.create(),
    namespaceId: namespace.namespaceId,
    name: request.name,
    format: request.format,
    location: request.location,
    upstream: {
      connectorId: connector.connectorId,
      namespacePath: upstream.namespacePath,
      tableName: upstream.name,
      uuid: request.uuid,
      fingerprint: '',
      coverage: '',
    },
  });
  await putSchemas(db, made.table_num, request);
  return { table: await getTable(db, made.table_id), hasSnapshots: false, made: true, changed: true, emptied: false };
}

/** Brings a known table up to what the upstream says, and back from missing. Writes nothing where nothing differs. */
async function refresh(db: Db, row: Row, request: EnsureTableRequest, binding: Partial<Row>): Promise<EnsuredTable> {
  const another = row.upstream_uuid !== '' && request.uuid !== '' && row.upstream_uuid !== request.uuid;
  const wanted: Partial<Row> = {
    ...binding,
    format: tableFormatToJSON(request.format),
    location: request.location,
    upstream_uuid: request.uuid || row.upstream_uuid,
    missing_since: null,
  };
  if (another) {
    await dropContents(db, row.table_num);
    Object.assign(wanted, {
      table_num: await newContents(db, row.table_id),
      current_snapshot_id: null,
      schema_id: null,
      partition_specs: '[]',
      default_spec_id: 0,
      refs: '[]',
      properties: '{}',
      metadata_location: '',
      fingerprint: '',
      coverage: '',
    });
  }
  const differs = Object.entries(wanted).some(([column, value]) => row[column as keyof Row] !== value);
  if (differs) await updateTableRow(db, row.table_id, wanted);
  await putSchemas(db, wanted.table_num ?? row.table_num, request);
  const snapshot = another
    ? undefined
    : await db.selectFrom('snapshots').select('snapshot_num').where('table_num', '=', row.table_num).executeTakeFirst();
  const hasSnapshots = snapshot !== undefined;
  return { table: await getTable(db, row.table_id), hasSnapshots, made: false, changed: differs, emptied: another };
}

async function putSchemas(db: Db, tableNum: number, { schemas }: EnsureTableRequest): Promise<void> {
  for (const schema of schemas) await putSchema(db, tableNum, schema);
}

/** @returns how many were not missing before */
export async function markTablesMissing(db: Db, connectorId: string, tableIds: readonly string[]): Promise<number> {
  const ids = await boundAmong(db, 'tables', connectorId, tableIds);
  for (const id of ids) await updateTableRow(db, id, { missing_since: Date.now() });
  return ids.length;
}
