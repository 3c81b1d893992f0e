import type { Kysely } from 'kysely';
import type { Schema } from '../database/schema.ts';
import { positionOf } from '../snapshots/snapshots.ts';
import { liveTotals, noTotals, type Totals, totalsAt, totalsFromText, totalsToText } from './totals.ts';

type Db = Kysely<Schema>;

/** Deletes what was derived from the table's files, since statistics of some files changed, and refuses the next pages of lists. */
export async function statisticsChanged(db: Db, tableNum: number): Promise<void> {
  await refuseNextPages(db, tableNum);
  await db.deleteFrom('column_states').where('table_num', '=', tableNum).execute();
  await db.deleteFrom('derived_ndv').where('table_num', '=', tableNum).execute();
  await db.updateTable('snapshots').set({ live_rows: null }).where('table_num', '=', tableNum).execute();
}

/** Increments the generation, so that the next page of a list that has begun is refused. */
export async function refuseNextPages(db: Db, tableNum: number): Promise<void> {
  await db
    .updateTable('table_contents')
    .set((eb) => ({ generation: eb('generation', '+', 1) }))
    .where('table_num', '=', tableNum)
    .execute();
}

/** The table's generation: see TableContentRow. */
export async function generationOf(db: Db, tableNum: number): Promise<number> {
  const row = await db
    .selectFrom('table_contents')
    .select('generation')
    .where('table_num', '=', tableNum)
    .executeTakeFirst();
  return row?.generation ?? 0;
}

/**
 * Recomputes the totals of the table's complete snapshots in the order in which they were published, so that a base comes before
 * the snapshots that are based on it.
 *
 * @param from `published` of the first snapshot to recompute
 */
export async function recomputeFrom(db: Db, tableNum: number, from: number): Promise<void> {
  const rows = await db
    .selectFrom('snapshots')
    .selectAll()
    .where('table_num', '=', tableNum)
    .where('published', '>=', from)
    .where('complete', '=', 1)
    .orderBy('published')
    .execute();
  const computed = new Map<string, Totals>();
  for (const row of rows) {
    const base = row.base_snapshot_id;
    const before = base === null ? undefined : (computed.get(base) ?? (await storedTotals(db, tableNum, base)));
    const totals = before ? await totalsAt(db, before, positionOf(row)) : await liveTotals(db, positionOf(row));
    computed.set(row.snapshot_id, totals);
    const text = totalsToText(totals);
    if (text === row.totals) continue;
    await db.updateTable('snapshots').set({ totals: text }).where('snapshot_num', '=', row.snapshot_num).execute();
  }
}

async function storedTotals(db: Db, tableNum: number, snapshotId: string): Promise<Totals> {
  const row = await db
    .selectFrom('snapshots')
    .select('totals')
    .where('table_num', '=', tableNum)
    .where('snapshot_id', '=', snapshotId)
    .where('replacement', '=', 0)
    .executeTakeFirst();
  return row?.totals ? totalsFromText(row.totals) : noTotals();
}
