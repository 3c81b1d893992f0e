import type { Kysely } from 'kysely';
import {
  type EnsureTableRequest,
  type EnsureTableResponse,
  ObjectKind,
  type UpstreamName,
} from '../../../generated/reconciler/internal/v1/bindings.ts';
import type { Connector } from '../../../generated/reconciler/v1/connectors.ts';
import type { Namespace } from '../../../generated/reconciler/v1/namespaces.ts';
import { PartitionSpec, Table, tableFormatToJSON } from '../../../generated/reconciler/v1/tables.ts';
import { pathKey } from '../database/path-key.ts';
import type { Schema } from '../database/schema.ts';
import { type BindingColumns, difference, rebind } from '../tables/binding-columns.ts';
import { putSchema } from '../tables/table-schemas.ts';
import {
  dropContents,
  getTable,
  getTableRow,
  insertFreeTable,
  newContents,
  type StoredTable,
  tableMessage,
  updateTableRow,
} from '../tables/tables.ts';
import { placeObject } from './place-object.ts';

type Db = Kysely<Schema>;
const TABLE = ObjectKind.OBJECT_KIND_TABLE;

/**
 * Ensures the table that is bound to an upstream table. It is created if there is none, moved if the destination has changed, and
 * emptied if the upstream table was replaced by another one.
 *
 * @throws CodedError ALREADY_EXISTS if the name belongs to something else
 */
export async function ensureTable(
  db: Db,
  request: EnsureTableRequest,
  upstream: UpstreamName,
  connector: Connector,
  namespace: Namespace,
): Promise<EnsureTableResponse> {
  const { name, replacesView } = request;
  const placement = { kind: TABLE, connector, upstream, namespace, name, replacesOtherKind: replacesView };
  const { id, moved, takenOver } = await placeObject(db, placement);
  if (id === undefined) return createTable(db, request, upstream, namespace);
  const row = await getTableRow(db, id);
  const binding = {
    connector_id: connector.connectorId,
    upstream_path_key: pathKey(upstream.namespacePath),
    upstream_name: upstream.name,
    // The fingerprint is from another connector, and this one has not read the table yet.
    ...(takenOver && { fingerprint: '', coverage: '' }),
  };
  const refreshed = await refresh(db, row, request, binding);
  return { ...refreshed, changed: refreshed.changed || moved };
}

async function createTable(
  db: Db,
  request: EnsureTableRequest,
  upstream: UpstreamName,
  namespace: Namespace,
): Promise<EnsureTableResponse> {
  const row = await insertFreeTable(db, namespace, {
    ...Table.create(),
    namespaceId: namespace.namespaceId,
    name: request.name,
    format: request.format,
    location: request.location,
    partitionSpecs: request.partitionSpecs,
    upstream: {
      connectorId: request.connectorId,
      namespacePath: upstream.namespacePath,
      tableName: upstream.name,
      uuid: request.uuid,
      fingerprint: '',
      coverage: '',
    },
  });
  await putSchemas(db, row.table_num, request);
  return { table: await tableMessage(db, row), hasSnapshots: false, made: true, changed: true, emptied: false };
}

/** Brings a table up to date with the upstream, and unmarks one that was missing. Writes nothing if nothing differs. */
async function refresh(
  db: Db,
  row: StoredTable,
  request: EnsureTableRequest,
  bindingChanges: Partial<BindingColumns>,
): Promise<EnsureTableResponse> {
  const isAnother = !!row.upstream_uuid && request.uuid !== '' && row.upstream_uuid !== request.uuid;
  const table: Partial<StoredTable> = { format: tableFormatToJSON(request.format), location: request.location };
  const binding: BindingColumns = {
    connector_id: row.connector_id,
    upstream_path_key: row.upstream_path_key ?? '',
    upstream_name: row.upstream_name ?? '',
    fingerprint: row.fingerprint ?? '',
    coverage: row.coverage ?? '',
    fetched_at: row.fetched_at,
    ...bindingChanges,
    upstream_uuid: request.uuid || (row.upstream_uuid ?? ''),
    missing_since: null,
  };
  if (isAnother) {
    await dropContents(db, row.table_num);
    Object.assign(table, EMPTY, { table_num: await newContents(db, row.table_id) });
    Object.assign(binding, { fingerprint: '', coverage: '' });
  }
  table.partition_specs = withSpecs(table.partition_specs ?? row.partition_specs, request.partitionSpecs);
  const isRebound = await rebind(db, TABLE, row.table_id, row, binding);
  const changes = difference(row, table);
  const changed = isRebound || Object.keys(changes).length > 0;
  if (changed) await updateTableRow(db, row.table_id, changes);
  const tableNum = table.table_num ?? row.table_num;
  await putSchemas(db, tableNum, request);
  const hasSnapshots = !isAnother && (await hasSnapshot(db, tableNum));
  return { table: await getTable(db, row.table_id), hasSnapshots, made: false, changed, emptied: isAnother };
}

/** A table whose contents were dropped. */
const EMPTY = {
  current_snapshot_id: null,
  schema_id: null,
  partition_specs: '[]',
  default_spec_id: 0,
  refs: '[]',
  properties: '{}',
  metadata_location: '',
};

/** The stored specs, with the new ones beside them: a snapshot is visible before its table is moved to it, and readers need its spec. */
function withSpecs(stored: string, specs: readonly PartitionSpec[]): string {
  const byId = new Map(
    (JSON.parse(stored) as unknown[]).map(PartitionSpec.fromJSON).map((spec) => [spec.specId, spec]),
  );
  for (const spec of specs) byId.set(spec.specId, spec);
  return JSON.stringify([...byId.values()].map(PartitionSpec.toJSON));
}

async function putSchemas(db: Db, tableNum: number, { schemas }: EnsureTableRequest): Promise<void> {
  for (const schema of schemas) await putSchema(db, tableNum, schema);
}

async function hasSnapshot(db: Db, tableNum: number): Promise<boolean> {
  const query = db.selectFrom('snapshots').select('snapshot_num').where('table_num', '=', tableNum);
  return (await query.executeTakeFirst()) !== undefined;
}
