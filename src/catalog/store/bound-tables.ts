import type { Kysely } from 'kysely';
import { CodedError } from '../../errors.ts';
import type { Connector } from '../../generated/reconciler/v1/connectors.ts';
import type { Namespace } from '../../generated/reconciler/v1/namespaces.ts';
import type { EnsureTableRequest, UpstreamTable } from '../../generated/reconciler/v1/reconciliation.ts';
import { type Table, Table as TableMessage, tableFormatToJSON } from '../../generated/reconciler/v1/tables.ts';
import { formatName } from '../../names.ts';
import { findConnector } from './connectors.ts';
import { findObject } from './object-names.ts';
import { pathKey, pathOfKey, subtree } from './path-key.ts';
import type { Schema } from './schema.ts';
import {
  dropContents,
  findTableByName,
  getTable,
  getTableRow,
  insertTable,
  moveTable,
  newContents,
  updateTableRow,
} from './tables.ts';

type Db = Kysely<Schema>;
type Row = Awaited<ReturnType<typeof getTableRow>>;

/** What the catalog knows of an upstream table. */
export interface KnownTable {
  tableId: string;
  fingerprint: string;
  missing: boolean;
  namespacePath: string[];
  name: string;
}

/** One answer for each that is asked, in order; `tableId` is empty where there is none. */
export async function lookupUpstreamTables(
  db: Db,
  connectorId: string,
  tables: readonly UpstreamTable[],
): Promise<KnownTable[]> {
  const namesByPath = new Map<string, Set<string>>();
  for (const { namespacePath, name } of tables) {
    const key = pathKey(namespacePath);
    namesByPath.set(key, (namesByPath.get(key) ?? new Set()).add(name));
  }
  const known = new Map<string, KnownTable>();
  for (const [key, names] of namesByPath) {
    const rows = await db
      .selectFrom('tables')
      .innerJoin('namespaces', 'namespaces.namespace_id', 'tables.namespace_id')
      .select(['table_id', 'fingerprint', 'missing_since', 'path_key', 'name', 'upstream_name'])
      .where('connector_id', '=', connectorId)
      .where('upstream_path_key', '=', key)
      .where('upstream_name', 'in', [...names])
      .execute();
    for (const row of rows) {
      known.set(JSON.stringify([key, row.upstream_name]), {
        tableId: row.table_id,
        fingerprint: row.fingerprint,
        missing: row.missing_since !== null,
        namespacePath: pathOfKey(row.path_key),
        name: row.name,
      });
    }
  }
  const none: KnownTable = { tableId: '', fingerprint: '', missing: false, namespacePath: [], name: '' };
  return tables.map((table) => known.get(JSON.stringify([pathKey(table.namespacePath), table.name])) ?? none);
}

/**
 * The table that an upstream table is bound to. It is made where there is none, moved where the destination has changed, and
 * emptied where the upstream table is another one than before.
 *
 * @returns `emptied` where old contents wait to be removed
 * @throws CodedError ALREADY_EXISTS where the name belongs to something else
 */
export async function ensureTable(
  db: Db,
  request: EnsureTableRequest,
  upstream: UpstreamTable,
  connector: Connector,
  namespace: Namespace,
): Promise<{ table: Table; emptied: boolean }> {
  const bound = await findBound(db, connector.connectorId, upstream);
  const inPlace = bound && bound.namespace_id === namespace.namespaceId && bound.name === request.name;
  const occupant = inPlace ? undefined : await findOccupant(db, namespace, request.name, connector);
  if (bound) {
    if (occupant) throw taken(namespace, request.name, `table ${occupant.table_id} that no connector owns`, connector);
    if (!inPlace) await moveTable(db, bound, namespace.namespaceId, namespace.catalogId, request.name);
    return refresh(db, bound, request, {});
  }
  if (occupant) {
    const binding = {
      connector_id: connector.connectorId,
      upstream_path_key: pathKey(upstream.namespacePath),
      upstream_name: upstream.name,
      // The fingerprint was another connector's: this one has yet to read the table.
      fingerprint: '',
    };
    return refresh(db, occupant, request, binding);
  }
  const table = await insertTable(db, {
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
    },
  });
  return { table, emptied: false };
}

