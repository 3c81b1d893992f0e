import { setImmediate } from 'node:timers/promises';
import { type Kysely, sql } from 'kysely';
import { z } from 'zod';
import {
  FileSketches,
  type ListFilesToSketchResponse_File,
} from '../../../generated/reconciler/internal/v1/ingestion.ts';
import { DataFile, FileFormat } from '../../../generated/reconciler/v1/statistics.ts';
import { DATA } from '../database/file-kind.ts';
import { MAX_PAGE_BYTES } from '../database/page-cut.ts';
import { dataPathHash } from '../database/path-hash.ts';
import type { Schema } from '../database/schema.ts';
import { liveInstances } from '../files/live-files.ts';
import { ancestryOf, type Position } from '../lineage/lineage.ts';
import { findSnapshotRow, positionOf, type StoredSnapshot } from '../snapshots/snapshots.ts';
import type { getTableRow } from '../tables/tables.ts';

type Db = Kysely<Schema>;
type Table = Awaited<ReturnType<typeof getTableRow>>;

/** Files per query. */
const STEP = 500;
/** Files that one call examines, so that it answers within about a second. */
const MAX_FILES_PER_PAGE = 10_000;
/** Hashes of paths are compared by their first 48 bits. */
const HASH_BYTES = 6;

/** Which files are sampled. */
export interface FileSample {
  /** Share of all files: above 0, at most 1. */
  fraction: number;
  /** Maximum number of files of the current snapshot; 0 for no limit. */
  maxFiles: number;
  retryUnreadable: boolean;
  /** Key of the requested columns. Files that were sketched with another key are sketched again. */
  columnsKey: string;
}

/** The end of a page; the next page starts after it. */
export const sketchCursor = z.object({
  /** Path hash of the last file, in base64. */
  after: z.string(),
  /** Variant of that file. */
  variant: z.int(),
  /** Number of live files of the current snapshot up to that file. */
  live: z.int().nonnegative(),
});
export type SketchCursor = z.infer<typeof sketchCursor>;

/**
 * The next files to sketch, ordered by path hash.
 *
 * The sample consists of the files with the lowest hashes: a share of all hashes, or up to `maxFiles` files. A file's hash never
 * changes, so a new file can at most replace one other in the sample, and existing sketches stay useful.
 *
 * The keys of all files of the table are examined, which takes some seconds for a million files; callers ask only if the table
 * has changed. Each call pauses after several thousand files, possibly without a result.
 *
 * @returns no `next` if all files were examined
 */
export async function nextFilesToSketch(
  db: Db,
  table: Table,
  sample: FileSample,
  limit: number,
  cursor: SketchCursor = { after: '', variant: 0, live: 0 },
): Promise<{ files: ListFilesToSketchResponse_File[]; next?: SketchCursor }> {
  const current = await newestCaptured(db, table);
  const ancestry = current ? await ancestryOf(db, positionOf(current)) : [];
  const files: ListFilesToSketchResponse_File[] = [];
  let bytes = 0;
  let { after, variant, live } = cursor;
  for (let walked = 0; walked < MAX_FILES_PER_PAGE; walked += STEP) {
    const rows = await db
      .selectFrom('files as f')
      .leftJoin('file_sketches as s', 's.file_num', 'f.file_num')
      .select(['f.file_num', 'f.path_hash', 'f.variant', 'f.kind', 's.unreadable', 's.columns_key'])
      .where('f.table_num', '=', table.table_num)
      .where(sql<boolean>`(f.path_hash, f.variant) > (${Buffer.from(after, 'base64')}, ${variant})`)
      .orderBy('f.path_hash')
      .orderBy('f.variant')
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
      variant = row.variant;
      if (held.live.has(row.file_num)) live++;
      if (isDone(row) || !(held.live.has(row.file_num) || held.unexpired.has(row.file_num))) continue;
      const file = await parquetFile(db, row.file_num);
      if (file !== undefined) files.push(file);
      bytes += file?.filePath.length ?? 0;
      if (files.length === limit || bytes > MAX_PAGE_BYTES) return { files, next: { after, variant, live } };
    }
    if (rows.length < STEP) return { files };
    await setImmediate();
  }
  return { files, next: { after, variant, live } };
}

/** The current snapshot, or the last captured one if the catalog does not have the files of the current one. */
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

/** Which of the files are live in the current snapshot, and which of the files to sketch are in another unexpired snapshot. */
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
  const undone = rows.filter((row) => !isDone(row)).map((row) => row.file_num);
  const unexpired = await db
    .selectFrom('memberships as m')
    .select('m.file_num')
    .where('m.file_num', 'in', undone.length > 0 ? undone : [-1])
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

/** Stores sketches and deletes what was derived from the table's sketches. @returns how many of the files the table has */
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
