import type { ColumnMetrics } from '../../columns/packed-columns.ts';
import { slotOf } from './bound-values.ts';
import type { FileStats } from './file-stats.ts';
import type { Leaf, LeafPlan } from './leaf-plan.ts';
import type { FilePartition } from './partition-reader.ts';

/** The metrics of the columns that a file has statistics of, sorted by id. */
export function columnMetrics(stats: FileStats, plan: LeafPlan, partition: readonly FilePartition[]): ColumnMetrics[] {
  const { numRecords } = stats;
  const valueCount = numRecords < 0 ? undefined : numRecords;
  const derived = plan.partition.some((leaf) => leaf !== undefined) ? byLeaf(plan, partition) : undefined;
  // One copy for all bounds of the file.
  const bytes = Buffer.from(stats.bytes.subarray(0, stats.used));
  const columns: ColumnMetrics[] = [];
  for (const leaf of plan.leaves) {
    const value = derived?.get(leaf);
    if (value !== undefined) {
      const { bound, isNull } = value;
      if (isNull === undefined) continue;
      const nullCount = isNull ? valueCount : 0;
      columns.push(metrics(leaf, valueCount, nullCount, bound, bound));
      continue;
    }
    const nulls = nullCountOf(stats, leaf);
    // What such bounds are stands for no value.
    const isAllNull = nulls !== undefined && nulls === valueCount;
    const lower = isAllNull ? undefined : boundOf(stats, bytes, slotOf(leaf, false));
    const upper = isAllNull ? undefined : boundOf(stats, bytes, slotOf(leaf, true));
    if (nulls === undefined && lower === undefined && upper === undefined) continue;
    columns.push(metrics(leaf, valueCount, nulls, lower, upper));
  }
  return columns;
}

/** All fields at once, so that every column has the same hidden class. */
function metrics(
  { id }: Leaf,
  valueCount: number | undefined,
  nullCount: number | undefined,
  lower: Uint8Array | undefined,
  upper: Uint8Array | undefined,
): ColumnMetrics {
  return { id, sizeInBytes: undefined, valueCount, nullCount, nanCount: undefined, lower, upper };
}

/** A null count that nothing contradicts. If rows were deleted, only 'none' and 'all' remain true (Delta protocol, "Per-file Statistics"). */
function nullCountOf({ nulls, numRecords, isTight }: FileStats, { index }: Leaf): number | undefined {
  const count = nulls[index] as number;
  if (count < 0 || (numRecords >= 0 && count > numRecords)) return undefined;
  return isTight || count === 0 || count === numRecords ? count : undefined;
}

function boundOf({ starts, ends }: FileStats, bytes: Buffer, slot: number): Uint8Array | undefined {
  const start = starts[slot] as number;
  if (start < 0) return undefined;
  // Half the time of `subarray`.
  return new Uint8Array(bytes.buffer, bytes.byteOffset + start, (ends[slot] as number) - start);
}

function byLeaf({ partition }: LeafPlan, values: readonly FilePartition[]): Map<Leaf, FilePartition> {
  const derived = new Map<Leaf, FilePartition>();
  for (const [index, leaf] of partition.entries()) if (leaf) derived.set(leaf, values[index] as FilePartition);
  return derived;
}
