import { type Kysely, sql } from 'kysely';
import { z } from 'zod';
import type { FileKind } from '../database/file-kind.ts';
import type { Schema } from '../database/schema.ts';
import { OPEN_END, type Position } from '../lineage/lineage.ts';

type Db = Kysely<Schema>;

/** A file that is live at a snapshot, with its sequence numbers there. */
export interface LiveFile {
  fileNum: number;
  kind: FileKind;
  chain: number;
  addedOrd: number;
  sequenceNumber: number;
  fileSequenceNumber: number;
  /** Null if it is the snapshot at (chain, addedOrd). */
  addedSnapshotId: string | null;
  body: Uint8Array;
  specId: number;
  partitionKey: Uint8Array;
  referencedPath: string | null;
  /** Continues after this file. Only files from `nextLiveFiles` have it. */
  cursor?: LiveCursor;
}

/** Where a walk over live files continues. Plain JSON, for page tokens. */
export const liveCursor = z.object({
  /** Index into the requested kinds. */
  kind: z.int().nonnegative(),
  /** Index into the snapshot's ancestry. */
  step: z.int().nonnegative(),
  /** Ordinal of the newest complete snapshot of that chain when the walk reached the chain. */
  tip: z.int(),
  /** `open`: files that were not removed up to `tip`, by file; `removed`: the others, by the snapshot that removed them. */
  phase: z.enum(['open', 'removed']),
  removedOrd: z.int(),
  file: z.int(),
  addedOrd: z.int(),
});
export type LiveCursor = z.infer<typeof liveCursor>;

/**
 * The next live files of a snapshot, up to `limit`: by kind, then by chain of its ancestry, first those that no later snapshot
 * has removed, then the others.
 *
 * The walk follows the order of the index. So each page costs only its own rows, and all pages of a chain's newest snapshot cost
 * only its live files, not all files that ever were. During a walk, later snapshots may remove files that it has not reached
 * yet. The cursor's `tip` keeps those files in the phase in which the walk expects them, so that none is listed twice or never.
 *
 * @param ancestry from `ancestryOf`
 * @returns no `next` at the end; earlier pages may have fewer than `limit` files, too
 */
export async function nextLiveFiles(
  db: Db,
  ancestry: readonly Position[],
  kinds: readonly FileKind[],
  limit: number,
  after?: LiveCursor,
): Promise<{ files: LiveFile[]; next?: LiveCursor }> {
  const cursor = after ?? (await startOf(db, ancestry, 0, 0));
  const position = ancestry[cursor.step] as Position;
  const kind = kinds[cursor.kind] as FileKind;
  const rows =
    cursor.phase === 'open'
      ? await openRows(db, position, kind, cursor, limit)
      : await removedRows(db, position, kind, cursor, limit);
  const live = cursor.step === 0 ? rows : await withoutBranchRemovals(db, rows, ancestry);
  const files = live.map((row) => toFile(row, cursor));
  const last = rows.at(-1);
  if (last && rows.length === limit) return { files, next: cursorAt(cursor, last) };
  return { files, next: await following(db, ancestry, kinds, cursor) };
}

async function startOf(db: Db, ancestry: readonly Position[], kind: number, step: number): Promise<LiveCursor> {
  const { chain, ord } = ancestry[step] as Position;
  const newest = await db
    .selectFrom('snapshots')
    .select('ord')
    .where('chain_num', '=', chain)
    .where('complete', '=', 1)
    .orderBy('ord', 'desc')
    .limit(1)
    .executeTakeFirst();
  return { kind, step, tip: Math.max(newest?.ord ?? ord, ord), phase: 'open', removedOrd: 0, file: 0, addedOrd: 0 };
}

async function following(
  db: Db,
  ancestry: readonly Position[],
  kinds: readonly FileKind[],
  { kind, step, tip, phase }: LiveCursor,
): Promise<LiveCursor | undefined> {
  // A snapshot at the tip has no later removals.
  if (phase === 'open' && tip > (ancestry[step] as Position).ord) {
    return { kind, step, tip, phase: 'removed', removedOrd: 0, file: 0, addedOrd: 0 };
  }
  if (step + 1 < ancestry.length) return startOf(db, ancestry, kind, step + 1);
  if (kind + 1 < kinds.length) return startOf(db, ancestry, kind + 1, 0);
  return undefined;
}

function select(db: Db, { chain, ord }: Position, kind: FileKind) {
  return db
    .selectFrom('memberships as m')
    .innerJoin('files as f', 'f.file_num', 'm.file_num')
    .select([
      'm.file_num',
      'm.kind',
      'm.chain_num',
      'm.added_ord',
      'm.removed_ord',
      'm.sequence_number',
      'm.file_sequence_number',
      'm.added_snapshot_id',
      'f.body',
      'f.spec_id',
      'f.partition_key',
      'f.referenced_path',
    ])
    .where('m.chain_num', '=', chain)
    .where('m.kind', '=', kind)
    .where('m.added_ord', '<=', ord);
}

type Row = Awaited<ReturnType<ReturnType<typeof select>['execute']>>[number];

