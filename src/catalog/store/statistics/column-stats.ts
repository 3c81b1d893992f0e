import { setImmediate } from 'node:timers/promises';
import type { Kysely } from 'kysely';
import { convertBound } from '../../../stats/convert-bound.ts';
import { DATA } from '../database/file-kind.ts';
import type { Schema } from '../database/schema.ts';
import { writeDerived } from '../database/transaction.ts';
import { type LiveCursor, liveInstances, nextLiveFiles } from '../files/live-files.ts';
import { generationOf } from '../files/recompute.ts';
import { fileColumns, type StoredMetrics } from '../files/stored-columns.ts';
import { totalsFromText } from '../files/totals.ts';
import { ancestryOf, baseOf, type Position } from '../lineage/lineage.ts';
import { findSnapshotRow, positionOf, type StoredSnapshot } from '../snapshots/snapshots.ts';
import type { SnapshotSchemas } from '../tables/table-schemas.ts';
import { ColumnState } from './column-state.ts';

type Db = Kysely<Schema>;

/** Files that are read before other calls are served. */
const STEP = 200;

/**
 * Statistics of the columns over a snapshot's live data files. They are computed at the first request and stored.
 *
 * They are derived from those of the nearest ancestor that has any, if that reads fewer files than the snapshot has and no file
 * with a minimum or maximum was removed since; otherwise from all files.
 */
export async function columnState(db: Db, row: StoredSnapshot, schemas: SnapshotSchemas): Promise<ColumnState> {
  const typeOf = (id: number) => schemas.find(id)?.type ?? 'binary';
  for (;;) {
    const stored = await findState(db, row.snapshot_num, typeOf);
    if (stored) return stored;
    const generation = await generationOf(db, row.table_num);
    const read: Read = { typeOf, metricsOf: (body) => metricsOf(body, schemas), schemas };
    const state = (await fromAncestor(db, row, read)) ?? (await fromAllFiles(db, row, read));
    const unchanged = await writeDerived(db, true, async (trx) => {
      if ((await generationOf(trx, row.table_num)) !== generation) return false;
      await trx
        .insertInto('column_states')
        .values({ snapshot_num: row.snapshot_num, table_num: row.table_num, state: state.toText() })
        .onConflict((conflict) => conflict.column('snapshot_num').doNothing())
        .execute();
      return true;
    });
    // The statistics were replaced meanwhile, so the state mixes old and new ones: compute it again.
    if (unchanged) return state;
  }
}

type TypeOf = (columnId: number) => string;

/** How the files of a snapshot are read. */
interface Read {
  typeOf: TypeOf;
  metricsOf(body: Uint8Array): StoredMetrics;
  schemas: SnapshotSchemas;
}

/** A file's metrics, with bounds in the types of the snapshot's schema. */
function metricsOf(body: Uint8Array, schemas: SnapshotSchemas): StoredMetrics {
  const file = fileColumns(body);
  const { schemaId } = file;
  if (schemaId !== undefined && schemaId !== schemas.id) {
    for (const metrics of file.columns) {
      convertBounds(metrics, schemas.typeIn(schemaId, metrics.id), schemas.find(metrics.id)?.type);
    }
  }
  return file;
}

/** @returns false if a bound has no equal in the column's type in the snapshot, and is left out */
function convertBounds(
  bounds: { lower?: Uint8Array; upper?: Uint8Array },
  from: string | undefined,
  to: string | undefined,
): boolean {
  if (from === undefined || to === undefined || from === to) return true;
  const [lower, upper] = [bounds.lower, bounds.upper].map((bound) => bound && convertBound(from, to, bound));
  const isWhole = !bounds.lower === !lower && !bounds.upper === !upper;
  // Not a Buffer, which JSON.stringify converts before it asks for a replacement.
  bounds.lower = lower && new Uint8Array(lower);
  bounds.upper = upper && new Uint8Array(upper);
  return isWhole;
}

async function findState(db: Db, snapshotNum: number, typeOf: TypeOf): Promise<ColumnState | undefined> {
  const row = await db
    .selectFrom('column_states')
    .select('state')
    .where('snapshot_num', '=', snapshotNum)
    .executeTakeFirst();
  return row && ColumnState.fromText(row.state, typeOf);
}

async function fromAllFiles(db: Db, row: StoredSnapshot, { typeOf, metricsOf }: Read): Promise<ColumnState> {
  const state = new ColumnState(typeOf);
  const ancestry = await ancestryOf(db, positionOf(row));
  let cursor: LiveCursor | undefined;
  do {
    const { files, next } = await nextLiveFiles(db, ancestry, [DATA], STEP, cursor);
    for (const file of files) state.add(metricsOf(file.body));
    cursor = next;
    await setImmediate();
  } while (cursor);
  return state;
}

