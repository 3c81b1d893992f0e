import { type Kysely, sql } from 'kysely';
import { CodedError } from '../../../errors.ts';
import { compiledQuery } from '../database/compiled-query.ts';
import { FILE_KINDS, type FileKind } from '../database/file-kind.ts';
import type { Schema } from '../database/schema.ts';
import { ancestryOf, baseOf, type Position, startsBefore } from '../lineage/lineage.ts';
import type { ParsedChange } from './file-change-row.ts';
import { liveInstances } from './live-files.ts';

type Db = Kysely<Schema>;
/** Branch removals per query. */
const STEP = 500;

/** Totals of the live files of one kind; `bytes` is the sum of their sizes. */
export interface KindTotals {
  files: bigint;
  /** The sum over the files whose records were counted. */
  records: bigint;
  bytes: bigint;
  /** Number of files whose records nobody counted. */
  uncounted: bigint;
}

/** Totals of the live files of a snapshot, by kind. */
export type Totals = Record<FileKind, KindTotals>;

export function noTotals(): Totals {
  const none = () => ({ files: 0n, records: 0n, bytes: 0n, uncounted: 0n });
  return { 1: none(), 2: none(), 3: none(), 4: none() };
}

/** The column `totals`: files, records, bytes and uncounted files per kind, in the order of FILE_KINDS. */
export function totalsToText(totals: Totals): string {
  return JSON.stringify(
    FILE_KINDS.map((kind) => {
      const { files, records, bytes, uncounted } = totals[kind];
      return [files, records, bytes, uncounted].map(String);
    }),
  );
}

export function totalsFromText(text: string): Totals {
  const rows = JSON.parse(text) as [string, string, string, string][];
  const totals = noTotals();
  for (const [index, kind] of FILE_KINDS.entries()) {
    const [files, records, bytes, uncounted] = rows[index] as [string, string, string, string];
    totals[kind] = {
      files: BigInt(files),
      records: BigInt(records),
      bytes: BigInt(bytes),
      uncounted: BigInt(uncounted),
    };
  }
  return totals;
}

const MAX_INT64 = 2n ** 63n - 1n;

/** Totals of a snapshot that has these files and no others. @throws CodedError INVALID_ARGUMENT if a sum does not fit in 64 bits */
export function totalsOf(files: readonly Pick<ParsedChange, 'kind' | 'recordCount' | 'sizeBytes'>[]): Totals {
  const totals = noTotals();
  for (const { kind, recordCount, sizeBytes } of files) {
    const kindTotals = totals[kind];
    kindTotals.files += 1n;
    if (recordCount < 0) kindTotals.uncounted += 1n;
    else kindTotals.records += BigInt(recordCount);
    kindTotals.bytes += BigInt(sizeBytes);
  }
  refuseLarge(totals);
  return totals;
}

/**
 * Totals of a snapshot: its base's totals, plus the files that it added, minus the files that it removed.
 *
 * @param base undefined for a snapshot without a base, which removes nothing
 * @throws CodedError INVALID_ARGUMENT if a sum does not fit in 64 bits
 */
export async function totalsAt(db: Db, base: Totals | undefined, position: Position): Promise<Totals> {
  const totals = base ? structuredClone(base) : noTotals();
  addRows(totals, 1n, await addedAt(db, position.chain, position.ord));
  if (base) addRows(totals, -1n, await removedAt(db, position));
  if (base) await subtractBranchRemovals(db, position, totals);
  refuseLarge(totals);
  return totals;
}

function refuseLarge(totals: Totals): void {
  const all = FILE_KINDS.map((kind) => totals[kind]);
  if (all.some(({ records, bytes }) => records > MAX_INT64 || bytes > MAX_INT64)) {
    throw new CodedError(
      'INVALID_ARGUMENT',
      'changes: the sum of their record counts or sizes does not fit in 64 bits',
    );
  }
}

// SQLite's sum() fails beyond 64 bits, and JavaScript rounds numbers beyond 53 bits. So halves of 32 bits are summed, as text.
const sums = [
  'kind' as const,
  sql<number>`count(*)`.as('files'),
  sql<string>`cast(sum(max(record_count, 0) / 4294967296) as text)`.as('records_high'),
  sql<string>`cast(sum(max(record_count, 0) % 4294967296) as text)`.as('records_low'),
  sql<number>`sum(record_count < 0)`.as('uncounted'),
  sql<string>`cast(sum(size_bytes / 4294967296) as text)`.as('bytes_high'),
  sql<string>`cast(sum(size_bytes % 4294967296) as text)`.as('bytes_low'),
] as const;

