import { setImmediate } from 'node:timers/promises';
import type { Kysely } from 'kysely';
import { DATA, DELETION_VECTOR, POSITION_DELETES } from '../database/file-kind.ts';
import { dataPathHash } from '../database/path-hash.ts';
import type { Schema } from '../database/schema.ts';
import { writeDerived } from '../database/transaction.ts';
import { ancestryOf, type Position } from '../lineage/lineage.ts';
import { positionOf, type StoredSnapshot } from '../snapshots/snapshots.ts';
import { type LiveCursor, liveInstances, nextLiveFiles } from './live-files.ts';
import { generationOf } from './recompute.ts';
import { type Totals, totalsFromText } from './totals.ts';

type Db = Kysely<Schema>;
/** Files per query. */
const STEP = 500;
/** Stored if the count cannot be computed. */
const ABSENT = 'absent';

/** A snapshot's row, and the number of rows that a reader of the snapshot sees. Both belong to the same statistics. */
export interface CountedSnapshot {
  row: StoredSnapshot;
  liveRowCount?: bigint;
}

/**
 * Counts the rows that a reader of the snapshot sees. The count is computed at the first request and stored.
 *
 * @returns without a count if the metadata does not determine it: nobody counted the records of a file, there are equality deletes, position
 *   delete files that do not belong to exactly one live data file, or several for the same data file, which may delete a row twice; or the
 *   snapshot was deleted
 */
export async function countLiveRows(db: Db, stored: StoredSnapshot): Promise<CountedSnapshot> {
  if (stored.live_rows !== null) return { row: stored, liveRowCount: countFromText(stored.live_rows) };
  const { snapshot_num, table_num } = stored;
  for (;;) {
    // The generation is read before the totals, so that a replacement in between is noticed below.
    const generation = await generationOf(db, table_num);
    const row = await snapshotRow(db, snapshot_num);
    if (!row?.totals) return { row: stored };
    const text = await computeLiveRows(db, row, totalsFromText(row.totals));
    const unchanged = await writeDerived(db, true, async (trx) => {
      if ((await generationOf(trx, table_num)) !== generation) return false;
      await trx.updateTable('snapshots').set({ live_rows: text }).where('snapshot_num', '=', snapshot_num).execute();
      return true;
    });
    // If the statistics were replaced meanwhile, the count may mix old and new ones: compute it again.
    if (unchanged) return { row, liveRowCount: countFromText(text) };
  }
}

function countFromText(text: string): bigint | undefined {
  return text === ABSENT ? undefined : BigInt(text);
}

async function snapshotRow(db: Db, snapshotNum: number): Promise<StoredSnapshot | undefined> {
  return db.selectFrom('snapshots').selectAll().where('snapshot_num', '=', snapshotNum).executeTakeFirst();
}

async function computeLiveRows(db: Db, row: StoredSnapshot, totals: Totals): Promise<string> {
  const { records, uncounted } = totals[DATA];
  if (uncounted + totals[POSITION_DELETES].uncounted + totals[DELETION_VECTOR].uncounted > 0n) return ABSENT;
  const deleted = await deletedRows(db, row, totals);
  return deleted === undefined || deleted > records ? ABSENT : (records - deleted).toString();
}

/** Number of rows that the snapshot's delete files delete; undefined if the metadata does not determine it. */
async function deletedRows(db: Db, row: StoredSnapshot, totals: Totals): Promise<bigint | undefined> {
  if (totals[3].files > 0n) return undefined;
  if (totals[POSITION_DELETES].files === 0n && totals[DELETION_VECTOR].files === 0n) return 0n;
  const ancestry = await ancestryOf(db, positionOf(row));
  let deleted = 0n;
  let cursor: LiveCursor | undefined;
  do {
    const { files, next } = await nextLiveFiles(db, ancestry, [POSITION_DELETES, DELETION_VECTOR], STEP, cursor);
    const part = await deletedBy(
      db,
      row.table_num,
      ancestry,
      files.map((file) => file.fileNum),
    );
    if (part === undefined) return undefined;
    deleted += part;
    cursor = next;
    await setImmediate();
  } while (cursor);
  return deleted;
}