async function fromAncestor(db: Db, row: StoredSnapshot, read: Read): Promise<ColumnState | undefined> {
  const affordable = row.totals === null ? 0n : totalsFromText(row.totals)[DATA].files;
  const steps: StoredSnapshot[] = [];
  let cost = 0n;
  let state: ColumnState | undefined;
  let snapshot: StoredSnapshot | undefined = row;
  while (snapshot && !state) {
    cost += await changedFiles(db, positionOf(snapshot));
    // A long series of snapshots without changes costs time, too.
    if (cost > affordable || steps.length > 1000) return undefined;
    steps.push(snapshot);
    snapshot =
      snapshot.base_snapshot_id === null
        ? undefined
        : await findSnapshotRow(db, row.table_num, snapshot.base_snapshot_id);
    if (snapshot) state = await findState(db, snapshot.snapshot_num, read.typeOf);
  }
  if (!state || !snapshot || !isInTypes(state, snapshot, read)) return undefined;
  for (const step of steps.reverse()) {
    if (!(await applyStep(db, step, state, read))) return undefined;
  }
  return state;
}

/** Converts an ancestor's state to the types of the snapshot's schema. @returns false if a bound has no equal in its type */
function isInTypes(state: ColumnState, { schema_id }: StoredSnapshot, { schemas, typeOf }: Read): boolean {
  if (schema_id === null || schema_id === schemas.id) return true;
  return [...state.columns].every(([id, totals]) => convertBounds(totals, schemas.typeIn(schema_id, id), typeOf(id)));
}

/** Approximate number of data files that a snapshot changed. */
async function changedFiles(db: Db, { chain, ord }: Position): Promise<bigint> {
  const added = await db
    .selectFrom('memberships')
    .select((eb) => eb.fn.countAll<number>().as('n'))
    .where('chain_num', '=', chain)
    .where('added_ord', '=', ord)
    .where('kind', '=', DATA)
    .executeTakeFirstOrThrow();
  const removed = await db
    .selectFrom('memberships')
    .select((eb) => eb.fn.countAll<number>().as('n'))
    .where('chain_num', '=', chain)
    .where('kind', '=', DATA)
    .where('removed_ord', '=', ord)
    .executeTakeFirstOrThrow();
  const branchRemovals = await db
    .selectFrom('branch_removals')
    .select((eb) => eb.fn.countAll<number>().as('n'))
    .where('chain_num', '=', chain)
    .where('ord', '=', ord)
    .executeTakeFirstOrThrow();
  return BigInt(added.n + removed.n + branchRemovals.n);
}

/** Updates the state of a snapshot's base to the snapshot. @returns false if that is not possible (see ColumnState.remove) */
async function applyStep(db: Db, row: StoredSnapshot, state: ColumnState, { metricsOf }: Read): Promise<boolean> {
  const position = positionOf(row);
  for await (const bodies of changedBodies(db, position, 'added_ord'))
    for (const body of bodies) state.add(metricsOf(body));
  for await (const bodies of changedBodies(db, position, 'removed_ord')) {
    for (const body of bodies) if (!state.remove(metricsOf(body))) return false;
  }
  for await (const bodies of branchRemovedBodies(db, position)) {
    for (const body of bodies) if (!state.remove(metricsOf(body))) return false;
  }
  return true;
}

async function* changedBodies(
  db: Db,
  { chain, ord }: Position,
  column: 'added_ord' | 'removed_ord',
): AsyncIterable<Uint8Array[]> {
  // A file may have been added more than once before it was removed, so pages follow additions, not files.
  let after = { file: 0, added: -1 };
  for (;;) {
    const rows = await db
      .selectFrom('memberships as m')
      .innerJoin('files as f', 'f.file_num', 'm.file_num')
      .select(['f.body', 'm.file_num', 'm.added_ord'])
      .where('m.chain_num', '=', chain)
      .where('m.kind', '=', DATA)
      .where(`m.${column}`, '=', ord)
      .where(({ eb, refTuple, tuple }) =>
        eb(refTuple('m.file_num', 'm.added_ord'), '>', tuple(after.file, after.added)),
      )
      .orderBy('m.file_num')
      .orderBy('m.added_ord')
      .limit(STEP)
      .execute();
    const last = rows.at(-1);
    if (!last) return;
    after = { file: last.file_num, added: last.added_ord };
    yield rows.map((row) => row.body);
    await setImmediate();
  }
}

async function* branchRemovedBodies(db: Db, position: Position): AsyncIterable<Uint8Array[]> {
  const rows = await db
    .selectFrom('branch_removals')
    .select(['file_num', 'from_chain_num', 'added_ord'])
    .where('chain_num', '=', position.chain)
    .where('ord', '=', position.ord)
    .execute();
  if (rows.length === 0) return;
  const baseAncestry = baseOf(await ancestryOf(db, position));
  const removed = new Set(rows.map((row) => `${row.file_num}/${row.from_chain_num}/${row.added_ord}`));
  const nums = [...new Set(rows.map((row) => row.file_num))];
  for (let start = 0; start < nums.length; start += STEP) {
    const live = (await liveInstances(db, baseAncestry, nums.slice(start, start + STEP))).filter(
      (row) => row.kind === DATA && removed.has(`${row.file_num}/${row.chain_num}/${row.added_ord}`),
    );
    if (live.length === 0) continue;
    const bodies = await db
      .selectFrom('files')
      .select(['file_num', 'body'])
      .where('file_num', 'in', [...new Set(live.map((row) => row.file_num))])
      .execute();
    const bodyOf = new Map(bodies.map((row) => [row.file_num, row.body]));
    yield live.map((row) => bodyOf.get(row.file_num) as Uint8Array);
    await setImmediate();
  }
}
