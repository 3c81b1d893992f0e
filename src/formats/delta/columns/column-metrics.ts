import { moved, number, part } from '../../columns/column-bytes.ts';
import { COLUMN, COLUMNS, NO_COLUMNS, type PackedColumns } from '../../columns/packed-columns.ts';
import type { FileStats } from './file-stats.ts';
import type { LeafPlan } from './leaf-plan.ts';
import type { FilePartition } from './partition-reader.ts';

const UNKNOWN = -1;
/** Most bytes of a packed column without the bytes of its bounds: tags, and numbers of up to 10 bytes. */
const MAX_COLUMN_BYTES = 96;
/** Memory that the columns of several files share. */
const MAX_SHARED_BYTES = 256 * 1024;

/** It starts small, because most commits have few files. */
let out = new Uint8Array(4096);
/** Bytes of it that belong to files. */
let used = 0;

/**
 * The metrics of the columns that a file has statistics of: a view of memory that several files share. Each column has its fields in the order of their
 * numbers, as generated encoders write them. All is in local variables, because this runs for every column of every file.
 */
export function columnMetrics(stats: FileStats, plan: LeafPlan, partition: readonly FilePartition[]): PackedColumns {
  const { leaves } = plan;
  const { numRecords, isTight, nulls: nullsOf, starts, ends, bytes } = stats;
  let most = leaves.length * MAX_COLUMN_BYTES + stats.used;
  for (const { bound } of partition) if (bound !== undefined) most += 2 * bound.length;
  if (out.length - used < most) {
    out = new Uint8Array(Math.max(most, Math.min(MAX_SHARED_BYTES, out.length * 2)));
    used = 0;
  }
  const target = out;
  const first = used;
  let at = first;
  for (let index = 0; index < leaves.length; index++) {
    const leaf = leaves[index] as LeafPlan['leaves'][number];
    const derived = leaf.partition === undefined ? undefined : (partition[leaf.partition] as FilePartition);
    let nulls = UNKNOWN;
    let [lower, upper] = [UNKNOWN, UNKNOWN];
    if (derived !== undefined) {
      // What follows from a partition column's only value.
      if (derived.isNull === undefined) continue;
      nulls = derived.isNull ? numRecords : 0;
    } else {
      nulls = nullsOf[index] as number;
      // A null count that nothing contradicts. If rows were deleted, only 'none' and 'all' remain true (Delta protocol, "Per-file Statistics").
      if (numRecords !== UNKNOWN && nulls > numRecords) nulls = UNKNOWN;
      if (!isTight && nulls !== 0 && nulls !== numRecords) nulls = UNKNOWN;
      // Bounds of a column without values stand for nothing.
      if (nulls === UNKNOWN || nulls !== numRecords) {
        lower = starts[2 * index] as number;
        upper = starts[2 * index + 1] as number;
      }
      if (nulls === UNKNOWN && lower === UNKNOWN && upper === UNKNOWN) continue;
    }
    target[at] = COLUMNS;
    // One byte for the length, which is enough for most columns.
    const start = at + 2;
    at = number(target, start, COLUMN.id, leaf.id);
    if (numRecords !== UNKNOWN) at = number(target, at, COLUMN.valueCount, numRecords);
    if (nulls !== UNKNOWN) at = number(target, at, COLUMN.nullCount, nulls);
    if (lower !== UNKNOWN) at = part(target, at, COLUMN.lower, bytes, lower, (ends[2 * index] as number) - lower);
    if (upper !== UNKNOWN) at = part(target, at, COLUMN.upper, bytes, upper, (ends[2 * index + 1] as number) - upper);
    const bound = derived?.bound;
    if (bound !== undefined) {
      at = part(target, at, COLUMN.lower, bound, 0, bound.length);
      at = part(target, at, COLUMN.upper, bound, 0, bound.length);
    }
    const size = at - start;
    if (size < 0x80) target[start - 1] = size;
    else at = moved(target, start, at);
  }
  if (at === first) return NO_COLUMNS;
  used = at;
  return new Uint8Array(target.buffer, first, at - first);
}
