import type { Kysely } from 'kysely';
import { deleteOrphans } from '../cleanup/delete-memberships.ts';
import type { Schema } from '../database/schema.ts';
import type { WriteTarget } from '../files/write-target.ts';
import { OPEN_END, type Position } from '../lineage/lineage.ts';
import type { Extraneous, Instance } from './replace-diff.ts';

type Db = Kysely<Schema>;

/** Removes a batch of what a snapshot holds beyond its replacement. @returns rows changed */
export async function removeExtraneous(db: Db, target: WriteTarget, { live, removed }: Extraneous): Promise<number> {
  const ended = live.length > 0 ? await endInstances(db, target, live) : 0;
  const undone = removed.length > 0 ? await undoRemoval(db, target.ancestry[0] as Position, removed) : 0;
  return ended + undone;
}

/** Ends additions at the snapshot: its own are deleted, and it removes the others. @returns how many */
async function endInstances(db: Db, target: WriteTarget, instances: readonly Instance[]): Promise<number> {
  const { chain, ord } = target.ancestry[0] as Position;
  const added: number[] = [];
  for (const { file_num, chain_num, added_ord } of instances) {
    if (chain_num !== chain) {
      const removal = { chain_num: chain, ord, file_num, from_chain_num: chain_num, added_ord };
      await db.insertInto('branch_removals').values(removal).execute();
    } else if (added_ord === ord) {
      added.push(file_num);
    } else {
      // If a later snapshot of the chain removed it, it is now removed earlier.
      await db
        .updateTable('memberships')
        .set({ removed_ord: ord })
        .where('chain_num', '=', chain)
        .where('added_ord', '=', added_ord)
        .where('file_num', '=', file_num)
        .execute();
    }
  }
  if (added.length > 0) await deleteAdditions(db, { chain, ord }, added);
  return instances.length;
}

async function deleteAdditions(db: Db, { chain, ord }: Position, nums: readonly number[]): Promise<void> {
  await db
    .deleteFrom('memberships')
    .where('chain_num', '=', chain)
    .where('added_ord', '=', ord)
    .where('file_num', 'in', nums)
    .execute();
  // Snapshots in other chains that removed them have nothing to remove any more.
  await db
    .deleteFrom('branch_removals')
    .where('from_chain_num', '=', chain)
    .where('added_ord', '=', ord)
    .where('file_num', 'in', nums)
    .execute();
  await deleteOrphans(db, nums);
}

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