async function findBound(db: Db, connectorId: string, upstream: UpstreamTable): Promise<Row | undefined> {
  const row = await db
    .selectFrom('tables')
    .select('table_id')
    .where('connector_id', '=', connectorId)
    .where('upstream_path_key', '=', pathKey(upstream.namespacePath))
    .where('upstream_name', '=', upstream.name)
    .executeTakeFirst();
  return row && getTableRow(db, row.table_id);
}

/** The table that has the name and belongs to no connector, so that it may be taken over. */
async function findOccupant(
  db: Db,
  namespace: Namespace,
  name: string,
  connector: Connector,
): Promise<Row | undefined> {
  const row = await findTableByName(db, namespace.namespaceId, name);
  if (!row) {
    const view = await findObject(db, namespace.namespaceId, name);
    if (view) throw taken(namespace, name, `view ${view}`, connector);
    return undefined;
  }
  const owner = row.connector_id === null ? undefined : await findConnector(db, row.connector_id);
  if (!owner) return row;
  const source = formatName([...pathOfKey(row.upstream_path_key ?? ''), row.upstream_name ?? '']);
  throw taken(namespace, name, `'${source}' of connector '${owner.displayName}' (table ${row.table_id})`, connector);
}

function taken(namespace: Namespace, name: string, by: string, connector: Connector): CodedError {
  const full = formatName([...namespace.path, name]);
  return new CodedError(
    'ALREADY_EXISTS',
    `table '${full}' belongs to ${by}: give connector '${connector.displayName}' another destination, or delete the table`,
  );
}

/** Brings a known table up to what the upstream says, and back from missing. Writes nothing where nothing differs. */
async function refresh(db: Db, row: Row, request: EnsureTableRequest, binding: Partial<Row>) {
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
    });
  }
  const differs = Object.entries(wanted).some(([column, value]) => row[column as keyof Row] !== value);
  if (differs) await updateTableRow(db, row.table_id, wanted);
  return { table: await getTable(db, row.table_id), emptied: another };
}

/** Where a page of bound tables goes on. */
export interface BoundCursor {
  pathKey: string;
  name: string;
}

/** Tables of a connector that are not missing, by upstream namespace and name; of one namespace and below, if it is given. */
export async function listBoundTables(
  db: Db,
  connectorId: string,
  path: readonly string[],
  limit: number,
  after?: BoundCursor,
) {
  let query = db
    .selectFrom('tables')
    .select(['table_id', 'upstream_path_key', 'upstream_name'])
    .where('connector_id', '=', connectorId)
    .where('missing_since', 'is', null);
  if (path.length > 0) {
    const { from, to } = subtree(path);
    query = query.where('upstream_path_key', '>=', from).where('upstream_path_key', '<', to);
  }
  if (after) {
    query = query.where((eb) =>
      eb.or([
        eb('upstream_path_key', '>', after.pathKey),
        eb.and([eb('upstream_path_key', '=', after.pathKey), eb('upstream_name', '>', after.name)]),
      ]),
    );
  }
  const rows = await query.orderBy('upstream_path_key').orderBy('upstream_name').limit(limit).execute();
  return rows.map((row) => ({
    tableId: row.table_id,
    pathKey: row.upstream_path_key ?? '',
    upstream: { namespacePath: pathOfKey(row.upstream_path_key ?? ''), name: row.upstream_name ?? '' },
  }));
}

/** @returns how many were not missing before */
export async function markTablesMissing(db: Db, connectorId: string, tableIds: readonly string[]): Promise<number> {
  let marked = 0;
  for (const id of new Set(tableIds)) {
    const row = await db
      .selectFrom('tables')
      .select('table_id')
      .where('table_id', '=', id)
      .where('connector_id', '=', connectorId)
      .where('missing_since', 'is', null)
      .executeTakeFirst();
    if (!row) continue;
    await updateTableRow(db, id, { missing_since: Date.now() });
    marked += 1;
  }
  return marked;
}
