import type { Insertable, Kysely } from 'kysely';
import { compiledWrite } from '../database/compiled-query.ts';
import type { Schema } from '../database/schema.ts';

type Db = Kysely<Schema>;

/** `removed_ord` of a file that no snapshot of its chain has removed. */
export const OPEN_END = 2_000_000_000;

/** A snapshot's position. */
export interface Position {
  chain: number;
  ord: number;
}

/**
 * Gives a new snapshot its position: behind its base where that is the newest of its chain, else in a chain of its own that
 * forks off there; without a base, in a chain without a parent.
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

/** Gives a position back. Nothing may be left in it, and nothing may be based on it. */
export async function freePosition(db: Db, { chain, ord }: Position): Promise<void> {
  if (ord === 1) await deleteChain(db, chain, 1);
  // What came in dropped positions before it may have been held for it alone.
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

/** @param tipOrd only if it is the chain's */
export async function deleteChain(db: Db, chain: number, tipOrd?: number): Promise<void> {
  let removal = db.deleteFrom('chains').where('chain_num', '=', chain);
  if (tipOrd !== undefined) removal = removal.where('tip_ord', '=', tipOrd);
  const [deleted] = await removal.returning(['parent_chain_num', 'parent_ord']).execute();
  if (deleted?.parent_chain_num == null) return;
  // Where its snapshot was dropped, the position was kept for this chain.
  await reclaimAgain(db, { chain: deleted.parent_chain_num, ord: deleted.parent_ord ?? 0 });
}

async function reclaimAgain(db: Db, { chain, ord }: Position): Promise<void> {
  await db
    .updateTable('dropped_positions')
    .set({ cleared: 0 })
    .where('chain_num', '=', chain)
    .where('ord', '=', ord)
    .execute();
}

/**
 * The stretches of chains that make up a snapshot, its own first: of each chain, all up to `ord`.
 *
 * One query a fork, and forks are few: branches, rollbacks and cherry-picks make them, not commits.
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

/** Whether a snapshot's ancestry holds more than its own position. */
export function startsBefore(ancestry: readonly Position[]): boolean {
  return ancestry.length > 1 || (ancestry[0]?.ord ?? 1) > 1;
}

/** The ancestry of a snapshot without its own changes: what it starts from. */
export function baseOf(ancestry: readonly Position[]): Position[] {
  return ancestry.map((position, index) => (index === 0 ? { chain: position.chain, ord: position.ord - 1 } : position));
}
