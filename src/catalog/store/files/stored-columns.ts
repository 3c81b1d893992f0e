import { COLUMN, FILE } from '../../../wire/file-change-tags.ts';
import { WireReader } from '../../../wire/reader.ts';

/** A file's metrics of one column. */
export interface StoredColumnMetrics {
  id: number;
  values?: number;
  nulls?: number;
  nans?: number;
  size?: number;
  /** Bounds are views of the file's body: copy those that are kept. */
  lower?: Uint8Array;
  upper?: Uint8Array;
}

export interface StoredMetrics {
  /** -1 if nobody counted them. */
  records: number;
  columns: StoredColumnMetrics[];
  /** See DataFile in statistics.proto. */
  schemaId?: number;
}

/** Reads the column metrics of a stored DataFile, and what they refer to. */
export function fileColumns(body: Uint8Array): StoredMetrics {
  const reader = new WireReader(body);
  const end = body.length;
  const columns: StoredColumnMetrics[] = [];
  let records = -1;
  let schemaId: number | undefined;
  while (reader.position < end) {
    const tag = reader.tag(end);
    if (tag === FILE.column) columns.push(column(reader, reader.lengthEnd(end)));
    else if (tag === FILE.recordCount) records = reader.int64(end);
    else if (tag === FILE.schemaId) schemaId = reader.uint32(end);
    else reader.skip(tag, end);
  }
  return { records, columns, schemaId };
}

function column(reader: WireReader, end: number): StoredColumnMetrics {
  const metrics: StoredColumnMetrics = { id: 0 };
  while (reader.position < end) {
    const tag = reader.tag(end);
    switch (tag) {
      case COLUMN.id:
        metrics.id = reader.int64(end);
        break;
      case COLUMN.valueCount:
        metrics.values = reader.int64(end);
        break;
      case COLUMN.nullCount:
        metrics.nulls = reader.int64(end);
        break;
      case COLUMN.nanCount:
        metrics.nans = reader.int64(end);
        break;
      case COLUMN.size:
        metrics.size = reader.int64(end);
        break;
      case COLUMN.lower:
        metrics.lower = reader.bytes(reader.lengthEnd(end));
        break;
      case COLUMN.upper:
        metrics.upper = reader.bytes(reader.lengthEnd(end));
        break;
      default:
        reader.skip(tag, end);
    }
  }
  return metrics;
}
