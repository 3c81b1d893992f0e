import { setImmediate } from 'node:timers/promises';
import type { Kysely } from 'kysely';
import { FileSketches } from '../../../generated/reconciler/internal/v1/ingestion.ts';
import { Ndv } from '../../../generated/reconciler/v1/statistics.ts';
import { ColumnUnion, type DistinctValues, type WholeColumn } from '../../../stats/ndv/column-union.ts';
import { THETA_TYPE } from '../../../stats/ndv/compact-theta.ts';
import { areHashCompatible } from '../../../stats/ndv/hash-compatible.ts';
import { DATA } from '../database/file-kind.ts';
import type { Schema } from '../database/schema.ts';
import { writeDerived } from '../database/transaction.ts';
import { type LiveCursor, nextLiveFiles } from '../files/live-files.ts';
import { totalsFromText } from '../files/totals.ts';
import { ancestryOf } from '../lineage/lineage.ts';
import { positionOf, type StoredSnapshot } from '../snapshots/snapshots.ts';
import type { SnapshotSchemas } from '../tables/table-schemas.ts';

type Db = Kysely<Schema>;

/** Files that are read before other calls are served: a file with 20 columns has 80 KiB of sketches. */
const STEP = 50;
/** Columns whose sketches are merged at once: each takes up to 128 KiB of memory. */
const COLUMNS_AT_ONCE = 100;
/** Snapshots per table whose derived numbers are stored. Few are needed, since most requests are for the current snapshot. */
const SNAPSHOTS_KEPT = 4;

/**
 * Numbers of distinct values at a snapshot, derived from the sketches of its live files. They are computed at the first request
 * and stored.
 *
 * @returns by column id; a column that has no sketch in any live file is absent
 */
export async function derivedNdv(
  db: Db,
  row: StoredSnapshot,
  schemas: SnapshotSchemas,
  ids: readonly number[],
): Promise<Map<number, Ndv>> {
  const found = new Map<number, Ndv>();
  const before = await contentsOf(db, row.table_num);
  if (before.sketched === 0 || ids.length === 0) return found;
  const stored = await db
    .selectFrom('derived_ndv')
    .select(['column_id', 'body'])
    .where('snapshot_num', '=', row.snapshot_num)
    .where('column_id', 'in', ids)
    .execute();
  const known = new Map(stored.map(({ column_id, body }) => [column_id, body]));
  for (const [id, body] of known) if (body.length > 0) found.set(id, Ndv.decode(body));
  const missing = ids.filter((id) => !known.has(id));
  for (let from = 0; from < missing.length; from += COLUMNS_AT_ONCE) {
    const columns = missing.slice(from, from + COLUMNS_AT_ONCE);
    const derived = await derive(db, row, schemas, columns);
    for (const [id, ndv] of derived) found.set(id, ndv);
    await storeDerived(db, row, columns, derived, before);
  }
  return found;
}

/** Counters of changes to the table's sketches and files, on which the derived numbers depend. */
async function contentsOf(db: Db, tableNum: number): Promise<{ sketched: number; generation: number }> {
  const row = await db
    .selectFrom('table_contents')
    .select(['sketched', 'generation'])
    .where('table_num', '=', tableNum)
    .executeTakeFirst();
  return row ?? { sketched: 0, generation: 0 };
}

async function derive(
  db: Db,
  row: StoredSnapshot,
  schemas: SnapshotSchemas,
  ids: readonly number[],
): Promise<Map<number, Ndv>> {
  const unions = new Map(ids.map((id) => [id, new ColumnUnion()]));
  const ancestry = await ancestryOf(db, positionOf(row));
  let cursor: LiveCursor | undefined;
  do {
    const { files, next } = await nextLiveFiles(db, ancestry, [DATA], STEP, cursor);
    const nums = files.map((file) => file.fileNum);
    const rows = await db
      .selectFrom('file_sketches as s')
      .innerJoin('files as f', 'f.file_num', 's.file_num')
      .select(['s.file_num', 's.body', 'f.record_count'])
      .where('s.file_num', 'in', nums.length > 0 ? nums : [-1])
      .where('s.unreadable', '=', '')
      .execute();
    for (const { body, record_count } of rows)
      addFile(unions, FileSketches.decode(body), Math.max(0, record_count), schemas);
    cursor = next;
    await setImmediate();
  } while (cursor);
  const whole = wholeOf(row);
  const derived = new Map<number, Ndv>();
  for (const [id, union] of unions) {
    const values = union.values(whole);
    if (values !== undefined) derived.set(id, ndvMessage(values));
  }
  return derived;
}

function addFile(unions: Map<number, ColumnUnion>, sketches: FileSketches, records: number, schemas: SnapshotSchemas) {
  const columns = new Map(sketches.columns.map((column) => [column.columnId, column]));
  for (const [id, union] of unions) {
    const column = columns.get(id);
    if (column === undefined) {
      if (id > sketches.lastColumnId) union.addEmpty(records);
    } else if (areHashCompatible(column.logicalType, schemas.find(id)?.type ?? '')) {
      union.add(column, records);
    }
  }
}

function wholeOf(row: StoredSnapshot): WholeColumn {
  const totals = totalsFromText(row.totals as string);
  const { files, records } = totals[DATA];
  const deletedRows = totals[2].records + totals[3].records + totals[4].records;
  return { files: Number(files), rows: Number(records), deletedRows: Number(deletedRows) };
}

function ndvMessage({ exact, estimate, relativeError, theta }: DistinctValues): Ndv {
  const sketches = [{ type: THETA_TYPE, data: Buffer.from(theta) }];
  return { exact: exact === undefined ? undefined : BigInt(exact), estimate, relativeError, sketches };
}

async function storeDerived(
  db: Db,
  row: StoredSnapshot,
  ids: readonly number[],
  derived: ReadonlyMap<number, Ndv>,
  before: { sketched: number; generation: number },
): Promise<void> {
  await writeDerived(db, undefined, async (trx) => {
    // If sketches or files changed meanwhile, the numbers are outdated: the next request computes them again.
    const now = await contentsOf(trx, row.table_num);
    if (now.sketched !== before.sketched || now.generation !== before.generation) return;
    // The numbers of a deleted snapshot would never be deleted.
    const snapshot = await trx
      .selectFrom('snapshots')
      .select('snapshot_num')
      .where('snapshot_num', '=', row.snapshot_num)
      .executeTakeFirst();
    if (snapshot === undefined) return;
    const kept = await trx
      .selectFrom('derived_ndv')
      .select('snapshot_num')
      .distinct()
      .where('table_num', '=', row.table_num)
      .execute();
    if (kept.length >= SNAPSHOTS_KEPT && !kept.some(({ snapshot_num }) => snapshot_num === row.snapshot_num)) {
      await trx.deleteFrom('derived_ndv').where('table_num', '=', row.table_num).execute();
    }
    for (const id of ids) {
      const ndv = derived.get(id);
      const body = ndv ? Ndv.encode(ndv).finish() : new Uint8Array(0);
      await trx
        .insertInto('derived_ndv')
        .values({ snapshot_num: row.snapshot_num, column_id: id, table_num: row.table_num, body })
        .onConflict((conflict) => conflict.columns(['snapshot_num', 'column_id']).doUpdateSet({ body }))
        .execute();
    }
  });
}
