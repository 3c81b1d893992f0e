import type { Insertable, Kysely, Selectable, Updateable } from 'kysely';
import { ObjectKind } from '../../../generated/reconciler/internal/v1/bindings.ts';
import type { Namespace } from '../../../generated/reconciler/v1/namespaces.ts';
import {
  PartitionSpec,
  SnapshotRef,
  type Table,
  tableFormatFromJSON,
  tableFormatToJSON,
} from '../../../generated/reconciler/v1/tables.ts';
import { formatName } from '../../../names.ts';
import { newEtag, newId } from '../../identity/ids.ts';
import { requireClaimOn } from '../database/claim-fence.ts';
import { compiledQuery, compiledWrite } from '../database/compiled-query.ts';
import { alreadyExists, notFound } from '../database/errors.ts';
import { deleteIdempotencyKeys } from '../database/idempotency.ts';
import { jsonMap } from '../database/json.ts';
import { bytesOf, readCut } from '../database/page-cut.ts';
import { pathKey, pathOfKey } from '../database/path-key.ts';
import type { Schema, TableRow } from '../database/schema.ts';
import type { AllTenants, Scoped } from '../database/scoped.ts';
import { getNamespace } from '../namespaces/namespaces.ts';
import { findObject, nameObject, unnameObject } from '../namespaces/object-names.ts';
import {
  BINDING_COLUMNS,
  bindingColumns,
  deleteBinding,
  insertBinding,
  type JoinedBinding,
  toUpstream,
  UNBOUND,
} from './binding-columns.ts';
import { findSchema, putSchema } from './table-schemas.ts';

type Db = Scoped;
const TABLE = ObjectKind.OBJECT_KIND_TABLE;
/** A table's row with its namespace's path and its binding. */
export type StoredTable = Selectable<TableRow> & JoinedBinding & { path_key: string };

/** The fields of a new table. */
export type NewTable = Omit<Table, 'tableId' | 'catalogId' | 'namespacePath' | 'createdAt' | 'updatedAt' | 'etag'>;

/** @throws CodedError NOT_FOUND for the namespace, ALREADY_EXISTS for the name */
export async function insertTable(db: Db, table: NewTable): Promise<Table> {
  const namespace = await getNamespace(db, table.namespaceId);
  const taken = await findObject(db, table.namespaceId, table.name);
  if (taken) throw alreadyExists('table', `'${formatName([...namespace.path, table.name])}'`, ` (${taken})`);
  return tableMessage(db, await insertFreeTable(db, namespace, table));
}

/** Inserts a table into an existing namespace. The name must be free in that namespace. */
export async function insertFreeTable(
  db: Db,
  namespace: Namespace,
  table: NewTable,
  tableId = newId('tbl'),
): Promise<StoredTable> {
  await nameObject(db, table.namespaceId, table.name, tableId);
  const tableNum = await newContents(db, tableId);
  const row: TableRow = {
    ...newTableColumns(db.tenant, tableId, table),
    table_num: tableNum,
    catalog_id: namespace.catalogId,
  };
  await insert(db, row);
  const binding = table.upstream && bindingColumns(table.upstream);
  if (binding) await insertBinding(db, TABLE, tableId, binding);
  if (table.schema) await putSchema(db, tableNum, table.schema);
  return { ...row, ...(binding ?? UNBOUND), path_key: pathKey(namespace.path) };
}

/** The columns of a new table, apart from those that other rows determine. */
export function newTableColumns(
  tenant: string,
  tableId: string,
  table: NewTable,
): Omit<TableRow, 'table_num' | 'catalog_id'> {
  const now = Date.now();
  return {
    table_id: tableId,
    tenant_id: tenant,
    namespace_id: table.namespaceId,
    name: table.name,
    description: table.description,
    format: tableFormatToJSON(table.format),
    format_version: table.formatVersion,
    location: table.location,
    metadata_location: table.metadataLocation,
    properties: JSON.stringify(table.properties),
    schema_id: table.schema?.schemaId ?? null,
    partition_specs: JSON.stringify(table.partitionSpecs.map(PartitionSpec.toJSON)),
    default_spec_id: table.defaultSpecId,
    current_snapshot_id: null,
    refs: JSON.stringify(table.refs.map(SnapshotRef.toJSON)),
    created_at: now,
    updated_at: now,
    etag: newEtag(),
  };
}

