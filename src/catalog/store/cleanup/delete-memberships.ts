import { setImmediate } from 'node:timers/promises';
import type { Kysely } from 'kysely';
import type { Schema } from '../database/schema.ts';
import { write } from '../database/transaction.ts';
import { OPEN_END, type Position } from '../lineage/lineage.ts';

type Db = Kysely<Schema>;

/** `stage_key` of a snapshot whose staged changes are being deleted. No stream has this key. */
export const DELETING_KEY = '';
/** Columns of a snapshot whose staged changes are to be deleted. */
export const MARK_DELETING = { stage_key: DELETING_KEY, staged_groups: null } as const;

/** Rows per transaction: some milliseconds, between which other calls are served. */
const STEP = 2000;

/**
 * Deletes the changes that are staged at a snapshot's position, in small transactions. The snapshot's `stage_key` must be
 * DELETING_KEY, so that no stream writes meanwhile, and so that the deletion is repeated after a crash.
 *
 * @param signal ends the deletion after a transaction
 */
export async function deleteMemberships(db: Db, position: Position, signal?: AbortSignal): Promise<void> {
  for (const step of [deleteAdditions, undoRemovals, deleteBranchRemovals]) {
    while (!signal?.aborted && (await write(db, (trx) => step(trx, position)))) await setImmediate();
  }
}

/** Deletes a snapshot's staged changes and then releases it, so that another stream can take it over. */
export async function deleteStaged(db: Db, snapshot: { snapshotNum: number; position: Position }): Promise<void> {
  await deleteMemberships(db, snapshot.position);
  await write(db, (trx) =>
    trx
      .updateTable('snapshots')
      .set({ stage_key: null })
      .where('snapshot_num', '=', snapshot.snapshotNum)
      .where('stage_key', '=', DELETING_KEY)
      .execute(),
  );
}

/** @returns whether there may be more */
async function deleteAdditions(db: Db, { chain, ord }: Position): Promise<boolean> {
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

/** Deletes those of the files that no snapshot holds any more, and their sketches. */
export async function deleteOrphans(db: Db, fileNums: readonly number[]): Promise<void> {
  // SQLite accepts up to 32,766 parameters; callers pass fewer files.
  const deleted = await db
    .deleteFrom('files')
    .where('file_num', 'in', fileNums)
    .where(({ not, exists, selectFrom }) =>
      not(
        exists(selectFrom('memberships').select('chain_num').whereRef('memberships.file_num', '=', 'files.file_num')),
      ),
    )
    .returning('table_num')
    .execute();
  const counts = new Map<number, number>();
  for (const { table_num } of deleted) counts.set(table_num, (counts.get(table_num) ?? 0) + 1);
  for (const [tableNum, count] of counts) {
    await db
      .updateTable('table_contents')
      .set(({ eb }) => ({ files: eb('files', '-', count) }))
      .where('table_num', '=', tableNum)
      .execute();
  }
  // Sketches must not outlive their file, since its number may be reused.
  await db
    .deleteFrom('file_sketches')
    .where('file_num', 'in', fileNums)
    .where(({ not, exists, selectFrom }) =>
      not(exists(selectFrom('files').select('kind').whereRef('files.file_num', '=', 'file_sketches.file_num'))),
    )
    .execute();
}

async function undoRemovals(db: Db, { chain, ord }: Position): Promise<boolean> {
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

async function deleteBranchRemovals(db: Db, { chain, ord }: Position): Promise<boolean> {
  await db.deleteFrom('branch_removals').where('chain_num', '=', chain).where('ord', '=', ord).execute();
  return false;
}
