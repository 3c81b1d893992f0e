import { ColumnCollector, LOWER, NANS, NULLS, SIZE, UPPER, VALUES } from './column-collector.ts';
import type { ColumnMetrics, PackedColumns } from './packed-columns.ts';

/** One for all files: its arrays cost more than what is put into them. */
const collector = new ColumnCollector();

/** Packs metrics that are not read from a manifest. */
export function packColumns(columns: readonly ColumnMetrics[]): PackedColumns {
  collector.startFile();
  const bounds: Uint8Array[] = [];
  let end = 0;
  for (const { id, valueCount, nullCount, nanCount, sizeInBytes, lower, upper } of columns) {
    const column = collector.column(id);
    if (valueCount !== undefined) collector.setCount(column, VALUES, valueCount);
    if (nullCount !== undefined) collector.setCount(column, NULLS, nullCount);
    if (nanCount !== undefined) collector.setCount(column, NANS, nanCount);
    if (sizeInBytes !== undefined) collector.setCount(column, SIZE, sizeInBytes);
    for (const [side, bound] of [[LOWER, lower] as const, [UPPER, upper] as const]) {
      if (bound === undefined) continue;
      collector.setBound(column, side, end, bound.length);
      bounds.push(bound);
      end += bound.length;
    }
  }
  return collector.finish(Buffer.concat(bounds));
}
