import type { Snapshot } from '../../../generated/reconciler/v1/snapshots.ts';
import type { Scoped } from '../database/scoped.ts';
import { write } from '../database/transaction.ts';
import { basePositionOf, isSamePosition } from '../lineage/lineage.ts';
import { type getTableRow, getTableRowToWrite } from '../tables/tables.ts';
import { restage } from './delete-snapshot.ts';
import { isAnother } from './snapshot-identity.ts';
import { columnsOf, findBase, findSnapshotRow, insertSnapshot, positionOf, type StoredSnapshot } from './snapshots.ts';

type Db = Scoped;
type Table = Awaited<ReturnType<typeof getTableRow>>;

export interface EnsuredSnapshot {
  table: Table;
  row: StoredSnapshot;
}

export interface EnsureSnapshotOptions {
  /** The stream for which a new snapshot is staged; null if no stream is known yet. */
  stageKey: string | null;
  /** Stages a snapshot beside a complete one that has its id and is another one, instead of updating that. */
  replacesOther?: boolean;
}

/**
 * Upserts a snapshot. A staged snapshot with another base is staged again; a complete one keeps its base.
 *
 * @param then runs in the same transaction
 * @returns what `then` returns
 * @throws CodedError NOT_FOUND if the table does not exist, FAILED_PRECONDITION if the base is not complete
 */
export async function ensureSnapshot<T = EnsuredSnapshot>(
  db: Db,
  snapshot: Snapshot,
  { stageKey, replacesOther = false }: EnsureSnapshotOptions,
  then: (trx: Db, ensured: EnsuredSnapshot) => Promise<T> = async (_, ensured) => ensured as T,
): Promise<T> {
  for (;;) {
    const result = await write(db, async (trx) => {
      const table = await getTableRowToWrite(trx, snapshot.tableId);
      const { stored, replacement } = await find(trx, table, snapshot, replacesOther);
      if (!stored) {
        const base = await findBase(trx, table, snapshot);
        const row = await insertSnapshot(trx, table, snapshot, { base, stageKey, replacement });
        return { done: await then(trx, { table, row }) };
      }
      if (stored.complete === 0) {
        const base = await findBase(trx, table, snapshot);
        const before = await basePositionOf(trx, positionOf(stored));
        // A base that another snapshot has replaced has its id, but another position.
        if (!isSamePosition(before, base && positionOf(base))) return { onAnotherBase: stored };
      }
      const columns = columnsOf(snapshot);
      await trx.updateTable('snapshots').set(columns).where('snapshot_num', '=', stored.snapshot_num).execute();
      // Bounds are compared and formatted in the types of the snapshot's schema.
      if (stored.schema_id !== columns.schema_id) {
        await trx.deleteFrom('column_states').where('snapshot_num', '=', stored.snapshot_num).execute();
        await trx.deleteFrom('derived_ndv').where('snapshot_num', '=', stored.snapshot_num).execute();
      }
      return { done: await then(trx, { table, row: { ...stored, ...columns } }) };
    });
    if (result.onAnotherBase) await restage(db, result.onAnotherBase, snapshot);
    else return result.done as T;
  }
}

async function find(db: Db, table: Table, snapshot: Snapshot, replacesOther: boolean) {
  const stored = await findSnapshotRow(db, table.table_num, snapshot.snapshotId);
  const isOther = replacesOther && stored?.complete === 1 && isAnother(stored, snapshot, table);
  if (!isOther) return { stored, replacement: false };
  return {
    stored: await findSnapshotRow(db, table.table_num, snapshot.snapshotId, { replacement: true }),
    replacement: true,
  };
}
