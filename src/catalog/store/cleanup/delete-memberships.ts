import { setImmediate } from 'node:timers/promises';
import type { Kysely } from 'kysely';
import type { Schema } from '../database/schema.ts';
import { OPEN_END, type Position } from '../lineage/lineage.ts';

type Db = Kysely<Schema>;

/** `stage_key` of a snapshot whose staged changes are being removed. No stream has this key. */
export const CLEARING = '';
/** Says that what is staged is to be removed. */
export const TO_CLEAR = { stage_key: CLEARING, staged_groups: null } as const;

/** Rows a transaction: some milliseconds, between which other calls go on. */
const STEP = 2000;

/**
 * Removes what is staged in a snapshot's place, in small transactions. Its `stage_key` must be CLEARING, so that no stream
 * writes meanwhile and that a crash leaves it to be cleared again.
 */
export async function clearChanges(db: Db, place: Position): Promise<void> {
  for (const step of [clearArrivals, clearRemovals, clearDepartures]) {
    while (await db.transaction().execute((trx) => step(trx, place))) await setImmediate();
  }
}

/** The same of a snapshot that another stream takes over then: after it no stream has it. */
export async function clearStage(db: Db, snapshot: { snapshotNum: number; place: Position }): Promise<void> {
  await clearChanges(db, snapshot.place);
  await db
    .updateTable('snapshots')
    .set({ stage_key: null })
    .where('snapshot_num', '=', snapshot.snapshotNum)
    .where('stage_key', '=', CLEARING)
    .execute();
}

/** @returns whether there may be more */
async function clearArrivals(db: Db, { chain, ord }: Position): Promise<boolean> {
  const rows = await db
    .selectFrom('memberships')
    .select('file_num')
    .where('chain_num', '=', chain)
    .where('added_ord', '=', ord)
    .orderBy('file_num')
    .limit(STEP)
    .execute();
  const last = rows.at(-1);
  if (!last) return false;
  await db
    .deleteFrom('memberships')
    .where('chain_num', '=', chain)
    .where('added_ord', '=', ord)
    .where('file_num', '<=', last.file_num)
    .execute();
  await deleteOrphans(
    db,
    rows.map((row) => row.file_num),
  );
  return rows.length === STEP;
}

/** Files that no snapshot holds any more. */
export async function deleteOrphans(db: Db, fileNums: readonly number[]): Promise<void> {
  // SQLite takes 32,766 parameters, the step stays below.
  await db
    .deleteFrom('files')
    .where('file_num', 'in', fileNums)
    .where(({ not, exists, selectFrom }) =>
      not(
        exists(selectFrom('memberships').select('chain_num').whereRef('memberships.file_num', '=', 'files.file_num')),
      ),
    )
    .execute();
  // Their numbers may be given out again.
  await db
    .deleteFrom('file_sketches')
    .where('file_num', 'in', fileNums)
    .where(({ not, exists, selectFrom }) =>
      not(exists(selectFrom('files').select('kind').whereRef('files.file_num', '=', 'file_sketches.file_num'))),
    )
    .execute();
}

async function clearRemovals(db: Db, { chain, ord }: Position): Promise<boolean> {
  const rows = await db
    .selectFrom('memberships')
    .select(['added_ord', 'file_num'])
    .where('chain_num', '=', chain)
    .where('kind', 'in', [1, 2, 3, 4])
    .where('removed_ord', '=', ord)
    .limit(STEP)
    .execute();
  for (const { added_ord, file_num } of rows) {
    await db
      .updateTable('memberships')
      .set({ removed_ord: OPEN_END })
      .where('chain_num', '=', chain)
      .where('added_ord', '=', added_ord)
      .where('file_num', '=', file_num)
      .execute();
  }
  return rows.length === STEP;
}

async function clearDepartures(db: Db, { chain, ord }: Position): Promise<boolean> {
  await db.deleteFrom('branch_removals').where('chain_num', '=', chain).where('ord', '=', ord).execute();
  return false;
}
