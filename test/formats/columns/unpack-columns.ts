import type { ColumnMetrics, PackedColumns } from '../../../src/formats/columns/packed-columns.ts';
import { DataFile } from '../../../src/generated/reconciler/v1/statistics.ts';

const number = (value: bigint | undefined) => (value === undefined ? undefined : Number(value));
const bytes = (value: Uint8Array | undefined) => (value === undefined ? undefined : new Uint8Array(value));

/** A file's column metrics, as the generated code reads them. */
export function unpackColumns(columns: PackedColumns): ColumnMetrics[] {
  return DataFile.decode(columns).columns.map((column) => ({
    id: column.columnId,
    sizeInBytes: number(column.sizeInBytes),
    valueCount: number(column.valueCount),
    nullCount: number(column.nullCount),
    nanCount: number(column.nanCount),
    lower: bytes(column.lowerBound),
    upper: bytes(column.upperBound),
  }));
}