interface Delete {
  fileNum: number;
  kind: number;
  records: number;
  sequence: number;
}

/** Number of rows that these delete files delete. Those whose data file has a deletion vector delete nothing. */
async function deletedBy(
  db: Db,
  tableNum: number,
  ancestry: Position[],
  fileNums: number[],
): Promise<bigint | undefined> {
  if (fileNums.length === 0) return 0n;
  const files = await db
    .selectFrom('files')
    .select(['file_num', 'referenced_path'])
    .where('file_num', 'in', fileNums)
    .execute();
  if (files.some((file) => file.referenced_path === null)) return undefined;
  const paths = [...new Set(files.map((file) => file.referenced_path as string))];
  const deletes = await liveDeletes(db, tableNum, ancestry, paths);
  const data = await liveData(db, tableNum, ancestry, paths);
  const counted = new Set(fileNums);
  let deleted = 0n;
  for (const [dataPath, all] of deletes) {
    const sequences = data.get(dataPath) ?? [];
    // A delete file whose data file is not live deletes nothing, but then the metadata cannot be trusted.
    if (sequences.length !== 1) return undefined;
    const vectors = all.filter(({ kind }) => kind === DELETION_VECTOR);
    const applied = vectors.length > 0 ? vectors : all;
    if (applied.length !== 1) return undefined;
    const [deletion] = applied as [Delete];
    if (deletion.sequence < (sequences[0] as number)) return undefined;
    if (counted.has(deletion.fileNum)) deleted += BigInt(deletion.records);
  }
  return deleted;
}

/** The live delete files for these data files, by the data file's path. */
async function liveDeletes(
  db: Db,
  tableNum: number,
  ancestry: Position[],
  paths: string[],
): Promise<Map<string, Delete[]>> {
  const files = await db
    .selectFrom('files')
    .select(['file_num', 'referenced_path'])
    .where('table_num', '=', tableNum)
    .where('referenced_path', 'in', paths)
    .where('kind', 'in', [POSITION_DELETES, DELETION_VECTOR])
    .execute();
  const pathOfFile = new Map(files.map((file) => [file.file_num, file.referenced_path as string]));
  const deletes = new Map<string, Delete[]>();
  for (const row of await liveInstances(db, ancestry, [...pathOfFile.keys()])) {
    const dataPath = pathOfFile.get(row.file_num) as string;
    const deletion = {
      fileNum: row.file_num,
      kind: row.kind,
      records: row.record_count,
      sequence: row.sequence_number,
    };
    deletes.set(dataPath, [...(deletes.get(dataPath) ?? []), deletion]);
  }
  return deletes;
}

/** Sequence numbers of the live data files with these paths. */
async function liveData(
  db: Db,
  tableNum: number,
  ancestry: Position[],
  paths: string[],
): Promise<Map<string, number[]>> {
  const pathOfHash = new Map(paths.map((path) => [dataPathHash(path).toString('latin1'), path]));
  const files = await db
    .selectFrom('files')
    .select(['file_num', 'path_hash'])
    .where('table_num', '=', tableNum)
    .where('path_hash', 'in', paths.map(dataPathHash))
    .where('kind', '=', DATA)
    .execute();
  const pathOfFile = new Map(
    files.map((file) => [file.file_num, pathOfHash.get(Buffer.from(file.path_hash).toString('latin1')) as string]),
  );
  const sequences = new Map<string, number[]>();
  for (const row of await liveInstances(db, ancestry, [...pathOfFile.keys()])) {
    const dataPath = pathOfFile.get(row.file_num) as string;
    sequences.set(dataPath, [...(sequences.get(dataPath) ?? []), row.sequence_number]);
  }
  return sequences;
}
