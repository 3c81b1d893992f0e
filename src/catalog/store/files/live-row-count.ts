import { setImmediate } from 'node:timers/promises';
import type { Kysely } from 'kysely';
import { DATA, DELETION_VECTOR, POSITION_DELETES } from '../database/file-kind.ts';
import { dataPathHash } from '../database/path-hash.ts';
import type { Schema } from '../database/schema.ts';
import { ancestryOf, type Position } from '../lineage/lineage.ts';
import { positionOf, type StoredSnapshot } from '../snapshots/snapshots.ts';
import { type LiveCursor, liveInstances, nextLiveFiles } from './live-files.ts';
import { generationOf } from './recompute.ts';
import { type Totals, totalsFromText } from './totals.ts';

type Db = Kysely<Schema>;
const STEP = 500;
const ABSENT = 'absent';

/**
 * Rows that a reader of the snapshot sees, or undefined where the metadata does not tell: with equality deletes, with
 * position deletes that are not for one live data file, or with several for the same one, which may delete a row twice.
 * Computed when it is first asked for, and kept.
 */
export async function liveRowCount(db: Db, row: StoredSnapshot): Promise<bigint | undefined> {
  const totals = totalsFromText(row.totals as string);
  let text = row.live_rows;
  if (text === null) {
    const generation = await generationOf(db, row.table_num);
    const deleted = await deletedRows(db, row, totals);
    text =
      deleted === undefined || deleted > totals[DATA].records ? ABSENT : (totals[DATA].records - deleted).toString();
    const live_rows = text;
    await db.transaction().execute(async (trx) => {
      if ((await generationOf(trx, row.table_num)) !== generation) return;
      await trx.updateTable('snapshots').set({ live_rows }).where('snapshot_num', '=', row.snapshot_num).execute();
    });
  }
  return text === ABSENT ? undefined : BigInt(text);
}

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

/** Rows that these delete files delete; those whose data file has a deletion vector count nothing. */
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
  const asked = new Set(fileNums);
  let deleted = 0n;
  for (const [dataPath, all] of deletes) {
    const sequences = data.get(dataPath) ?? [];
    // What is for a file that is not live deletes nothing here, but then the metadata is not what it says.
    if (sequences.length !== 1) return undefined;
    const vectors = all.filter((one) => one.kind === DELETION_VECTOR);
    const applied = vectors.length > 0 ? vectors : all;
    if (applied.length !== 1) return undefined;
    const [one] = applied as [Delete];
    if (one.sequence < (sequences[0] as number)) return undefined;
    if (asked.has(one.fileNum)) deleted += BigInt(one.records);
  }
  return deleted;
}

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
    const one = { fileNum: row.file_num, kind: row.kind, records: row.record_count, sequence: row.sequence_number };
    deletes.set(dataPath, [...(deletes.get(dataPath) ?? []), one]);
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
  const pathOfHash = new Map(paths.map((one) => [dataPathHash(one).toString('latin1'), one]));
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
