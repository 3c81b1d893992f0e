import { CodedError } from '../../../errors.ts';
import type { Catalog } from '../../../generated/reconciler/v1/catalogs.ts';
import { newEtag, newId } from '../../identity/ids.ts';
import { alreadyExists, notFound } from '../database/errors.ts';
import { deleteIdempotencyKeys } from '../database/idempotency.ts';
import { jsonMap } from '../database/json.ts';
import { bytesOf, mapPage, type Page, readPage } from '../database/page-cut.ts';
import type { CatalogRow } from '../database/schema.ts';
import type { Scoped } from '../database/scoped.ts';

type Db = Scoped;

/** @throws CodedError ALREADY_EXISTS */
export async function insertCatalog(db: Db, catalog: Pick<Catalog, 'displayName' | 'description' | 'properties'>) {
  await refuseTakenName(db, catalog.displayName);
  const now = Date.now();
  const row: CatalogRow = {
    catalog_id: newId('cat'),
    tenant_id: db.tenant,
    display_name: catalog.displayName,
    description: catalog.description,
    properties: JSON.stringify(catalog.properties),
    created_at: now,
    updated_at: now,
    etag: newEtag(),
  };
  await db.insertInto('catalogs').values(row).execute();
  return toMessage(row);
}

/** @throws CodedError NOT_FOUND */
export async function getCatalog(db: Db, id: string): Promise<Catalog> {
  const row = await db
    .selectFrom('catalogs')
    .selectAll()
    .where('tenant_id', '=', db.tenant)
    .where('catalog_id', '=', id)
    .executeTakeFirst();
  if (!row) throw notFound('catalog', id);
  return toMessage(row);
}

export async function findCatalogByName(db: Db, name: string): Promise<Catalog | undefined> {
  const row = await db
    .selectFrom('catalogs')
    .selectAll()
    .where('tenant_id', '=', db.tenant)
    .where('display_name', '=', name)
    .executeTakeFirst();
  return row && toMessage(row);
}

/** Lists a page of at most `size` catalogs after `after`, ordered by display name. */
export async function listCatalogs(db: Db, size: number, after?: string): Promise<Page<Catalog>> {
  let query = db.selectFrom('catalogs').selectAll().where('tenant_id', '=', db.tenant);
  if (after !== undefined) query = query.where('display_name', '>', after);
  const bytes = bytesOf('display_name', 'description', 'properties');
  return mapPage(await readPage(query.orderBy('display_name'), bytes, size), toMessage);
}

/** @throws CodedError ALREADY_EXISTS if the new name is taken */
export async function updateCatalog(db: Db, catalog: Catalog): Promise<Catalog> {
  await refuseTakenName(db, catalog.displayName, catalog.catalogId);
  const changed = {
    display_name: catalog.displayName,
    description: catalog.description,
    properties: JSON.stringify(catalog.properties),
    updated_at: Date.now(),
    etag: newEtag(),
  };
  await db
    .updateTable('catalogs')
    .set(changed)
    .where('tenant_id', '=', db.tenant)
    .where('catalog_id', '=', catalog.catalogId)
    .execute();
  return getCatalog(db, catalog.catalogId);
}

/** @throws CodedError FAILED_PRECONDITION if it holds namespaces */
export async function deleteCatalog(db: Db, catalog: Catalog): Promise<void> {
  const held = await db
    .selectFrom('namespaces')
    .select('namespace_id')
    .where('tenant_id', '=', db.tenant)
    .where('catalog_id', '=', catalog.catalogId)
    .executeTakeFirst();
  if (held) {
    throw new CodedError(
      'FAILED_PRECONDITION',
      `catalog '${catalog.displayName}' (${catalog.catalogId}) still holds namespaces: delete them first`,
    );
  }
  await db
    .deleteFrom('catalogs')
    .where('tenant_id', '=', db.tenant)
    .where('catalog_id', '=', catalog.catalogId)
    .execute();
  await deleteIdempotencyKeys(db, catalog.catalogId);
}

async function refuseTakenName(db: Db, name: string, exceptId?: string): Promise<void> {
  const taken = await findCatalogByName(db, name);
  if (taken && taken.catalogId !== exceptId) throw alreadyExists('catalog', `'${name}'`, ` (${taken.catalogId})`);
}

function toMessage(row: CatalogRow): Catalog {
  return {
    catalogId: row.catalog_id,
    displayName: row.display_name,
    description: row.description,
    properties: jsonMap(row.properties),
    createdAt: new Date(row.created_at),
    updatedAt: new Date(row.updated_at),
    etag: row.etag,
  };
}
