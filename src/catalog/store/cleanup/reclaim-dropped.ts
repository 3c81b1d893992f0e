import { setImmediate } from 'node:timers/promises';
import { type Kysely, sql } from 'kysely';
import { FILE_KINDS } from '../database/file-kind.ts';
import type { Schema } from '../database/schema.ts';
import { write } from '../database/transaction.ts';
import { deleteChain, OPEN_END, type Position } from '../lineage/lineage.ts';
import { deleteOrphans } from './delete-memberships.ts';

type Db = Kysely<Schema>;

/** Rows per transaction: some milliseconds, between which other calls are served. */
const STEP = 2000;

/** The position of a dropped snapshot whose files were not reclaimed yet. */
export async function nextToReclaim(db: Db): Promise<Position | undefined> {
  const row = await db
    .selectFrom('dropped_positions')
    .select(['chain_num', 'ord'])
    .where('cleared', '=', 0)
    .limit(1)
    .executeTakeFirst();
  return row && { chain: row.chain_num, ord: row.ord };
}

/**
 * Deletes the files that were live only in a dropped snapshot: those that were added after the previous used position and removed
 * up to the next used one. A position is used if it has a snapshot or if another chain forks off it. An interrupted run can be
 * repeated.
 */
export async function reclaimDropped(db: Db, position: Position, stopped: () => boolean): Promise<void> {
  const neighbours = await neighboursOf(db, position);
  if (!neighbours.inUse) {
    for await (const members of liveOnlyAt(db, position, neighbours)) {
      await write(db, (trx) => deleteMembers(trx, position.chain, members));
      if (stopped()) return;
      await setImmediate();
    }
  }
  await write(db, async (trx) => {
    await trx
      .updateTable('dropped_positions')
      .set({ cleared: 1 })
      .where('chain_num', '=', position.chain)
      .where('ord', '=', position.ord)
      .execute();
    await deleteUnusedPositions(trx, position.chain, [position.ord]);
    await deleteEmptyChain(trx, position.chain);
  });
}

interface Neighbours {
  /** Whether a chain forks off the position itself. */
  inUse: boolean;
  /** Ordinals of the next used positions in its chain; 0 and OPEN_END if there are none. */
  before: number;
  after: number;
}

async function neighboursOf(db: Db, { chain, ord }: Position): Promise<Neighbours> {
  const snapshotAt = (side: '<' | '>') =>
    db
      .selectFrom('snapshots')
      .select('ord')
      .where('chain_num', '=', chain)
      .where('ord', side, ord)
      .orderBy('ord', side === '<' ? 'desc' : 'asc')
      .limit(1)
      .executeTakeFirst();
  const forks = (await forksOf(db, chain)).map((fork) => fork.parent_ord ?? 0);
  return {
    inUse: forks.includes(ord),
    before: Math.max(0, (await snapshotAt('<'))?.ord ?? 0, ...forks.filter((at) => at < ord)),
    after: Math.min(OPEN_END, (await snapshotAt('>'))?.ord ?? OPEN_END, ...forks.filter((at) => at > ord)),
  };
}

/** Chains that fork off a chain; there are few. */
function forksOf(db: Db, chain: number) {
  return db
    .selectFrom('chains')
    .select(['chain_num', 'parent_ord'])
    .where('table_num', '=', (eb) =>
      eb.selectFrom('chains as own').select('own.table_num').where('own.chain_num', '=', chain),
    )
    .where('parent_chain_num', '=', chain)
    .execute();
}

/** One addition of a file. */
interface Member {
  added_ord: number;
  removed_ord: number;
  file_num: number;
}

/** The additions that are live only at the position, in steps. Each step must be deleted before the next is requested. */
async function* liveOnlyAt(db: Db, { chain, ord }: Position, { before, after }: Neighbours): AsyncGenerator<Member[]> {
  const members = db
    .selectFrom('memberships')
    .select(['added_ord', 'removed_ord', 'file_num'])
    .where('chain_num', '=', chain)
    .limit(STEP);
  if (after === OPEN_END) {
    const added = members.where('added_ord', '>', before).where('added_ord', '<=', ord);
    for (let rows = await added.execute(); rows.length > 0; rows = await added.execute()) yield rows;
    return;
  }
  // Read by removal; otherwise each drop would read all files that are still live.
  for (const kind of FILE_KINDS) {
    let last: Member | undefined = { removed_ord: ord, file_num: Number.MAX_SAFE_INTEGER, added_ord: 0 };
    while (last) {
      const { removed_ord, file_num, added_ord }: Member = last;
      const rows: Member[] = await members
        .where('kind', '=', kind)
        .where('removed_ord', '<=', after)
        .where(sql<boolean>`(removed_ord, file_num, added_ord) > (${removed_ord}, ${file_num}, ${added_ord})`)
        .orderBy('removed_ord')
        .orderBy('file_num')
        .orderBy('added_ord')
        .execute();
      yield rows.filter((row) => row.added_ord > before && row.added_ord <= ord);
      last = rows.at(-1);
    }
  }
}

async function deleteMembers(db: Db, chain: number, members: readonly Member[]): Promise<void> {
  if (members.length === 0) return;
  for (const { added_ord, file_num } of members) {
    await db
      .deleteFrom('memberships')
      .where('chain_num', '=', chain)
      .where('added_ord', '=', added_ord)
      .where('file_num', '=', file_num)
      .execute();
    // Repairs may leave branch removals. They must not outlive the file, since its number may be reused.
    await db
      .deleteFrom('branch_removals')
      .where('file_num', '=', file_num)
      .where('from_chain_num', '=', chain)
      .where('added_ord', '=', added_ord)
      .execute();
  }
  await deleteOrphans(
    db,
    members.map((member) => member.file_num),
  );
  await deleteUnusedPositions(db, chain, [...new Set(members.map((member) => member.added_ord))]);
}

/** Deletes reclaimed positions that nothing refers to any more: no file was added there, and no chain forks off. */
async function deleteUnusedPositions(db: Db, chain: number, ords: readonly number[]): Promise<void> {
  await db
    .deleteFrom('dropped_positions')
    .where('chain_num', '=', chain)
    .where('ord', 'in', ords)
    .where('cleared', '=', 1)
    .where(({ not, exists, selectFrom }) =>
      not(
        exists(
          selectFrom('memberships')
            .select('file_num')
            .where('memberships.chain_num', '=', chain)
            .whereRef('memberships.added_ord', '=', 'dropped_positions.ord'),
        ),
      ),
    )
    .where(({ not, exists, selectFrom }) =>
      not(
        exists(
          selectFrom('chains')
            .select('chain_num')
            .whereRef('chains.table_num', '=', 'dropped_positions.table_num')
            .where('chains.parent_chain_num', '=', chain)
            .whereRef('chains.parent_ord', '=', 'dropped_positions.ord'),
        ),
      ),
    )
    .execute();
}

/** Deletes a chain if it has no snapshots, files or forks. The position from which it forked may become unused. */
async function deleteEmptyChain(db: Db, chain: number): Promise<void> {
  const snapshot = await db.selectFrom('snapshots').select('ord').where('chain_num', '=', chain).limit(1).execute();
  const left = await db.selectFrom('memberships').select('added_ord').where('chain_num', '=', chain).limit(1).execute();
  if (snapshot.length + left.length > 0 || (await forksOf(db, chain)).length > 0) return;
  await deleteChain(db, chain);
  await db.deleteFrom('branch_removals').where('chain_num', '=', chain).execute();
  await db.deleteFrom('dropped_positions').where('chain_num', '=', chain).execute();
}