const insert = compiledWrite((db, row: Insertable<TableRow>) => db.insertInto('tables').values(row));

/** Creates empty contents of a table. @returns their number */
export async function newContents(db: Db, tableId: string): Promise<number> {
  const [inserted] = await insertContents(db, { table_id: tableId, generation: 1, dropped: 0 });
  return (inserted as { table_num: number }).table_num;
}

const insertContents = compiledWrite((db, row: Insertable<Schema['table_contents']>) =>
  db.insertInto('table_contents').values(row).returning('table_num'),
);

function select(db: Kysely<Schema>, tenant: string) {
  return db
    .selectFrom('tables')
    .innerJoin('namespaces', (join) =>
      join
        .onRef('namespaces.namespace_id', '=', 'tables.namespace_id')
        .onRef('namespaces.tenant_id', '=', 'tables.tenant_id'),
    )
    .leftJoin('bindings', 'bindings.object_id', 'tables.table_id')
    .selectAll('tables')
    .select(['namespaces.path_key', ...BINDING_COLUMNS])
    .where('tables.tenant_id', '=', tenant);
}

const byId = compiledQuery((db, tenant: string, id: string) => select(db, tenant).where('tables.table_id', '=', id));

/** Call it in the transaction that writes. @throws CodedError NOT_FOUND, PERMISSION_DENIED without the claim of the connector that owns the table */
export async function getTableRowToWrite(db: Db, id: string): Promise<StoredTable> {
  const row = await getTableRow(db, id);
  requireClaimOn(row.connector_id);
  return row;
}

/** @throws CodedError NOT_FOUND */
export async function getTableRow(db: Db, id: string): Promise<StoredTable> {
  const row = await findTableRow(db, id);
  if (!row) throw notFound('table', id);
  return row;
}

export async function findTableRow(db: Db, id: string): Promise<StoredTable | undefined> {
  return (await byId(db, db.tenant, id))[0];
}

/** Whether a table of any tenant has the id: ids are unique over all of them. */
export async function isTableId(db: AllTenants, id: string): Promise<boolean> {
  const query = db.selectFrom('tables').select('table_id').where('table_id', '=', id);
  return (await query.executeTakeFirst()) !== undefined;
}

/** @throws CodedError NOT_FOUND */
export async function getTable(db: Db, id: string): Promise<Table> {
  return tableMessage(db, await getTableRow(db, id));
}

/**
 * Whether a table or view can be read by name. A connector's table cannot be read until it is completely ingested, since it
 * would look like an empty table.
 */
export async function isReadable(db: Db, objectId: string): Promise<boolean> {
  const incomplete = await db
    .selectFrom('bindings')
    .select('object_id')
    .where('tenant_id', '=', db.tenant)
    .where('object_id', '=', objectId)
    .where('kind', '=', TABLE)
    .where('connector_id', 'is not', null)
    .where('fingerprint', '=', '')
    .executeTakeFirst();
  return incomplete === undefined;
}

const LARGE_COLUMNS = [
  ...['tables.properties', 'tables.refs', 'tables.partition_specs', 'tables.description', 'tables.location'],
  ...['tables.metadata_location', 'namespaces.path_key', 'upstream_path_key', 'fingerprint', 'coverage'],
];

