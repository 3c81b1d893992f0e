import type { Selectable, Updateable } from 'kysely';
import { ObjectKind } from '../../../generated/reconciler/internal/v1/bindings.ts';
import type { TableUpstream } from '../../../generated/reconciler/v1/tables.ts';
import { View } from '../../../generated/reconciler/v1/views.ts';
import { formatName } from '../../../names.ts';
import { newEtag, newId } from '../../identity/ids.ts';
import { alreadyExists, notFound } from '../database/errors.ts';
import { deleteIdempotencyKeys } from '../database/idempotency.ts';
import { bytesOf, mapPage, readPage } from '../database/page-cut.ts';
import { pathOfKey } from '../database/path-key.ts';
import type { ViewRow } from '../database/schema.ts';
import type { Scoped } from '../database/scoped.ts';
import { getNamespace } from '../namespaces/namespaces.ts';
import { findObject, nameObject, unnameObject } from '../namespaces/object-names.ts';
import {
  BINDING_COLUMNS,
  bindingColumns,
  deleteBinding,
  insertBinding,
  type JoinedBinding,
  rebind,
  toUpstream,
} from './binding-columns.ts';
import { schemaMessage } from './table-schemas.ts';

type Db = Scoped;
const VIEW = ObjectKind.OBJECT_KIND_VIEW;

/** A view's row with its namespace's path and its binding. */
export type StoredView = Selectable<ViewRow> & JoinedBinding & { path_key: string };

/** @throws CodedError NOT_FOUND for the namespace, ALREADY_EXISTS for the name */
export async function insertView(db: Db, view: View): Promise<View> {
  const namespace = await getNamespace(db, view.namespaceId);
  const taken = await findObject(db, view.namespaceId, view.name);
  if (taken) throw alreadyExists('view', `'${formatName([...namespace.path, view.name])}'`, ` (${taken})`);
  const viewId = newId('view');
  await nameObject(db, view.namespaceId, view.name, viewId);
  const now = Date.now();
  await db
    .insertInto('views')
    .values({
      view_id: viewId,
      tenant_id: db.tenant,
      catalog_id: namespace.catalogId,
      namespace_id: namespace.namespaceId,
      name: view.name,
      body: viewBody(view),
      created_at: now,
      updated_at: now,
      etag: newEtag(),
    })
    .execute();
  if (view.upstream) await insertBinding(db, VIEW, viewId, columnsOf(view.upstream));
  return getView(db, viewId);
}

/** A view has no coverage. */
function columnsOf(upstream: TableUpstream) {
  return bindingColumns({ ...upstream, coverage: '' });
}

function select(db: Db) {
  return db
    .selectFrom('views')
    .innerJoin('namespaces', (join) =>
      join
        .onRef('namespaces.namespace_id', '=', 'views.namespace_id')
        .onRef('namespaces.tenant_id', '=', 'views.tenant_id'),
    )
    .leftJoin('bindings', 'bindings.object_id', 'views.view_id')
    .selectAll('views')
    .select(['namespaces.path_key', ...BINDING_COLUMNS])
    .where('views.tenant_id', '=', db.tenant);
}

/** @throws CodedError NOT_FOUND */
export async function getViewRow(db: Db, id: string): Promise<StoredView> {
  const row = await select(db).where('views.view_id', '=', id).executeTakeFirst();
  if (!row) throw notFound('view', id);
  return row;
}

/** @throws CodedError NOT_FOUND */
export async function getView(db: Db, id: string): Promise<View> {
  return toMessage(await getViewRow(db, id));
}

/** Lists a page of at most `size` views after `after`, ordered by name. */
export async function listViews(db: Db, namespaceId: string, size: number, after = '') {
  const query = select(db)
    .where('views.namespace_id', '=', namespaceId)
    .where('views.name', '>', after)
    .orderBy('views.name');
  // The columns of the schema follow it in the message, and are about as long.
  const bytes = bytesOf('views.body', 'views.body', 'namespaces.path_key', 'upstream_path_key', 'fingerprint');
  return mapPage(await readPage(query, bytes, size), toMessage);
}

export async function updateView(db: Db, view: View): Promise<View> {
  const stored = await getViewRow(db, view.viewId);
  await updateViewRow(db, view.viewId, { body: viewBody(view) });
  if (view.upstream) await rebind(db, VIEW, view.viewId, stored, columnsOf(view.upstream));
  else await deleteBinding(db, view.viewId);
  return getView(db, view.viewId);
}

/** Changes columns and gives the view a new etag. */
export async function updateViewRow(db: Db, viewId: string, changes: Updateable<ViewRow>): Promise<void> {
  await db
    .updateTable('views')
    .set({ ...changes, updated_at: Date.now(), etag: newEtag() })
    .where('tenant_id', '=', db.tenant)
    .where('view_id', '=', viewId)
    .execute();
}

/** Moves a view to a namespace and name. The name must be free in that namespace. */
export async function moveView(db: Db, viewId: string, namespaceId: string, catalogId: string, name: string) {
  await unnameObject(db, viewId);
  await nameObject(db, namespaceId, name, viewId);
  await updateViewRow(db, viewId, { namespace_id: namespaceId, catalog_id: catalogId, name });
}

export async function deleteView(db: Db, id: string): Promise<void> {
  await unnameObject(db, id);
  await deleteBinding(db, id);
  await db.deleteFrom('views').where('tenant_id', '=', db.tenant).where('view_id', '=', id).execute();
  await deleteIdempotencyKeys(db, id);
}

/** The column `body`. It is equal for equal views, whatever the order of their properties. */
export function viewBody(view: View): string {
  const { description, versionId, schema, representations, defaultCatalog, defaultNamespace } = view;
  const properties = Object.fromEntries(Object.entries(view.properties).sort(([a], [b]) => (a < b ? -1 : 1)));
  const kept = { description, versionId, representations, defaultCatalog, defaultNamespace, properties };
  return JSON.stringify(View.toJSON(View.fromPartial({ ...kept, schema: schema && { ...schema, columns: [] } })));
}

export function toMessage(row: StoredView): View {
  const view = View.fromJSON(JSON.parse(row.body));
  if (view.schema) view.schema = schemaMessage(view.schema.schemaId, view.schema.json);
  view.viewId = row.view_id;
  view.catalogId = row.catalog_id;
  view.namespaceId = row.namespace_id;
  view.namespacePath = pathOfKey(row.path_key);
  view.name = row.name;
  view.upstream = toUpstream(row);
  view.createdAt = new Date(row.created_at);
  view.updatedAt = new Date(row.updated_at);
  view.etag = row.etag;
  return view;
}
