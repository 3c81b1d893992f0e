import { ObjectKind } from '../../../generated/reconciler/internal/v1/bindings.ts';
import { bytesOf, mapPage, type Page, readPage } from '../database/page-cut.ts';
import type { Scoped } from '../database/scoped.ts';
import { getTableRow } from '../tables/tables.ts';
import { findSnapshotRow, refsBySnapshot, type StoredSnapshot } from './snapshots.ts';

type Db = Scoped;

/** An expired snapshot of a connector's table. */
export interface ExpiredSnapshot {
  tableId: string;
  pathKey: string;
  tableName: string;
  snapshotId: string;
  snapshotNum: number;
}

/** The last snapshot of a page; the next page starts after it. */
export type ExpiredCursor = Pick<ExpiredSnapshot, 'pathKey' | 'tableName' | 'snapshotNum'>;

/**
 * Lists a page of at most `size` snapshots of a connector's tables that expired by a time, ordered by upstream name and from the oldest,
 * after `after`.
 *
 * @param expiredBy milliseconds since 1970
 * @param options.validateOnly leaves out tables that are missing since then, which a real run would have dropped before
 */
export async function listExpiredSnapshots(
  db: Db,
  connectorId: string,
  expiredBy: number,
  size: number,
  { after, validateOnly = false }: { after?: ExpiredCursor; validateOnly?: boolean } = {},
): Promise<Page<ExpiredSnapshot>> {
  let query = db
    .selectFrom('bindings')
    .innerJoin('tables', 'tables.table_id', 'bindings.object_id')
    .innerJoin('snapshots', 'snapshots.table_num', 'tables.table_num')
    .select(['table_id', 'upstream_path_key', 'upstream_name', 'snapshot_id', 'snapshot_num'])
    .where('bindings.tenant_id', '=', db.tenant)
    .where('connector_id', '=', connectorId)
    .where('bindings.kind', '=', ObjectKind.OBJECT_KIND_TABLE)
    .where('published', 'is not', null)
    .where('expired_at', 'is not', null)
    .where('expired_at', '<=', expiredBy);
  if (validateOnly) {
    query = query.where((eb) => eb.or([eb('missing_since', 'is', null), eb('missing_since', '>', expiredBy)]));
  }
  if (after) {
    const { pathKey, tableName, snapshotNum } = after;
    query = query.where(({ eb, refTuple, tuple }) =>
      eb(refTuple('upstream_path_key', 'upstream_name', 'snapshot_num'), '>', tuple(pathKey, tableName, snapshotNum)),
    );
  }
  const inOrder = query.orderBy('upstream_path_key').orderBy('upstream_name').orderBy('snapshot_num');
  return mapPage(await readPage(inOrder, bytesOf('upstream_path_key', 'upstream_name'), size), (row) => ({
    tableId: row.table_id,
    pathKey: row.upstream_path_key,
    tableName: row.upstream_name,
    snapshotId: row.snapshot_id,
    snapshotNum: row.snapshot_num,
  }));
}

/**
 * Drops an expired snapshot, even if others are based on it. Those lose their base, and from then on hold all files that are live
 * in their ancestry. The dropped snapshot's position stays, since later positions refer to it; files that no snapshot holds any
 * more are reclaimed afterwards (see reclaim-dropped.ts).
 *
 * @returns false, with nothing changed, if the snapshot is not droppable (see `isDroppable`)
 */
export async function dropSnapshot(db: Db, { tableId, snapshotId, snapshotNum }: ExpiredSnapshot): Promise<boolean> {
  const table = await getTableRow(db, tableId);
  const row = await findSnapshotRow(db, table.table_num, snapshotId);
  if (row?.snapshot_num !== snapshotNum || !(await isDroppable(db, table, row))) return false;
  await takeOut(db, row);
  return true;
}

/** Deletes a snapshot's row, and keeps its position. Nothing that is staged on it may be finished any more. */
export async function takeOut(db: Db, row: StoredSnapshot): Promise<void> {
  const { snapshot_num, snapshot_id, table_num, chain_num, ord } = row;
  for (const derived of ['column_states', 'derived_ndv', 'put_columns'] as const) {
    await db.deleteFrom(derived).where('snapshot_num', '=', snapshot_num).execute();
  }
  await basedOn(db, row).set({ base_snapshot_id: null }).execute();
  await db.deleteFrom('snapshots').where('snapshot_num', '=', snapshot_num).execute();
  await db.insertInto('dropped_positions').values({ chain_num, ord, table_num, snapshot_id, cleared: 0 }).execute();
}

/** Whether a snapshot is expired and not needed: it is not current, no ref names it, and no staged snapshot is based on it. */
export async function isDroppable(
  db: Db,
  table: Awaited<ReturnType<typeof getTableRow>>,
  row: StoredSnapshot,
): Promise<boolean> {
  if (row.expired_at === null || row.published === null || table.current_snapshot_id === row.snapshot_id) return false;
  if (refsBySnapshot(table).has(row.snapshot_id)) return false;
  const staged = await db
    .selectFrom('snapshots')
    .select('snapshot_num')
    .where('table_num', '=', row.table_num)
    .where('base_snapshot_id', '=', row.snapshot_id)
    .where('complete', '=', 0)
    .limit(1)
    .executeTakeFirst();
  return staged === undefined;
}

/** The complete snapshots that are based on this one. */
function basedOn(db: Db, { table_num, snapshot_id }: StoredSnapshot) {
  return db
    .updateTable('snapshots')
    .where('table_num', '=', table_num)
    .where('base_snapshot_id', '=', snapshot_id)
    .where('complete', '=', 1);
}
