import { setImmediate } from 'node:timers/promises';
import type { Kysely } from 'kysely';
import { z } from 'zod';
import {
  FileSketches,
  type ListFilesToSketchResponse_File,
} from '../../../generated/reconciler/internal/v1/ingestion.ts';
import { DataFile, FileFormat } from '../../../generated/reconciler/v1/statistics.ts';
import { DATA } from '../database/file-kind.ts';
import { dataPathHash } from '../database/path-hash.ts';
import type { Schema } from '../database/schema.ts';
import { liveInstances } from '../files/live-files.ts';
import { ancestryOf, type Position } from '../lineage/lineage.ts';
import { findSnapshotRow, positionOf, type StoredSnapshot } from '../snapshots/snapshots.ts';
import type { getTableRow } from '../tables/tables.ts';

type Db = Kysely<Schema>;
type Table = Awaited<ReturnType<typeof getTableRow>>;

/** Files of one query. */
const STEP = 500;
/** Files that one call walks over, so that it answers within a second or so. */
const MAX_FILES_PER_PAGE = 10_000;
/** Hashes of the paths are compared by their first 48 bits. */
const HASH_BYTES = 6;

/** Which files the sample takes. */
export interface FileSample {
  /** Above 0, at most 1. */
  fraction: number;
  /** Of the current snapshot; 0 for no limit. */
  maxFiles: number;
  retryUnreadable: boolean;
  /** Files whose sketches have another one are not done. */
  columnsKey: string;
}

/** Where the walk over a table's files goes on. */
export const sketchCursor = z.object({
  /** Path hash of the last file, in base64. */
  after: z.string(),
  /** Live files of the current snapshot up to there. */
  live: z.int().nonnegative(),
});
export type SketchCursor = z.infer<typeof sketchCursor>;

/**
 * The next files that are to be sketched, in the order of their path hashes.
 *
 * The sample is the files with the lowest hashes: a share of all hashes, or as many files as are asked for. A file's hash never
 * changes, so a new one can at most push another out, and what was sketched stays of use.
 *
 * The walk goes over the keys of all the table's files: some seconds for a million, and only where the table has changed. It pauses
 * after some thousand with what it found, be it nothing: only where `next` is missing it is over.
 */
export async function nextFilesToSketch(
  db: Db,
  table: Table,
  sample: FileSample,
  limit: number,
  cursor: SketchCursor = { after: '', live: 0 },
): Promise<{ files: ListFilesToSketchResponse_File[]; next?: SketchCursor }> {
  const current = await newestCaptured(db, table);
  const ancestry = current ? await ancestryOf(db, positionOf(current)) : [];
  const files: ListFilesToSketchResponse_File[] = [];
  let { after, live } = cursor;
  for (let walked = 0; walked < MAX_FILES_PER_PAGE; walked += STEP) {
    const rows = await db
      .selectFrom('files as f')
      .leftJoin('file_sketches as s', 's.file_num', 'f.file_num')
      .select(['f.file_num', 'f.path_hash', 'f.kind', 's.unreadable', 's.columns_key'])
      .where('f.table_num', '=', table.table_num)
      .where('f.path_hash', '>', Buffer.from(after, 'base64'))
      .orderBy('f.path_hash')
      .limit(STEP)
      .execute();
    const isDone = (row: { unreadable: string | null; columns_key: string | null }) =>
      row.unreadable === ''
        ? row.columns_key === sample.columnsKey
        : row.unreadable !== null && !sample.retryUnreadable;
    const data = rows.filter((row) => row.kind === DATA && (sample.maxFiles > 0 || !isDone(row)));
    const held = await heldFiles(db, ancestry, data, isDone);
    for (const row of rows) {
      const share = Buffer.from(row.path_hash).readUIntBE(0, HASH_BYTES) / 2 ** (8 * HASH_BYTES);
      if (share >= sample.fraction || (sample.maxFiles > 0 && live >= sample.maxFiles)) return { files };
      after = Buffer.from(row.path_hash).toString('base64');
      if (held.live.has(row.file_num)) live++;
      if (isDone(row) || !(held.live.has(row.file_num) || held.unexpired.has(row.file_num))) continue;
      const file = await parquetFile(db, row.file_num);
      if (file !== undefined) files.push(file);
      if (files.length === limit) return { files, next: { after, live } };
    }
    if (rows.length < STEP) return { files };
    await setImmediate();
  }
  return { files, next: { after, live } };
}

