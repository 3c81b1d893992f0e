import { ObjectKind } from '../../../generated/reconciler/internal/v1/bindings.ts';
import type { Scoped } from '../database/scoped.ts';
import { deleteObject, touchObject } from './objects.ts';

type Db = Scoped;

/** Objects per transaction: some milliseconds, between which other calls are served. */
const STEP = 200;

/** Deletes some of a connector's tables and views. @returns how many were deleted, with how many snapshots; 0 when none are left */
export async function deleteSomeContents(
  db: Db,
  connectorId: string,
): Promise<{ tables: number; views: number; snapshots: number }> {
  const objects = await someBindings(db, connectorId).select(['object_id', 'kind']).execute();
  const snapshots = await countSnapshots(
    db,
    objects.map(({ object_id }) => object_id),
  );
  for (const { object_id, kind } of objects) await deleteObject(db, kind, object_id);
  const tables = objects.filter(({ kind }) => kind === ObjectKind.OBJECT_KIND_TABLE).length;
  return { tables, views: objects.length - tables, snapshots };
}

/** Unbinds some of a connector's tables and views from it. @returns how many were unbound; 0 when none are left */
export async function releaseSomeContents(db: Db, connectorId: string): Promise<number> {
  const objects = await someBindings(db, connectorId).select(['object_id', 'kind']).execute();
  const ids = objects.map(({ object_id }) => object_id);
  if (ids.length > 0) {
    await db
      .updateTable('bindings')
      .set({ connector_id: null })
      .where('tenant_id', '=', db.tenant)
      .where('object_id', 'in', ids)
      .execute();
  }
  for (const { object_id, kind } of objects) await touchObject(db, kind, object_id);
  return objects.length;
}

function someBindings(db: Db, connectorId: string) {
  return db
    .selectFrom('bindings')
    .where('tenant_id', '=', db.tenant)
    .where('connector_id', '=', connectorId)
    .limit(STEP);
}

async function countSnapshots(db: Db, tableIds: string[]): Promise<number> {
  if (tableIds.length === 0) return 0;
  const { count } = await db
    .selectFrom('tables')
    .innerJoin('snapshots', 'snapshots.table_num', 'tables.table_num')
    .select(({ fn }) => fn.countAll<number>().as('count'))
    .where('tables.tenant_id', '=', db.tenant)
    .where('tables.table_id', 'in', tableIds)
    .where('snapshots.published', 'is not', null)
    .executeTakeFirstOrThrow();
  return count;
}
