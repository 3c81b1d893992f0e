import { LENGTH, VARINT, WireReader } from '../../../wire/reader.ts';

/** What a file says of one column. */
export interface ColumnMetrics {
  id: number;
  values?: number;
  nulls?: number;
  nans?: number;
  size?: number;
  /** Parts of the file's body: copy what is kept. */
  lower?: Uint8Array;
  upper?: Uint8Array;
}

const FILE_RECORDS = (4 << 3) | VARINT;
const FILE_COLUMN = (8 << 3) | LENGTH;
const ID = (1 << 3) | VARINT;
const VALUES = (4 << 3) | VARINT;
const NULLS = (5 << 3) | VARINT;
const NANS = (6 << 3) | VARINT;
const LOWER = (9 << 3) | LENGTH;
const UPPER = (10 << 3) | LENGTH;
const SIZE = (11 << 3) | VARINT;

/** Reads the column statistics of a stored DataFile, and nothing else of it. */
export function fileColumns(body: Uint8Array): { records: number; columns: ColumnMetrics[] } {
  const reader = new WireReader(body);
  const end = body.length;
  const columns: ColumnMetrics[] = [];
  let records = 0;
  while (reader.position < end) {
    const tag = reader.tag(end);
    if (tag === FILE_COLUMN) columns.push(column(reader, reader.lengthEnd(end)));
    else if (tag === FILE_RECORDS) records = reader.int64(end);
    else reader.skip(tag, end);
  }
  return { records, columns };
}

function column(reader: WireReader, end: number): ColumnMetrics {
  const metrics: ColumnMetrics = { id: 0 };
  while (reader.position < end) {
    const tag = reader.tag(end);
    switch (tag) {
      case ID:
        metrics.id = reader.int64(end);
        break;
      case VALUES:
        metrics.values = reader.int64(end);
        break;
      case NULLS:
        metrics.nulls = reader.int64(end);
        break;
      case NANS:
        metrics.nans = reader.int64(end);
        break;
      case SIZE:
        metrics.size = reader.int64(end);
        break;
      case LOWER:
        metrics.lower = reader.bytes(reader.lengthEnd(end));
        break;
      case UPPER:
        metrics.upper = reader.bytes(reader.lengthEnd(end));
        break;
      default:
        reader.skip(tag, end);
    }
  }
  return metrics;
}