async function openRows(db: Db, position: Position, kind: FileKind, cursor: LiveCursor, limit: number): Promise<Row[]> {
  const isAfter = sql<boolean>`(m.file_num, m.added_ord) > (${cursor.file}, ${cursor.addedOrd})`;
  const staying = await select(db, position, kind)
    .where('m.removed_ord', '=', OPEN_END)
    .where(isAfter)
    .orderBy('m.file_num')
    .orderBy('m.added_ord')
    .limit(limit)
    .execute();
  // Files that were removed since the walk reached this chain; mostly none.
  const removedSince = await select(db, position, kind)
    .where('m.removed_ord', '>', cursor.tip)
    .where('m.removed_ord', '<', OPEN_END)
    .where(isAfter)
    .orderBy('m.file_num')
    .orderBy('m.added_ord')
    .limit(limit)
    .execute();
  if (removedSince.length === 0) return staying;
  const all = [...staying, ...removedSince].sort((a, b) => a.file_num - b.file_num || a.added_ord - b.added_ord);
  return all.slice(0, limit);
}

/** Files that later snapshots removed, one snapshot after the other. Each is one range of the index, ordered by file. */
async function removedRows(
  db: Db,
  position: Position,
  kind: FileKind,
  cursor: LiveCursor,
  limit: number,
): Promise<Row[]> {
  const rows: Row[] = [];
  let { removedOrd, file, addedOrd } = cursor;
  if (removedOrd === 0) removedOrd = (await nextRemoval(db, position, kind, position.ord, cursor.tip)) ?? 0;
  while (removedOrd !== 0) {
    const removed = await select(db, position, kind)
      .where('m.removed_ord', '=', removedOrd)
      .where(sql<boolean>`(m.file_num, m.added_ord) > (${file}, ${addedOrd})`)
      .orderBy('m.file_num')
      .orderBy('m.added_ord')
      .limit(limit - rows.length)
      .execute();
    rows.push(...removed);
    if (rows.length === limit) break;
    removedOrd = (await nextRemoval(db, position, kind, removedOrd, cursor.tip)) ?? 0;
    file = 0;
    addedOrd = 0;
  }
  return rows;
}

/** The next ordinal after `after`, up to `tip`, at which files of the chain were removed. */
async function nextRemoval(
  db: Db,
  { chain }: Position,
  kind: FileKind,
  after: number,
  tip: number,
): Promise<number | undefined> {
  const row = await db
    .selectFrom('memberships')
    .select('removed_ord')
    .where('chain_num', '=', chain)
    .where('kind', '=', kind)
    .where('removed_ord', '>', after)
    .where('removed_ord', '<=', tip)
    .orderBy('removed_ord')
    .limit(1)
    .executeTakeFirst();
  return row?.removed_ord;
}

/** One addition of a file: a file can be live more than once. */
interface Instance {
  file_num: number;
  chain_num: number;
  added_ord: number;
}

/** Filters out additions that a later chain of the ancestry removed. */
export async function withoutBranchRemovals<T extends Instance>(
  db: Db,
  rows: T[],
  ancestry: readonly Position[],
): Promise<T[]> {
  if (rows.length === 0 || ancestry.length === 1) return rows;
  const limits = new Map(ancestry.map(({ chain, ord }) => [chain, ord]));
  const branchRemovals = await db
    .selectFrom('branch_removals')
    .selectAll()
    .where('file_num', 'in', [...new Set(rows.map((row) => row.file_num))])
    .execute();
  const removed = new Set(
    branchRemovals
      .filter(({ chain_num, ord }) => ord <= (limits.get(chain_num) ?? 0))
      .map((removal) => `${removal.file_num}/${removal.from_chain_num}/${removal.added_ord}`),
  );
  return rows.filter((row) => !removed.has(`${row.file_num}/${row.chain_num}/${row.added_ord}`));
}

/** The additions of these files that are live at the snapshot. */
export async function liveInstances(db: Db, ancestry: readonly Position[], fileNums: readonly number[]) {
  if (fileNums.length === 0) return [];
  const limits = new Map(ancestry.map(({ chain, ord }) => [chain, ord]));
  const rows = await db.selectFrom('memberships').selectAll().where('file_num', 'in', fileNums).execute();
  const live = rows.filter((row) => {
    const limit = limits.get(row.chain_num);
    return limit !== undefined && row.added_ord <= limit && row.removed_ord > limit;
  });
  return withoutBranchRemovals(db, live, ancestry);
}

function cursorAt(cursor: LiveCursor, row: Row): LiveCursor {
  return {
    ...cursor,
    removedOrd: cursor.phase === 'removed' ? row.removed_ord : 0,
    file: row.file_num,
    addedOrd: row.added_ord,
  };
}

function toFile(row: Row, cursor: LiveCursor): LiveFile {
  return {
    fileNum: row.file_num,
    kind: row.kind as FileKind,
    chain: row.chain_num,
    addedOrd: row.added_ord,
    sequenceNumber: row.sequence_number,
    fileSequenceNumber: row.file_sequence_number,
    addedSnapshotId: row.added_snapshot_id,
    body: row.body,
    specId: row.spec_id,
    partitionKey: row.partition_key,
    referencedPath: row.referenced_path,
    cursor: cursorAt(cursor, row),
  };
}
