import type { Kysely } from 'kysely';
import { deleteOrphans } from '../cleanup/delete-memberships.ts';
import type { Schema } from '../database/schema.ts';
import type { ParsedChange } from '../files/file-change-row.ts';
import type { WriteTarget } from '../files/file-writer.ts';
import { liveInstances } from '../files/live-files.ts';
import { OPEN_END, type Position } from '../lineage/lineage.ts';
import type { Extraneous } from './replace-diff.ts';

type Db = Kysely<Schema>;
const STEP = 500;

/** Takes away what a snapshot holds beyond its replacement. @returns rows changed */
export async function removeExtraneous(db: Db, target: WriteTarget, surplus: Extraneous): Promise<number> {
  const own = target.path[0] as Position;
  let rows = 0;
  for (const nums of steps(surplus.added)) rows += await deleteAddition(db, own, nums);
  for (const nums of steps(surplus.removed)) rows += await undoRemoval(db, own, nums);
  for (const nums of steps(surplus.inherited)) rows += await recordRemoval(db, target, nums);
  return rows;
}

/** Makes files not live at the snapshot, wherever they came from. @returns rows changed */
export async function makeNotLive(db: Db, target: WriteTarget, changes: readonly ParsedChange[]): Promise<number> {
  const rows = await db
    .selectFrom('files')
    .select('file_num')
    .where('table_num', '=', target.tableNum)
    .where(
      'path_hash',
      'in',
      changes.map((change) => change.pathHash),
    )
    .execute();
  const nums = rows.map((row) => row.file_num);
  return recordRemoval(db, target, nums);
}

/** The files did not come with the snapshot. */
async function deleteAddition(db: Db, { chain, ord }: Position, nums: readonly number[]): Promise<number> {
  const { numDeletedRows } = await db
    .deleteFrom('memberships')
    .where('chain_num', '=', chain)
    .where('added_ord', '=', ord)
    .where('file_num', 'in', nums)
    .executeTakeFirst();
  // Where a descendant in another chain had removed them, there is nothing to remove any more.
  await db
    .deleteFrom('branch_removals')
    .where('from_chain_num', '=', chain)
    .where('added_ord', '=', ord)
    .where('file_num', 'in', nums)
    .execute();
  await deleteOrphans(db, nums);
  return Number(numDeletedRows);
}

/** The files did not go in the snapshot. */
async function undoRemoval(db: Db, { chain, ord }: Position, nums: readonly number[]): Promise<number> {
  const stayed = await db
    .updateTable('memberships')
    .set({ removed_ord: OPEN_END })
    .where('file_num', 'in', nums)
    .where('chain_num', '=', chain)
    .where('removed_ord', '=', ord)
    .executeTakeFirst();
  const branchRemovals = await db
    .deleteFrom('branch_removals')
    .where('chain_num', '=', chain)
    .where('ord', '=', ord)
    .where('file_num', 'in', nums)
    .executeTakeFirst();
  return Number(stayed.numUpdatedRows + branchRemovals.numDeletedRows);
}

/** What of the files is live at the snapshot goes in it. */
async function recordRemoval(db: Db, target: WriteTarget, nums: readonly number[]): Promise<number> {
  const { chain, ord } = target.path[0] as Position;
  let changed = 0;
  for (const row of await liveInstances(db, target.path, nums)) {
    const here = db
      .updateTable('memberships')
      .set({ removed_ord: ord })
      .where('chain_num', '=', row.chain_num)
      .where('added_ord', '=', row.added_ord)
      .where('file_num', '=', row.file_num);
    if (row.chain_num !== chain) {
      const { file_num, chain_num, added_ord } = row;
      await db
        .insertInto('branch_removals')
        .values({ chain_num: chain, ord, file_num, from_chain_num: chain_num, added_ord })
        .execute();
    } else if (row.added_ord === ord) {
      await deleteAddition(db, { chain, ord }, [row.file_num]);
    } else {
      // It may have gone in a later snapshot of the chain: now it goes earlier.
      await here.execute();
    }
    changed += 1;
  }
  return changed;
}

function* steps(nums: readonly number[]): Iterable<number[]> {
  for (let start = 0; start < nums.length; start += STEP) yield nums.slice(start, start + STEP);
}
