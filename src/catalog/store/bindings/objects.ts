import { ObjectKind } from '../../../generated/reconciler/internal/v1/bindings.ts';
import type { Namespace } from '../../../generated/reconciler/v1/namespaces.ts';
import type { Scoped } from '../database/scoped.ts';
import { deleteTable, getTableRow, moveTable, updateTableRow } from '../tables/tables.ts';
import { deleteView, moveView, updateViewRow } from '../tables/views.ts';

type Db = Scoped;

/** Gives a table or view a new etag, since its binding has changed. */
export async function touchObject(db: Db, kind: ObjectKind, id: string): Promise<void> {
  if (kind === ObjectKind.OBJECT_KIND_TABLE) await updateTableRow(db, id, {});
  else await updateViewRow(db, id, {});
}

/** Moves a table or view to a namespace and name. The name must be free in that namespace. */
export async function moveObject(
  db: Db,
  kind: ObjectKind,
  id: string,
  { namespaceId, catalogId }: Namespace,
  name: string,
): Promise<void> {
  if (kind === ObjectKind.OBJECT_KIND_TABLE) await moveTable(db, id, namespaceId, catalogId, name);
  else await moveView(db, id, namespaceId, catalogId, name);
}

/** Deletes a table or view; a table's contents are purged afterwards (see purge.ts). */
export async function deleteObject(db: Db, kind: ObjectKind, id: string): Promise<void> {
  if (kind === ObjectKind.OBJECT_KIND_TABLE) await deleteTable(db, id, (await getTableRow(db, id)).table_num);
  else await deleteView(db, id);
}
