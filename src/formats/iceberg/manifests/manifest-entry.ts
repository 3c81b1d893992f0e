import type { AvroCursor } from '../../avro/cursor.ts';
import {
  bigLongReader,
  type FieldReader,
  type FieldTable,
  longReader,
  longsReader,
  optional,
  type Read,
  recordReader,
  requireKind,
  stringReader,
  wrongKind,
} from '../../avro/readers.ts';
import { type AvroType, withoutNull } from '../../avro/schema.ts';
import { ColumnCollector, LOWER, NANS, NULLS, SIZE, UPPER, VALUES } from '../../columns/column-collector.ts';
import { MalformedError } from '../../malformed.ts';
import type { ContentFile, FileContent, PartitionSpec, PartitionValue } from '../../table-reader.ts';
import { isDeleteFileColumn } from './delete-file-columns.ts';
import { type MetricTarget, readBounds, readCounts } from './metric-maps.ts';
import { partitionReader } from './partition-values.ts';

export const EXISTING = 0;
export const ADDED = 1;
export const DELETED = 2;

/** A manifest entry (Iceberg spec, "Manifest Entry Fields") before inheritance. */
export interface ManifestEntry {
  status: typeof EXISTING | typeof ADDED | typeof DELETED;
  snapshotId?: bigint;
  sequenceNumber?: number;
  fileSequenceNumber?: number;
  file: ContentFile;
}

/** The `file_path` column of position delete files (spec, "Reserved Field IDs"). */
const DELETE_FILE_PATH = 2_147_483_546;
const CONTENTS: readonly FileContent[] = ['DATA', 'POSITION_DELETES', 'EQUALITY_DELETES'];

/** Reads the entry at the cursor. */
export type ReadEntry = (cursor: AvroCursor) => ManifestEntry;

/**
 * Returns a reader for one manifest's schema. It converts bytes directly to `ContentFile`s, without intermediate objects for the metric maps.
 * docs/decisions/avro.md has the reasons and figures.
 *
 * @param columnIds the columns whose metrics are read; undefined means all
 * @param fixedHasLength see `partitionReader`
 * @throws MalformedError if the schema is not that of a manifest
 */
export function manifestEntryReader(
  schema: AvroType,
  spec: PartitionSpec,
  types: ReadonlyMap<number, string>,
  columnIds?: ReadonlySet<number>,
  fixedHasLength = false,
): ReadEntry {
  const builder = new EntryBuilder(spec.specId, columnIds);
  const fileFields = dataFileFields(spec, types, fixedHasLength);
  const read = recordReader(
    schema,
    [
      value(0, ['status'], longReader, (entry, status) => {
        entry.status = status;
      }),
      value(1, ['snapshot_id'], bigLongReader, (entry, id) => {
        entry.snapshotId = id;
      }),
      value(3, ['sequence_number'], longReader, (entry, number) => {
        entry.sequenceNumber = number;
      }),
      value(4, ['file_sequence_number'], longReader, (entry, number) => {
        entry.fileSequenceNumber = number;
      }),
      record(2, ['data_file'], (type) => recordReader(type, fileFields, [100, 101, 103, 104])),
    ],
    [0, 2],
  );
  return (cursor) => {
    builder.start();
    read(cursor, builder);
    cursor.requireInside();
    return builder.finish(cursor.buffer);
  };
}

/** The fields of `data_file`, with the spec's ids ("Data File Fields"). */
function dataFileFields(
  spec: PartitionSpec,
  types: ReadonlyMap<number, string>,
  fixedHasLength: boolean,
): FieldTable<EntryBuilder> {
  return [
    value(134, ['content'], longReader, (entry, content) => {
      entry.content = content;
    }),
    value(100, ['file_path'], stringReader, (entry, path) => {
      entry.path = path;
    }),
    value(101, ['file_format'], formatReader, (entry, format) => {
      entry.format = format;
    }),
    record(102, ['partition', '102'], (type) => {
      const read = partitionReader(type, spec, types, fixedHasLength);
      return (cursor, entry) => {
        entry.partition = read(cursor);
      };
    }),
    value(103, ['record_count'], longReader, (entry, count) => {
      entry.recordCount = count;
    }),
    value(104, ['file_size_in_bytes'], longReader, (entry, size) => {
      entry.fileSizeInBytes = size;
    }),
    counts(108, 'column_sizes', SIZE),
    counts(109, 'value_counts', VALUES),
    counts(110, 'null_value_counts', NULLS),
    counts(137, 'nan_value_counts', NANS),
    bounds(125, 'lower_bounds', LOWER),
    bounds(128, 'upper_bounds', UPPER),
    value(132, ['split_offsets'], longsReader, (entry, offsets) => {
      entry.splitOffsets = offsets;
    }),
    value(135, ['equality_ids'], longsReader, (entry, ids) => {
      entry.equalityIds = ids;
    }),
    value(140, ['sort_order_id'], longReader, (entry, id) => {
      entry.sortOrderId = id;
    }),
    value(142, ['first_row_id'], longReader, (entry, id) => {
      entry.firstRowId = id;
    }),
    value(143, ['referenced_data_file'], stringReader, (entry, path) => {
      entry.referencedDataFile = path;
    }),
    value(144, ['content_offset'], longReader, (entry, offset) => {
      entry.contentOffset = offset;
    }),
    value(145, ['content_size_in_bytes'], longReader, (entry, size) => {
      entry.contentSizeInBytes = size;
    }),
  ];
}

