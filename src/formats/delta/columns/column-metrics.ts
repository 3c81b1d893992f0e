import { WireWriter } from '../../../protobuf/writer.ts';
import { COLUMN, COLUMNS, NO_COLUMNS, type PackedColumns } from '../../columns/packed-columns.ts';
import { slotOf } from './bound-values.ts';
import type { FileStats } from './file-stats.ts';
import type { Leaf, LeafPlan } from './leaf-plan.ts';
import type { FilePartition } from './partition-reader.ts';

const FIRST_BYTES = 4096;
const out = new WireWriter(FIRST_BYTES, FIRST_BYTES);
const UNKNOWN = -1;

/** The metrics of the columns that a file has statistics of. */
export function columnMetrics(stats: FileStats, plan: LeafPlan, partition: readonly FilePartition[]): PackedColumns {
  for (const leaf of plan.leaves) {
    const value = leaf.partition === undefined ? undefined : partition[leaf.partition];
    if (value === undefined) writeRead(stats, leaf);
    else writeDerived(stats.numRecords, leaf, value);
  }
  return out.length === 0 ? NO_COLUMNS : out.take();
}

/** What the log has of a column. */
function writeRead(stats: FileStats, leaf: Leaf): void {
  const { numRecords, bytes, starts, ends } = stats;
  const nulls = nullCountOf(stats, leaf);
  const slot = slotOf(leaf, false);
  let lower = starts[slot] as number;
  let upper = starts[slot + 1] as number;
  // Bounds of a column without values stand for nothing.
  if (nulls !== UNKNOWN && nulls === numRecords) lower = upper = UNKNOWN;
  if (nulls === UNKNOWN && lower === UNKNOWN && upper === UNKNOWN) return;
  const start = open(leaf, numRecords, nulls);
  if (lower !== UNKNOWN) out.part(COLUMN.lower, bytes, lower, (ends[slot] as number) - lower);
  if (upper !== UNKNOWN) out.part(COLUMN.upper, bytes, upper, (ends[slot + 1] as number) - upper);
  out.close(start);
}

/** What follows from a partition column's only value. */
function writeDerived(numRecords: number, leaf: Leaf, { bound, isNull }: FilePartition): void {
  if (isNull === undefined) return;
  const start = open(leaf, numRecords, isNull ? numRecords : 0);
  if (bound !== undefined) {
    out.bytes(COLUMN.lower, bound);
    out.bytes(COLUMN.upper, bound);
  }
  out.close(start);
}

/** The fields are written in the order of their numbers, as generated encoders write them. */
function open({ id }: Leaf, values: number, nulls: number): number {
  const start = out.open(COLUMNS);
  out.int(COLUMN.id, id);
  if (values !== UNKNOWN) out.int(COLUMN.valueCount, values);
  if (nulls !== UNKNOWN) out.int(COLUMN.nullCount, nulls);
  return start;
}

/** A null count that nothing contradicts. If rows were deleted, only 'none' and 'all' remain true (Delta protocol, "Per-file Statistics"). */
function nullCountOf({ nulls, numRecords, isTight }: FileStats, { index }: Leaf): number {
  const count = nulls[index] as number;
  if (numRecords !== UNKNOWN && count > numRecords) return UNKNOWN;
  return isTight || count === 0 || count === numRecords ? count : UNKNOWN;
}
