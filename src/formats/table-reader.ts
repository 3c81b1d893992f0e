export type TableFormat = 'ICEBERG' | 'DELTA';

export interface TableDescriptor {
  /** The upstream's own id of the table. */
  uuid: string;
  format: TableFormat;
  formatVersion: number;
  location: string;
  metadataLocation: string;
  /** Of the state that was read. */
  fingerprint: string;
  properties: Record<string, string>;
  /** Every schema, as Iceberg's spec serializes it (appendix C). */
  schemas: { id: number; json: string }[];
  currentSchemaId: number;
  partitionSpecs: PartitionSpec[];
  defaultSpecId: number;
  /** Absent for a table without a snapshot. */
  currentSnapshotId?: bigint;
  refs: SnapshotRef[];
}

export interface PartitionSpec {
  specId: number;
  fields: { fieldId: number; name: string; transform: string; sourceIds: number[] }[];
}

export interface SnapshotRef {
  name: string;
  snapshotId: bigint;
  type: 'branch' | 'tag';
  minSnapshotsToKeep?: number;
  maxSnapshotAgeMs?: number;
  maxRefAgeMs?: number;
}

/** A snapshot in its table's history. */
export interface SnapshotParent {
  snapshotId: bigint;
  /** As the metadata states it: the parent may have expired. */
  parentSnapshotId?: bigint;
}

export interface SnapshotDescriptor extends SnapshotParent {
  /** 0 in Iceberg format version 1. */
  sequenceNumber: number;
  committedAtMs: number;
  operation: string;
  summary: Record<string, string>;
  schemaId?: number;
  /** Empty where a version 1 snapshot lists its manifests itself. */
  manifestList: string;
  firstRowId?: number;
  addedRows?: number;
}

export type FileContent = 'DATA' | 'POSITION_DELETES' | 'EQUALITY_DELETES';

/** What a file's metadata says of one leaf column. What it does not say is absent. */
export interface ColumnMetrics {
  id: number;
  sizeInBytes?: number;
  valueCount?: number;
  nullCount?: number;
  nanCount?: number;
  /** Single-value serialization (Iceberg spec, appendix D), as the writer gave it. */
  lower?: Uint8Array;
  upper?: Uint8Array;
}

export interface PartitionValue {
  fieldId: number;
  name: string;
  /** The transform's result type. */
  type: string;
  /** Single-value serialization; absent for null. */
  value?: Uint8Array;
}

export interface ContentFile {
  path: string;
  content: FileContent;
  /** PARQUET, ORC, AVRO or PUFFIN. */
  format: string;
  recordCount: number;
  fileSizeInBytes: number;
  specId: number;
  partition: PartitionValue[];
  /** By id. */
  columns: ColumnMetrics[];
  /** Of a deletion vector in its Puffin file. Path and content offset together are the file's key. */
  contentOffset?: number;
  contentSizeInBytes?: number;
  /** The one data file that the deletes are for: as the metadata says it, or as equal bounds of `file_path` tell. */
  referencedDataFile?: string;
  equalityIds?: number[];
  sortOrderId?: number;
  splitOffsets?: number[];
  firstRowId?: number;
}

export type FileChange =
  | {
      kind: 'added';
      file: ContentFile;
      /** Data sequence number, inherited ones resolved; 0 in format version 1. */
      sequenceNumber: number;
      fileSequenceNumber: number;
      /** The snapshot that brought the file to the table. */
      addedSnapshotId: bigint;
    }
  | { kind: 'removed'; path: string; contentOffset?: number };

export interface FileChangeBatch {
  changes: FileChange[];
  /** Give it back as `from` to go on after this batch. Absent where the reader cannot go on from here. */
  position?: number;
}

export interface FileChangesOptions {
  base?: bigint;
  /** The position to go on from, and the one to end before. */
  from?: number;
  to?: number;
  columnIds?: ReadonlySet<number>;
  signal?: AbortSignal;
}

/** Positions of `fileChanges`, from the first to before the last. */
export interface ChangeRange {
  from: number;
  to: number;
  /** By the metadata's own counts. */
  changes: number;
}

/** Live files by the manifest list's own counts. */
export interface LiveFileCounts {
  dataFiles: number;
  deleteFiles: number;
}

/** A table in the state in which it was opened. */
export interface TableReader extends AsyncDisposable {
  readonly descriptor: TableDescriptor;
  /** Bytes read so far: of metadata, and of data files where they were read. */
  readonly bytesRead: number;
  /**
   * Every snapshot that can be read, a parent before its children, otherwise oldest first. Reads nothing beyond what opening the table has
   * read (Iceberg's metadata, the listing of Delta's log), so that a history of 100,000 snapshots costs no request.
   *
   * @throws CodedError `DATA_LOSS` if parents form a circle
   */
  history(): Iterable<SnapshotParent>;
  /** The snapshots of the history with these ids, in its order; all of them by default. Reads only what describes those. */
  snapshots(ids?: ReadonlySet<bigint>): AsyncIterable<SnapshotDescriptor>;
  /**
   * The files that came and went from `base` to the snapshot; without a base, all its live files as added. At most some
   * thousand changes a batch. `columnIds` narrows the column metrics.
   */
  fileChanges(snapshotId: bigint, options?: FileChangesOptions): AsyncIterable<FileChangeBatch>;
  /**
   * Cuts `fileChanges` into ranges that can be read apart, of about `size` changes each and at most `most` of them; their order and bounds
   * are the same whenever they are asked for. Undefined where the changes cannot be told apart before they are read.
   */
  changeRanges?(
    snapshotId: bigint,
    options: { base?: bigint; size: number; most: number },
  ): Promise<ChangeRange[] | undefined>;
  /** Absent where the metadata does not count them. */
  liveFileCounts(snapshotId: bigint): Promise<LiveFileCounts | undefined>;
  /** Sketches of columns that the upstream itself keeps, by the snapshot for which they are valid. Absent for none. */
  readonly sketchFiles?: readonly SketchFile[];
  /** What such a file holds of each of these columns, at most 128 KiB a sketch. */
  columnSketches?(file: SketchFile, columnIds: ReadonlySet<number>): AsyncIterable<ColumnSketch>;
  /** Opens a data or delete file of the table by its path in the metadata. Nothing is read yet. */
  openDataFile?(path: string, sizeInBytes: number): DataFileBytes;
}

/** A file as bytes, read in parts. */
export interface DataFileBytes {
  readonly byteLength: number;
  /** @throws CodedError of the store */
  slice(start: number, end: number): Promise<Uint8Array>;
}

/** A file with sketches of a snapshot's columns. Another path means other contents. */
export interface SketchFile {
  snapshotId: bigint;
  path: string;
  sizeInBytes: number;
}

/** The number of distinct values of one column at a snapshot. */
export interface ColumnSketch {
  columnId: number;
  /** Where the sketch saw few enough values to count them. */
  exact?: number;
  /** Else. */
  estimate?: number;
  /** Relative standard error of the estimate. */
  relativeError?: number;
  /** Serialized, with its type as Puffin names it. */
  sketch: { type: string; data: Uint8Array };
}
