import { CodedError } from '../../../errors.ts';
import type { Namespace } from '../../../generated/reconciler/v1/namespaces.ts';
import { formatName } from '../../../names.ts';
import { newEtag, newId } from '../../identity/ids.ts';
import { compiledQuery } from '../database/compiled-query.ts';
import { alreadyExists, notFound } from '../database/errors.ts';
import { deleteIdempotencyKeys } from '../database/idempotency.ts';
import { jsonMap } from '../database/json.ts';
import { bytesOf, mapPage, type Page, readPage } from '../database/page-cut.ts';
import { pathKey, pathOfKey, subtree } from '../database/path-key.ts';
import type { NamespaceRow } from '../database/schema.ts';
import type { Scoped } from '../database/scoped.ts';
import { getCatalog } from './catalogs.ts';

type Db = Scoped;

/** @throws CodedError NOT_FOUND for the catalog, ALREADY_EXISTS for the path */
export async function insertNamespace(
  db: Db,
  namespace: Pick<Namespace, 'catalogId' | 'path' | 'description' | 'properties'>,
): Promise<Namespace> {
  const catalog = await getCatalog(db, namespace.catalogId);
  const taken = await findNamespace(db, namespace.catalogId, namespace.path);
  if (taken) {
    const name = formatName([catalog.displayName, ...namespace.path]);
    throw alreadyExists('namespace', `'${name}'`, ` (${taken.namespaceId})`);
  }
  const now = Date.now();
  const row: NamespaceRow = {
    namespace_id: newId('ns'),
    tenant_id: db.tenant,
    catalog_id: namespace.catalogId,
    path_key: pathKey(namespace.path),
    description: namespace.description,
    properties: JSON.stringify(namespace.properties),
    created_at: now,
    updated_at: now,
    etag: newEtag(),
  };
  await db.insertInto('namespaces').values(row).execute();
  return toMessage(row);
}

/** @throws CodedError NOT_FOUND */
export async function getNamespace(db: Db, id: string): Promise<Namespace> {
  const [row] = await byId(db, id, db.tenant);
  if (!row) throw notFound('namespace', id);
  return toMessage(row);
}

const byId = compiledQuery((db, id: string, tenant: string) =>
  db.selectFrom('namespaces').selectAll().where('namespace_id', '=', id).where('tenant_id', '=', tenant),
);

export async function findNamespace(
  db: Db,
  catalogId: string,
  path: readonly string[],
): Promise<Namespace | undefined> {
  const row = await db
    .selectFrom('namespaces')
    .selectAll()
    .where('tenant_id', '=', db.tenant)
    .where('catalog_id', '=', catalogId)
    .where('path_key', '=', pathKey(path))
    .executeTakeFirst();
  return row && toMessage(row);
}

/** Paths of the namespaces with these ids, by id. */
export async function namespacePaths(db: Db, ids: readonly string[]): Promise<Map<string, string[]>> {
  if (ids.length === 0) return new Map();
  const rows = await db
    .selectFrom('namespaces')
    .select(['namespace_id', 'path_key'])
    .where('tenant_id', '=', db.tenant)
    .where('namespace_id', 'in', [...ids])
    .execute();
  return new Map(rows.map((row) => [row.namespace_id, pathOfKey(row.path_key)]));
}

/** Lists a page of at most `size` namespaces after `after`, ordered by path: all, or only `parent` and those below it. */
export async function listNamespaces(
  db: Db,
  catalogId: string,
  parent: readonly string[],
  size: number,
  after?: readonly string[],
): Promise<Page<Namespace>> {
  let query = db
    .selectFrom('namespaces')
    .selectAll()
    .where('tenant_id', '=', db.tenant)
    .where('catalog_id', '=', catalogId);
  if (parent.length > 0) {
    const { from, to } = subtree(parent);
    query = query.where('path_key', '>=', from).where('path_key', '<', to);
  }
  if (after) query = query.where('path_key', '>', pathKey(after));
  const bytes = bytesOf('path_key', 'description', 'properties');
  return mapPage(await readPage(query.orderBy('path_key'), bytes, size), toMessage);
}

export async function updateNamespace(db: Db, namespace: Namespace): Promise<Namespace> {
  const changed = {
    description: namespace.description,
    properties: JSON.stringify(namespace.properties),
    updated_at: Date.now(),
    etag: newEtag(),
  };
  await db
    .updateTable('namespaces')
    .set(changed)
    .where('tenant_id', '=', db.tenant)
    .where('namespace_id', '=', namespace.namespaceId)
    .execute();
  return getNamespace(db, namespace.namespaceId);
}

/** @throws CodedError FAILED_PRECONDITION if it holds tables or views */
export async function deleteNamespace(db: Db, namespace: Namespace): Promise<void> {
  const held = await db
    .selectFrom('object_names')
    .select('name')
    .where('namespace_id', '=', namespace.namespaceId)
    .executeTakeFirst();
  if (held) {
    throw new CodedError(
      'FAILED_PRECONDITION',
      `namespace '${formatName(namespace.path)}' (${namespace.namespaceId}) still holds tables or views, such as ` +
        `'${held.name}': delete them first`,
    );
  }
  await db
    .deleteFrom('namespaces')
    .where('tenant_id', '=', db.tenant)
    .where('namespace_id', '=', namespace.namespaceId)
    .execute();
  await deleteIdempotencyKeys(db, namespace.namespaceId);
}

function toMessage(row: NamespaceRow): Namespace {
  return {
    namespaceId: row.namespace_id,
    catalogId: row.catalog_id,
    path: pathOfKey(row.path_key),
    description: row.description,
    properties: jsonMap(row.properties),
    createdAt: new Date(row.created_at),
    updatedAt: new Date(row.updated_at),
    etag: row.etag,
  };
}