function sum(high: string, low: string): bigint {
  return BigInt(high) * 4294967296n + BigInt(low);
}

const addedAt = compiledQuery((db, chain: number, ord: number) =>
  db.selectFrom('memberships').select(sums).where('chain_num', '=', chain).where('added_ord', '=', ord).groupBy('kind'),
);

function removedAt(db: Db, { chain, ord }: Position) {
  return db
    .selectFrom('memberships')
    .select(sums)
    .where('chain_num', '=', chain)
    .where('kind', 'in', FILE_KINDS)
    .where('removed_ord', '=', ord)
    .groupBy('kind')
    .execute();
}

/** Totals of a snapshot without a base: of all files that are live in its ancestry. */
export async function liveTotals(db: Db, position: Position): Promise<Totals> {
  const ancestry = await ancestryOf(db, position);
  if (!startsBefore(ancestry)) return totalsAt(db, undefined, position);
  const totals = noTotals();
  for (const [step, { chain, ord }] of ancestry.entries()) {
    const live = db
      .selectFrom('memberships as m')
      .where('m.chain_num', '=', chain)
      .where('m.kind', 'in', FILE_KINDS)
      .where('m.added_ord', '<=', ord)
      .where('m.removed_ord', '>', ord);
    addRows(totals, 1n, await live.select(sums).groupBy('kind').execute());
    for (const { chain: later, ord: until } of ancestry.slice(0, step)) {
      const removed = live
        .innerJoin('branch_removals as d', (join) =>
          join
            .onRef('d.file_num', '=', 'm.file_num')
            .onRef('d.from_chain_num', '=', 'm.chain_num')
            .onRef('d.added_ord', '=', 'm.added_ord'),
        )
        .where('d.chain_num', '=', later)
        .where('d.ord', '<=', until);
      addRows(totals, -1n, await removed.select(sums).groupBy('kind').execute());
    }
  }
  return totals;
}

function addRows(totals: Totals, sign: 1n | -1n, rows: readonly SumRow[]): void {
  for (const row of rows) {
    const kindTotals = totals[row.kind as FileKind];
    kindTotals.files += sign * BigInt(row.files);
    kindTotals.records += sign * sum(row.records_high, row.records_low);
    kindTotals.bytes += sign * sum(row.bytes_high, row.bytes_low);
    kindTotals.uncounted += sign * BigInt(row.uncounted);
  }
}

interface SumRow {
  kind: number;
  files: number;
  records_high: string;
  records_low: string;
  bytes_high: string;
  bytes_low: string;
  uncounted: number;
}

/**
 * Subtracts the files of ancestor chains that the snapshot removed. Only files that are live at its base count, since a repair of
 * an ancestor may already have removed a file.
 */
async function subtractBranchRemovals(db: Db, position: Position, totals: Totals): Promise<void> {
  let after = 0;
  let baseAncestry: Position[] | undefined;
  for (;;) {
    const rows = await db
      .selectFrom('branch_removals')
      .select(['file_num', 'from_chain_num', 'added_ord'])
      .where('chain_num', '=', position.chain)
      .where('ord', '=', position.ord)
      .where('file_num', '>', after)
      .orderBy('file_num')
      .limit(STEP)
      .execute();
    const last = rows.at(-1);
    if (!last) return;
    baseAncestry ??= baseOf(await ancestryOf(db, position));
    const nums = [...new Set(rows.map((row) => row.file_num))];
    const removed = new Set(
      (rows.length < STEP ? rows : await allBranchRemovals(db, position, nums)).map(
        (row) => `${row.file_num}/${row.from_chain_num}/${row.added_ord}`,
      ),
    );
    for (const row of await liveInstances(db, baseAncestry, nums)) {
      if (!removed.has(`${row.file_num}/${row.chain_num}/${row.added_ord}`)) continue;
      const kindTotals = totals[row.kind as FileKind];
      kindTotals.files -= 1n;
      if (row.record_count < 0) kindTotals.uncounted -= 1n;
      else kindTotals.records -= BigInt(row.record_count);
      kindTotals.bytes -= BigInt(row.size_bytes);
    }
    after = last.file_num;
  }
}

/** All branch removals of these files at the position: a full step may have cut off some of its last file. */
function allBranchRemovals(db: Db, { chain, ord }: Position, nums: readonly number[]) {
  return db
    .selectFrom('branch_removals')
    .select(['file_num', 'from_chain_num', 'added_ord'])
    .where('chain_num', '=', chain)
    .where('ord', '=', ord)
    .where('file_num', 'in', nums)
    .execute();
}
