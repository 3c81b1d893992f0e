import { type Kysely, sql } from 'kysely';
import { z } from 'zod';
import type { FileKind } from '../database/file-kind.ts';
import type { Schema } from '../database/schema.ts';
import { OPEN_END, type Position } from '../lineage/lineage.ts';

type Db = Kysely<Schema>;

/** A file that is live at a snapshot, with what the snapshot knows of it. */
export interface LiveFile {
  fileNum: number;
  kind: FileKind;
  chain: number;
  addedOrd: number;
  sequenceNumber: number;
  fileSequenceNumber: number;
  /** Null where it is the snapshot at (chain, cameOrd). */
  addedSnapshotId: string | null;
  body: Uint8Array;
  specId: number;
  partitionKey: Uint8Array;
  referencedPath: string | null;
  /** Goes on behind this file; only of one that a walk gave. */
  cursor?: LiveCursor;
}

/** Where a walk over live files goes on. Plain JSON, for page tokens. */
export const liveCursor = z.object({
  /** Index into the kinds asked for. */
  kind: z.int().nonnegative(),
  /** Index into the snapshot's ancestry. */
  step: z.int().nonnegative(),
  /** Newest complete position of that chain when the walk came to it. */
  tip: z.int(),
  /** `stays`: what had not gone by then, by file; `gone`: what had, by when it went. */
  phase: z.enum(['stays', 'gone']),
  went: z.int(),
  file: z.int(),
  came: z.int(),
});
export type LiveCursor = z.infer<typeof liveCursor>;

/**
 * The next live files of a snapshot, at most `limit`: of each kind, of each chain of its ancestry, first those that stay and
 * then those that a later snapshot has removed.
 *
 * The index is walked in its own order, so that a page costs a page, and all pages of a chain's newest snapshot cost its live
 * files and not all there ever were. While a walk goes on, later snapshots may remove files that it has yet to see; the tip
 * in the cursor keeps them in the phase in which the walk expects them, so that none comes twice or never.
 *
 * @param ancestry from `pathOf`
 * @returns no `next` at the end; there may be fewer files than asked for before it
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
    cursor.phase === 'stays'
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
  return { kind, step, tip: Math.max(newest?.ord ?? ord, ord), phase: 'stays', went: 0, file: 0, came: 0 };
}

async function following(
  db: Db,
  ancestry: readonly Position[],
  kinds: readonly FileKind[],
  { kind, step, tip, phase }: LiveCursor,
): Promise<LiveCursor | undefined> {
  // At the tip nothing has gone yet.
  if (phase === 'stays' && tip > (ancestry[step] as Position).ord) {
    return { kind, step, tip, phase: 'gone', went: 0, file: 0, came: 0 };
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
  const behind = sql<boolean>`(m.file_num, m.added_ord) > (${cursor.file}, ${cursor.came})`;
  const staying = await select(db, position, kind)
    .where('m.removed_ord', '=', OPEN_END)
    .where(behind)
    .orderBy('m.file_num')
    .orderBy('m.added_ord')
    .limit(limit)
    .execute();
  // Gone since the walk came to this chain: mostly none.
  const goneSince = await select(db, position, kind)
    .where('m.removed_ord', '>', cursor.tip)
    .where('m.removed_ord', '<', OPEN_END)
    .where(behind)
    .orderBy('m.file_num')
    .orderBy('m.added_ord')
    .limit(limit)
    .execute();
  if (goneSince.length === 0) return staying;
  const all = [...staying, ...goneSince].sort((a, b) => a.file_num - b.file_num || a.added_ord - b.added_ord);
  return all.slice(0, limit);
}

/** Snapshot by snapshot in which files went: each is one stretch of the index, in the order of the files. */
async function removedRows(
  db: Db,
  position: Position,
  kind: FileKind,
  cursor: LiveCursor,
  limit: number,
): Promise<Row[]> {
  const rows: Row[] = [];
  let { went, file, came } = cursor;
  if (went === 0) went = (await nextRemoval(db, position, kind, position.ord, cursor.tip)) ?? 0;
  while (went !== 0) {
    const some = await select(db, position, kind)
      .where('m.removed_ord', '=', went)
      .where(sql<boolean>`(m.file_num, m.added_ord) > (${file}, ${came})`)
      .orderBy('m.file_num')
      .orderBy('m.added_ord')
      .limit(limit - rows.length)
      .execute();
    rows.push(...some);
    if (rows.length === limit) break;
    went = (await nextRemoval(db, position, kind, went, cursor.tip)) ?? 0;
    file = 0;
    came = 0;
  }
  return rows;
}

/** The next position behind `after`, and not behind `tip`, in which files of the chain went. */
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

/** A position of a file: which of its comings. */
interface Instance {
  file_num: number;
  chain_num: number;
  added_ord: number;
}

/** Those that did not go in a later chain of the ancestry. */
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
  const gone = new Set(
    branchRemovals
      .filter(({ chain_num, ord }) => ord <= (limits.get(chain_num) ?? 0))
      .map((removal) => `${removal.file_num}/${removal.from_chain_num}/${removal.added_ord}`),
  );
  return rows.filter((row) => !gone.has(`${row.file_num}/${row.chain_num}/${row.added_ord}`));
}

/** Which comings of these files are live at the snapshot. */
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
  return { ...cursor, went: cursor.phase === 'gone' ? row.removed_ord : 0, file: row.file_num, came: row.added_ord };
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
