import type { Insertable, Kysely } from 'kysely';
import { compiledWrite } from '../database/compiled-query.ts';
import type { Schema } from '../database/schema.ts';

type Db = Kysely<Schema>;

/** `removed_ord` of a file that no snapshot of its chain has removed. Ordinals never reach it. */
export const OPEN_END = 2_000_000_000;

/** The position of a snapshot: its chain, and its ordinal in the chain, from 1. */
export interface Position {
  chain: number;
  ord: number;
}

/**
 * Allocates the position of a new snapshot: after its base if that is the newest of its chain, otherwise in a new chain that
 * forks off the base. Without a base, it is the first of a chain without a parent.
 */
export async function newPosition(db: Db, tableNum: number, base: Position | undefined): Promise<Position> {
  if (base) {
    const { numUpdatedRows } = await db
      .updateTable('chains')
      .set({ tip_ord: base.ord + 1 })
      .where('chain_num', '=', base.chain)
      .where('tip_ord', '=', base.ord)
      .executeTakeFirst();
    if (numUpdatedRows > 0n) return { chain: base.chain, ord: base.ord + 1 };
  }
  const [inserted] = await insert(db, {
    table_num: tableNum,
    parent_chain_num: base?.chain ?? null,
    parent_ord: base?.ord ?? null,
    tip_ord: 1,
  });
  return { chain: (inserted as { chain_num: number }).chain_num, ord: 1 };
}

const insert = compiledWrite((db, row: Insertable<Schema['chains']>) =>
  db.insertInto('chains').values(row).returning('chain_num'),
);

/** Frees the position of a deleted snapshot. No file may be left in it, and no snapshot may be based on it. */
export async function freePosition(db: Db, { chain, ord }: Position): Promise<void> {
  if (ord === 1) await deleteChain(db, chain, 1);
  // Files of dropped snapshots before it may have been kept only for this position.
  const { last } = await db
    .selectFrom('dropped_positions')
    .select((eb) => eb.fn.max<number | null>('ord').as('last'))
    .where('chain_num', '=', chain)
    .where('ord', '<', ord)
    .executeTakeFirstOrThrow();
  if (last !== null) await reclaimAgain(db, { chain, ord: last });
  await db
    .updateTable('chains')
    .set({ tip_ord: ord - 1 })
    .where('chain_num', '=', chain)
    .where('tip_ord', '=', ord)
    .execute();
}

/** Deletes a chain. @param tipOrd delete it only if its tip is this one */
export async function deleteChain(db: Db, chain: number, tipOrd?: number): Promise<void> {
  let removal = db.deleteFrom('chains').where('chain_num', '=', chain);
  if (tipOrd !== undefined) removal = removal.where('tip_ord', '=', tipOrd);
  const [deleted] = await removal.returning(['parent_chain_num', 'parent_ord']).execute();
  if (deleted?.parent_chain_num == null) return;
  // If the snapshot from which the chain forked was dropped, its position was kept for this chain.
  await reclaimAgain(db, { chain: deleted.parent_chain_num, ord: deleted.parent_ord ?? 0 });
}

/** Marks a dropped snapshot to be reclaimed again, since its files may not be needed any more (see reclaim-dropped.ts). */
async function reclaimAgain(db: Db, { chain, ord }: Position): Promise<void> {
  await db
    .updateTable('dropped_positions')
    .set({ cleared: 0 })
    .where('chain_num', '=', chain)
    .where('ord', '=', ord)
    .execute();
}

/**
 * The chains whose changes make up a snapshot, its own first. In each chain, the snapshots up to `ord` belong to the ancestry.
 *
 * It makes one query per fork. Forks are few, since branches, rollbacks and cherry-picks create them, and commits do not.
 */
export async function ancestryOf(db: Db, position: Position): Promise<Position[]> {
  const ancestry: Position[] = [];
  let next: Position | undefined = position;
  while (next) {
    ancestry.push(next);
    const chain: { parent_chain_num: number | null; parent_ord: number | null } | undefined = await db
      .selectFrom('chains')
      .select(['parent_chain_num', 'parent_ord'])
      .where('chain_num', '=', next.chain)
      .executeTakeFirst();
    const parent: number | null = chain?.parent_chain_num ?? null;
    next = parent === null ? undefined : { chain: parent, ord: chain?.parent_ord ?? 0 };
  }
  return ancestry;
}

/** The position of a snapshot's base; undefined if it was created without one. */
export async function basePositionOf(db: Db, { chain, ord }: Position): Promise<Position | undefined> {
  if (ord > 1) return { chain, ord: ord - 1 };
  return (await ancestryOf(db, { chain, ord }))[1];
}

export function isSamePosition(one: Position | undefined, other: Position | undefined): boolean {
  return one?.chain === other?.chain && one?.ord === other?.ord;
}

/** Whether a snapshot has ancestors. */
export function startsBefore(ancestry: readonly Position[]): boolean {
  return ancestry.length > 1 || (ancestry[0]?.ord ?? 1) > 1;
}

/** The ancestry of a snapshot without the snapshot itself. */
export function baseOf(ancestry: readonly Position[]): Position[] {
  return ancestry.map((position, index) => (index === 0 ? { chain: position.chain, ord: position.ord - 1 } : position));
}
