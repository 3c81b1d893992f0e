/**
 * The column metrics of one file, sorted by id, in protobuf: the fields `columns` of `DataFile` in statistics.proto, one after the other, each with its
 * tag and length. Empty if the file has no metrics. The fields of a column are in the order of their numbers, and those that are not known are absent.
 *
 * This is how they are sent and stored. As objects they take ten times the memory, most of it for 40 views of bounds per file of 20 columns, and are
 * a third of the cost of reading a manifest.
 */
export type PackedColumns = Uint8Array;

/** Metrics of one leaf column in a file's metadata. Metrics that the metadata does not contain are absent. */
export interface ColumnMetrics {
  id: number;
  sizeInBytes?: number;
  valueCount?: number;
  nullCount?: number;
  nanCount?: number;
  /** Single-value serialization (Iceberg spec, appendix D), unchanged from the writer. */
  lower?: Uint8Array;
  upper?: Uint8Array;
}

const VARINT = 0;
const LENGTH = 2;

/** Tag of `columns` in DataFile. */
export const COLUMNS = (8 << 3) | LENGTH;
/** Tags of the fields of a column. */
export const COLUMN = {
  id: (1 << 3) | VARINT,
  valueCount: (4 << 3) | VARINT,
  nullCount: (5 << 3) | VARINT,
  nanCount: (6 << 3) | VARINT,
  lower: (9 << 3) | LENGTH,
  upper: (10 << 3) | LENGTH,
  size: (11 << 3) | VARINT,
};

export const NO_COLUMNS: PackedColumns = new Uint8Array();