/** The current snapshot, or where the catalog does not have its files, the last one whose files came in. */
async function newestCaptured(db: Db, table: Table): Promise<StoredSnapshot | undefined> {
  const current = table.current_snapshot_id && (await findSnapshotRow(db, table.table_num, table.current_snapshot_id));
  if (current && current.complete === 1) return current;
  return db
    .selectFrom('snapshots')
    .selectAll()
    .where('table_num', '=', table.table_num)
    .where('complete', '=', 1)
    .where('expired_at', 'is', null)
    .orderBy('published', 'desc')
    .limit(1)
    .executeTakeFirst();
}

/** Which of the files the current snapshot holds, and which another one that has not expired. */
async function heldFiles<Row extends { file_num: number }>(
  db: Db,
  ancestry: readonly Position[],
  rows: Row[],
  isDone: (row: Row) => boolean,
) {
  const live = await liveInstances(
    db,
    ancestry,
    rows.map((row) => row.file_num),
  );
  const rest = rows.filter((row) => !isDone(row)).map((row) => row.file_num);
  const unexpired = await db
    .selectFrom('memberships as m')
    .select('m.file_num')
    .where('m.file_num', 'in', rest.length > 0 ? rest : [-1])
    .where(({ exists, selectFrom }) =>
      exists(
        selectFrom('snapshots as o')
          .select('o.ord')
          .whereRef('o.chain_num', '=', 'm.chain_num')
          .whereRef('o.ord', '>=', 'm.added_ord')
          .whereRef('o.ord', '<', 'm.removed_ord')
          .where('o.complete', '=', 1)
          .where('o.expired_at', 'is', null),
      ),
    )
    .execute();
  return {
    live: new Set(live.map((row) => row.file_num)),
    unexpired: new Set(unexpired.map((row) => row.file_num)),
  };
}

async function parquetFile(db: Db, fileNum: number): Promise<ListFilesToSketchResponse_File | undefined> {
  const row = await db.selectFrom('files').select('body').where('file_num', '=', fileNum).executeTakeFirstOrThrow();
  const { filePath, fileFormat, fileSizeInBytes } = DataFile.decode(row.body);
  return fileFormat === FileFormat.FILE_FORMAT_PARQUET ? { filePath, fileSizeInBytes } : undefined;
}

/** Stores sketches. What was derived from the table's sketches so far is forgotten. @returns how many of the files are there */
export async function putFileSketches(db: Db, table: Table, sketches: readonly FileSketches[]): Promise<number> {
  const byHash = new Map(sketches.map((file) => [dataPathHash(file.filePath).toString('hex'), file]));
  const hashes = [...byHash.keys()].map((hash) => Buffer.from(hash, 'hex'));
  const rows = await db
    .selectFrom('files')
    .select(['file_num', 'path_hash'])
    .where('table_num', '=', table.table_num)
    .where('path_hash', 'in', hashes)
    .execute();
  for (const { file_num, path_hash } of rows) {
    const file = byHash.get(Buffer.from(path_hash).toString('hex')) as FileSketches;
    const body = FileSketches.encode({ ...file, filePath: '', unreadable: '', columnsKey: '' }).finish();
    const values = { unreadable: file.unreadable, columns_key: file.columnsKey, body };
    await db
      .insertInto('file_sketches')
      .values({ file_num, ...values })
      .onConflict((conflict) => conflict.column('file_num').doUpdateSet(values))
      .execute();
  }
  if (rows.length > 0) {
    await db
      .updateTable('table_contents')
      .set((eb) => ({ sketched: eb('sketched', '+', 1) }))
      .where('table_num', '=', table.table_num)
      .execute();
    await db.deleteFrom('derived_ndv').where('table_num', '=', table.table_num).execute();
  }
  return rows.length;
}
