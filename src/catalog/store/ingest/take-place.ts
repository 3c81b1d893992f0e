import { MARK_DELETING } from '../cleanup/delete-memberships.ts';
import type { Scoped } from '../database/scoped.ts';
import { refuseNextPages } from '../files/recompute.ts';
import { takeOut } from '../snapshots/drop-snapshot.ts';
import { findSnapshotRow, type StoredSnapshot } from '../snapshots/snapshots.ts';

/**
 * Drops the snapshot whose id a staged one has, in the transaction that makes the staged one visible: readers see the one or the other. Snapshots
 * that are based on the dropped one keep their files.
 */
export async function takePlace(db: Scoped, replacement: StoredSnapshot): Promise<void> {
  const { snapshot_num, table_num, snapshot_id } = replacement;
  const other = await findSnapshotRow(db, table_num, snapshot_id);
  if (other) {
    // What is staged on it must not be finished: it would be added to the new snapshot. Its next stream stages it again.
    await db
      .updateTable('snapshots')
      .set(MARK_DELETING)
      .where('table_num', '=', table_num)
      .where('base_snapshot_id', '=', snapshot_id)
      .where('complete', '=', 0)
      .execute();
    await takeOut(db, other);
  }
  await db.updateTable('snapshots').set({ replacement: 0 }).where('snapshot_num', '=', snapshot_num).execute();
  // What was derived of other snapshots stays right, as their files stay.
  await refuseNextPages(db, table_num);
}
