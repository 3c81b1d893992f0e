import type { Kysely } from 'kysely';
import type { Snapshot } from '../../../generated/reconciler/v1/snapshots.ts';
import type { Schema } from '../database/schema.ts';
import { write } from '../database/transaction.ts';
import { getTableRow } from '../tables/tables.ts';
import { restage } from './delete-snapshot.ts';
import { columnsOf, findBase, findSnapshotRow, insertSnapshot, type StoredSnapshot } from './snapshots.ts';

type Db = Kysely<Schema>;

export interface EnsuredSnapshot {
  table: Awaited<ReturnType<typeof getTableRow>>;
  row: StoredSnapshot;
}

/**
 * Upserts a snapshot. A staged snapshot with another base is staged again; a complete one keeps its base.
 *
 * @param stageKey the stream for which a new snapshot is staged; null if no stream is known yet
 * @param then runs in the same transaction
 * @returns what `then` returns
 * @throws CodedError NOT_FOUND if the table does not exist, FAILED_PRECONDITION if the base is not complete
 */
export async function ensureSnapshot<T = EnsuredSnapshot>(
  db: Db,
  snapshot: Snapshot,
  stageKey: string | null,
  then: (trx: Db, ensured: EnsuredSnapshot) => Promise<T> = async (_, ensured) => ensured as T,
): Promise<T> {
  for (;;) {
    const result = await write(db, async (trx) => {
      const table = await getTableRow(trx, snapshot.tableId);
      const stored = await findSnapshotRow(trx, table.table_num, snapshot.snapshotId);
      if (!stored) {
        const base = await findBase(trx, table, snapshot);
        return { done: await then(trx, { table, row: await insertSnapshot(trx, table, snapshot, base, stageKey) }) };
      }
      if (stored.complete === 0 && stored.base_snapshot_id !== (snapshot.baseSnapshotId?.toString() ?? null)) {
        await findBase(trx, table, snapshot);
        return { onAnotherBase: stored };
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