/** Lists a page of at most `size` tables after `after`, ordered by name: those that can be read by name (see `isReadable`). */
export async function listTables(db: Db, namespaceId: string, size: number, after = '') {
  const query = select(db, db.tenant)
    .where('tables.namespace_id', '=', namespaceId)
    .where('tables.name', '>', after)
    .where((eb) => eb.or([eb('bindings.connector_id', 'is', null), eb('bindings.fingerprint', '!=', '')]))
    .orderBy('tables.name');
  const lengths = query
    .leftJoin('table_schemas', (join) =>
      join
        .onRef('table_schemas.table_num', '=', 'tables.table_num')
        .onRef('table_schemas.schema_id', '=', 'tables.schema_id'),
    )
    .clearSelect()
    .select(
      // The columns of the schema follow it in the message, and are about as long.
      bytesOf(...LARGE_COLUMNS, 'table_schemas.json', 'table_schemas.json').as('bytes'),
    )
    .limit(size + 1);
  const { items, last } = await readCut(query, await lengths.execute(), size);
  const tables: Table[] = [];
  for (const row of items) tables.push(await tableMessage(db, row));
  return { tables, more: last !== undefined };
}

/** Changes columns and gives the table a new etag. */
export async function updateTableRow(db: Db, tableId: string, changes: Updateable<TableRow>): Promise<void> {
  await update(db, { ...changes, updated_at: Date.now(), etag: newEtag() }, tableId, db.tenant);
}

const update = compiledWrite((db, row: Updateable<TableRow>, tableId: string, tenant: string) =>
  db.updateTable('tables').set(row).where('table_id', '=', tableId).where('tenant_id', '=', tenant),
);

/** Moves a table to a namespace and name. The name must be free in that namespace. */
export async function moveTable(db: Db, tableId: string, namespaceId: string, catalogId: string, name: string) {
  await unnameObject(db, tableId);
  await nameObject(db, namespaceId, name, tableId);
  await updateTableRow(db, tableId, { namespace_id: namespaceId, catalog_id: catalogId, name });
}

/** Deletes a table at once and marks its contents to be purged (see purge.ts). */
export async function deleteTable(db: Db, tableId: string, tableNum: number): Promise<void> {
  await unnameObject(db, tableId);
  await deleteBinding(db, tableId);
  await db.deleteFrom('tables').where('tenant_id', '=', db.tenant).where('table_id', '=', tableId).execute();
  await dropContents(db, tableNum);
  await deleteIdempotencyKeys(db, tableId);
}

/** Marks contents to be purged. */
export async function dropContents(db: Db, tableNum: number): Promise<void> {
  await db.updateTable('table_contents').set({ dropped: 1 }).where('table_num', '=', tableNum).execute();
}

export async function tableMessage(db: Db, row: StoredTable): Promise<Table> {
  return {
    tableId: row.table_id,
    catalogId: row.catalog_id,
    namespaceId: row.namespace_id,
    namespacePath: pathOfKey(row.path_key),
    name: row.name,
    description: row.description,
    format: tableFormatFromJSON(row.format),
    formatVersion: row.format_version,
    location: row.location,
    properties: jsonMap(row.properties),
    schema: row.schema_id === null ? undefined : await findSchema(db, row.table_num, row.schema_id),
    partitionSpecs: specsOf(row),
    defaultSpecId: row.default_spec_id,
    currentSnapshotId: row.current_snapshot_id === null ? undefined : BigInt(row.current_snapshot_id),
    refs: (JSON.parse(row.refs) as unknown[]).map(SnapshotRef.fromJSON),
    upstream: toUpstream(row),
    createdAt: new Date(row.created_at),
    updatedAt: new Date(row.updated_at),
    etag: row.etag,
    metadataLocation: row.metadata_location,
    unreadableSnapshots: 0,
  };
}

export function specsOf({ partition_specs }: Pick<TableRow, 'partition_specs'>): PartitionSpec[] {
  return (JSON.parse(partition_specs) as unknown[]).map(PartitionSpec.fromJSON);
}
