import { CodedError } from '../../../errors.ts';
import {
  type EnsureTableRequest,
  type EnsureTableResponse,
  ObjectKind,
  UpstreamName,
} from '../../../generated/reconciler/internal/v1/bindings.ts';
import type { Namespace } from '../../../generated/reconciler/v1/namespaces.ts';
import { PartitionSpec, Table, tableFormatToJSON } from '../../../generated/reconciler/v1/tables.ts';
import { newId } from '../../identity/ids.ts';
import { getConnector } from '../connectors/connectors.ts';
import { compiledQuery } from '../database/compiled-query.ts';
import { pathKey, pathOfKey } from '../database/path-key.ts';
import type { Scoped } from '../database/scoped.ts';
import { getNamespace } from '../namespaces/namespaces.ts';
import { type BindingColumns, difference, rebind } from '../tables/binding-columns.ts';
import { putSchema } from '../tables/table-schemas.ts';
import {
  dropContents,
  getTable,
  getTableRow,
  insertFreeTable,
  isTableId,
  newContents,
  type StoredTable,
  tableMessage,
  updateTableRow,
} from '../tables/tables.ts';
import { placeObject } from './place-object.ts';

type Db = Scoped;
const TABLE = ObjectKind.OBJECT_KIND_TABLE;

/**
 * Ensures the table that is bound to an upstream table. It is created if there is none, moved if the destination has changed, and
 * emptied if the upstream table was replaced by another one.
 *
 * @throws CodedError NOT_FOUND for the connector and the namespace, ALREADY_EXISTS if the name belongs to something else, ABORTED if a reserved id
 *   is not, or cannot become, that of the table
 */
export async function ensureTable(db: Db, request: EnsureTableRequest): Promise<EnsureTableResponse> {
  const connector = await getConnector(db, request.connectorId);
  const namespace = await getNamespace(db, request.namespaceId);
  const { name, replacesView } = request;
  const upstream = request.upstream ?? UpstreamName.create();
  const placement = { kind: TABLE, connector, upstream, namespace, name, replacesOtherKind: replacesView };
  const { id, moved, takenOver } = await placeObject(db, placement);
  if (request.tableId !== '') await requireReserved(db, request, id);
  if (id === undefined) return createTable(db, request, namespace);
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

/** @throws CodedError ABORTED if the reserved id cannot be, or has not become, that of the table */
async function requireReserved(db: Db, { tableId, name }: EnsureTableRequest, id: string | undefined): Promise<void> {
  if (id === undefined ? !(await isTableId(db, tableId)) : id === tableId) return;
  throw new CodedError(
    'ABORTED',
    `table '${name}' was created, or bound to its upstream table, by another call meanwhile: ingest it again`,
  );
}

async function createTable(db: Db, request: EnsureTableRequest, namespace: Namespace): Promise<EnsureTableResponse> {
  const row = await insertFreeTable(db, namespace, tableOf(request), request.tableId || undefined);
  await putSchemas(db, row.table_num, request);
  return { ...NEW, table: await tableMessage(db, row) };
}

const NEW = { hasSnapshots: false, made: true, changed: true, emptied: false, reserved: false };

/** The table that a request creates. */
export function tableOf(request: EnsureTableRequest): Table {
  const { namespaceId, name, format, location, partitionSpecs, connectorId, upstream, uuid } = request;
  const { namespacePath = [], name: tableName = '' } = upstream ?? {};
  const bound = { connectorId, namespacePath, tableName, uuid, fingerprint: '', coverage: '' };
  return { ...Table.create(), namespaceId, name, format, location, partitionSpecs, upstream: bound };
}

/**
 * Reserves an id for a table that does not exist yet.
 *
 * @returns undefined if the table exists, or cannot be created
 */
export async function reserveTable(db: Db, request: EnsureTableRequest): Promise<EnsureTableResponse | undefined> {
  const { connectorId, upstream, name, namespaceId } = request;
  const key = pathKey(upstream?.namespacePath ?? []);
  const [place] = await freePlace(db, connectorId, name, TABLE, key, upstream?.name ?? '', namespaceId, db.tenant);
  if (!place) return undefined;
  const { catalog_id: catalogId, path_key } = place;
  const table = { ...tableOf(request), tableId: newId('tbl'), catalogId, namespacePath: pathOfKey(path_key) };
  return { ...NEW, reserved: true, table };
}

/** The namespace for a new table of a connector, if its name is free and nothing is bound to its upstream name. */
const freePlace = compiledQuery(
  (
    db,
    connectorId: string,
    name: string,
    kind: ObjectKind,
    upstreamPath: string,
    upstreamName: string,
    namespaceId: string,
    tenant: string,
  ) =>
    db
      .selectFrom('namespaces as n')
      .innerJoin('connectors as c', (join) =>
        join.on('c.connector_id', '=', connectorId).onRef('c.tenant_id', '=', 'n.tenant_id'),
      )
      .leftJoin('object_names as o', (join) =>
        join.onRef('o.namespace_id', '=', 'n.namespace_id').on('o.name', '=', name),
      )
      .leftJoin('bindings as b', (join) =>
        join
          .onRef('b.connector_id', '=', 'c.connector_id')
          .on('b.kind', '=', kind)
          .on('b.upstream_path_key', '=', upstreamPath)
          .on('b.upstream_name', '=', upstreamName),
      )
      .select(['n.catalog_id', 'n.path_key'])
      .where('n.namespace_id', '=', namespaceId)
      .where('n.tenant_id', '=', tenant)
      .where('o.object_id', 'is', null)
      .where('b.object_id', 'is', null),
);

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
  const result = { hasSnapshots, made: false, changed, emptied: isAnother, reserved: false };
  return { ...result, table: await getTable(db, row.table_id) };
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