/** Collects an entry's fields in the writer's order. One builder is reused for all entries of a manifest. */
class EntryBuilder implements MetricTarget {
  status = -1;
  snapshotId: bigint | undefined;
  sequenceNumber: number | undefined;
  fileSequenceNumber: number | undefined;
  content = 0;
  path = '';
  format = '';
  recordCount = 0;
  fileSizeInBytes = 0;
  partition: PartitionValue[] = [];
  splitOffsets: number[] | undefined;
  equalityIds: number[] | undefined;
  sortOrderId: number | undefined;
  firstRowId: number | undefined;
  referencedDataFile: string | undefined;
  contentOffset: number | undefined;
  contentSizeInBytes: number | undefined;
  /** Bounds of a position delete file's column `file_path`. */
  pathLower: Uint8Array | undefined;
  pathUpper: Uint8Array | undefined;
  readonly columns = new ColumnCollector();
  readonly #specId: number;
  readonly #columnIds: ReadonlySet<number> | undefined;

  constructor(specId: number, columnIds: ReadonlySet<number> | undefined) {
    this.#specId = specId;
    this.#columnIds = columnIds;
  }

  includes(id: number): boolean {
    return id >= 0 && !isDeleteFileColumn(id) && (this.#columnIds === undefined || this.#columnIds.has(id));
  }

  /** Reads the bound of a column that is not included. */
  other(cursor: AvroCursor, column: number, side: number): void {
    if (column !== DELETE_FILE_PATH) cursor.skipBytes();
    else if (side === LOWER) this.pathLower = cursor.readBytes();
    else this.pathUpper = cursor.readBytes();
  }

  start(): void {
    this.status = -1;
    this.snapshotId = undefined;
    this.sequenceNumber = undefined;
    this.fileSequenceNumber = undefined;
    this.content = 0;
    this.path = '';
    this.format = '';
    this.recordCount = -1;
    this.fileSizeInBytes = -1;
    this.partition = [];
    this.splitOffsets = undefined;
    this.equalityIds = undefined;
    this.sortOrderId = undefined;
    this.firstRowId = undefined;
    this.referencedDataFile = undefined;
    this.contentOffset = undefined;
    this.contentSizeInBytes = undefined;
    this.pathLower = undefined;
    this.pathUpper = undefined;
    this.columns.startFile();
  }

  /** @param block what the entry was read from */
  finish(block: Uint8Array): ManifestEntry {
    const { status, path, recordCount, fileSizeInBytes } = this;
    if (status !== EXISTING && status !== ADDED && status !== DELETED) {
      throw new MalformedError(`an entry has the status ${status}; expected 0, 1 or 2`);
    }
    const content = CONTENTS[this.content];
    if (content === undefined) throw new MalformedError(`an entry has the content ${this.content}; expected 0, 1 or 2`);
    if (path === '') throw new MalformedError('an entry has no file path');
    // -1: an imported file that nobody counted or measured.
    if (recordCount < -1 || fileSizeInBytes < -1) {
      throw new MalformedError(`the entry of ${path} has ${recordCount} records in ${fileSizeInBytes} bytes`);
    }
    return {
      status,
      snapshotId: this.snapshotId,
      sequenceNumber: this.sequenceNumber,
      fileSequenceNumber: this.fileSequenceNumber,
      file: {
        path,
        content,
        format: this.format,
        recordCount,
        fileSizeInBytes: Math.max(0, fileSizeInBytes),
        specId: this.#specId,
        partition: this.partition,
        columns: this.columns.finish(block),
        contentOffset: this.contentOffset,
        contentSizeInBytes: this.contentSizeInBytes,
        referencedDataFile: this.referencedDataFile ?? this.#pathByBounds(content),
        equalityIds: this.equalityIds,
        sortOrderId: this.sortOrderId,
        splitOffsets: this.splitOffsets,
        firstRowId: this.firstRowId,
      },
    };
  }

  /** If all paths of a position delete file are equal, its deletes apply to that file only (spec, "Scan Planning"). */
  #pathByBounds(content: FileContent): string | undefined {
    const { pathLower, pathUpper } = this;
    if (content !== 'POSITION_DELETES' || pathLower === undefined || pathUpper === undefined) return undefined;
    return Buffer.compare(pathLower, pathUpper) === 0 ? Buffer.from(pathLower).toString('utf8') : undefined;
  }
}

type Field = FieldTable<EntryBuilder>[number];

/** A record, which some writers let be null: then the entry is left unchanged. */
function record(id: number, names: string[], make: (type: AvroType) => FieldReader<EntryBuilder>): Field {
  return {
    id,
    names,
    reader: (type) => {
      const isNull = nullReader(type);
      const read = make(withoutNull(type).type);
      return (cursor, entry) => {
        if (!isNull?.(cursor)) read(cursor, entry);
      };
    },
  };
}

/** Returns a reader of whether a value is null; undefined if its type has no null. */
function nullReader(type: AvroType): Read<boolean> | undefined {
  const { nullBranch } = withoutNull(type);
  return type.kind === 'union' ? (cursor) => cursor.readLong() === nullBranch : undefined;
}

/** A field that is left unchanged if its value is null. */
function value<T>(
  id: number,
  names: string[],
  make: (type: AvroType) => Read<T>,
  set: (entry: EntryBuilder, value: T) => void,
): Field {
  return {
    id,
    names,
    reader: (type) => {
      const read = optional(type, make);
      return (cursor, entry) => {
        const found = read(cursor);
        if (found !== undefined) set(entry, found);
      };
    },
  };
}

/** A map from column id to a count. */
function counts(id: number, name: string, kind: number): Field {
  const readMap: FieldReader<EntryBuilder> = (cursor, entry) => readCounts(cursor, entry, kind);
  return map(id, name, ['long', 'int'], readMap, (cursor, entry, column) => {
    const count = cursor.readLong(-1);
    if (count >= 0 && entry.includes(column)) entry.columns.setCount(entry.columns.column(column), kind, count);
  });
}

function bounds(id: number, name: string, side: typeof LOWER | typeof UPPER): Field {
  const readMap: FieldReader<EntryBuilder> = (cursor, entry) => readBounds(cursor, entry, side);
  return map(id, name, ['bytes'], readMap, (cursor, entry, column) => {
    if (entry.includes(column)) {
      const start = cursor.skipBytes();
      entry.columns.setBound(entry.columns.column(column), side, start, cursor.position - start);
    } else entry.other(cursor, column, side);
  });
}

/**
 * Maps with integer keys are arrays of key and value records (Iceberg spec, appendix A, "Avro").
 *
 * @param readMap reads the whole map if neither its records nor its values can be null, as in all manifests that engines write
 * @param readValue reads one value
 */
function map(
  id: number,
  name: string,
  valueKinds: AvroType['kind'][],
  readMap: FieldReader<EntryBuilder>,
  readValue: (cursor: AvroCursor, entry: EntryBuilder, key: number) => void,
): Field {
  return { id, names: [name], reader };

  function reader(type: AvroType): FieldReader<EntryBuilder> {
    const array = withoutNull(type).type;
    if (array.kind !== 'array') throw wrongKind(array, ['array of key and value records']);
    const pair = withoutNull(array.items).type;
    const [key, item] = pair.kind === 'record' && pair.fields.length === 2 ? pair.fields : [];
    if (key === undefined || item === undefined) throw wrongKind(pair, ['record of key and value']);
    requireKind(key.type, 'int', 'long');
    requireKind(withoutNull(item.type).type, ...valueKinds);
    const [isNull, isNullPair, isNullItem] = [type, array.items, item.type].map(nullReader);
    if (!isNullPair && !isNullItem) {
      return (cursor, entry) => {
        if (!isNull?.(cursor)) readMap(cursor, entry);
      };
    }
    return (cursor, entry) => {
      if (isNull?.(cursor)) return;
      entry.columns.startMap();
      for (let count = cursor.readBlockCount(); count > 0; count = cursor.readBlockCount()) {
        for (; count > 0; count--) {
          if (isNullPair?.(cursor)) continue;
          const column = cursor.readLong();
          if (!isNullItem?.(cursor)) readValue(cursor, entry, column);
        }
        cursor.requireInside();
      }
    };
  }
}

/** Returns a reader of file formats in upper case; writers differ in the case. */
function formatReader(type: AvroType): Read<string> {
  const read = stringReader(type);
  let last = '';
  let upper = '';
  return (cursor) => {
    const format = read(cursor);
    if (format !== last) {
      last = format;
      upper = format.toUpperCase();
    }
    return upper;
  };
}
