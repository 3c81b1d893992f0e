import type { SnapshotIdentity } from '../contract/snapshot-digest.ts';
import type { PackedColumns } from './columns/packed-columns.ts';

export type TableFormat = 'ICEBERG' | 'DELTA';

export interface TableDescriptor {
  /** The upstream's own id of the table. */
  uuid: string;
  format: TableFormat;
  formatVersion: number;
  location: string;
  /** For Delta, the newest version's commit: a staged one until it is published. */
  metadataLocation: string;
  /** Identifies the state of the table that was read. */
  fingerprint: string;
  properties: Record<string, string>;
  /** Every schema, as Iceberg's spec serializes it (appendix C). For Delta only the current one: the others come with their snapshots. */
  schemas: { id: number; json: string }[];
  currentSchemaId: number;
  /** For Delta, those that are known so far: the others come with their snapshots, and the list grows as these are read. */
  partitionSpecs: PartitionSpec[];
  defaultSpecId: number;
  /** Absent for a table without a snapshot. */
  currentSnapshotId?: bigint;
  refs: SnapshotRef[];
}

/** What the catalog has of a table already. A format without ids of its own continues these. */
export interface KnownTable {
  uuid: string;
  /** The fingerprint of the last state that was ingested completely; otherwise empty, or no fingerprint at all. */
  fingerprint: string;
  /** When that state was committed, as it is stored. */
  committedAtMs?: number;
  /** All versions. */
  schemas: { id: number; json: string }[];
  partitionSpecs: PartitionSpec[];
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
  /** The largest long means for ever. */
  maxSnapshotAgeMs?: bigint;
  maxRefAgeMs?: bigint;
}

/** A snapshot in its table's history. */
export interface HistoryEntry extends SnapshotIdentity {
  /** The parent's id in the metadata; the parent itself may have expired. */
  parentSnapshotId?: bigint;
  /** 0 in Iceberg format version 1. */
  sequenceNumber: number;
  /** Empty if a version 1 snapshot lists its manifests itself. For Delta, the path of the version's commit once it is published. */
  manifestList: string;
}

export interface SnapshotDescriptor extends HistoryEntry {
  /** As the writer stated it: some state microseconds, or nonsense. */
  committedAtMs: number;
  operation: string;
  summary: Record<string, string>;
  schemaId?: number;
  /** The schema and partition spec that come with the snapshot, if the table's descriptor does not contain those of all snapshots. */
  schema?: { id: number; json: string; partitionSpec: PartitionSpec };
  firstRowId?: number;
  addedRows?: number;
}

export type FileContent = 'DATA' | 'POSITION_DELETES' | 'EQUALITY_DELETES';

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
  /** PARQUET, ORC, AVRO, PUFFIN, or DELTA_DV for a file of Delta's deletion vectors. */
  format: string;
  /** -1 if it is not known. */
  recordCount: number;
  fileSizeInBytes: number;
  specId: number;
  partition: PartitionValue[];
  columns: PackedColumns;
  /** Offset of a deletion vector in its file. The path and this offset together identify the file. */
  contentOffset?: number;
  contentSizeInBytes?: number;
  /** The only data file that the deletes apply to, from the metadata or from equal bounds of `file_path`. */
  referencedDataFile?: string;
  equalityIds?: number[];
  sortOrderId?: number;
  splitOffsets?: number[];
  firstRowId?: number;
  /** The schema whose types the bounds have. Absent if later types can be read from the bytes themselves, as Iceberg's can. */
  schemaId?: number;
  /** The deletes themselves, if no file contains them. */
  inlineContent?: Uint8Array;
}

/** When a file was added to its table. */
export interface Addition {
  /** Data sequence number after inheritance; 0 in format version 1. */
  sequenceNumber: number;
  fileSequenceNumber: number;
  /** The snapshot that added the file to the table. */
  addedSnapshotId: bigint;
  /** The file was added then or earlier. Delta's checkpoints do not contain when: what is stored already is right. */
  isUpperBound?: true;
}

export interface AddedFile extends Addition {
  kind: 'added';
  file: ContentFile;
  /** Which entry of the snapshot's metadata lists the file: a file with two entries is live twice. Absent if the format has no file twice. */
  entryNumber?: number;
  /** If the file is live already, this addition takes the place of the earlier one (Delta protocol, "Add File"). Otherwise it is live twice. */
  replacesLive?: true;
}

export interface RemovedFile {
  kind: 'removed';
  path: string;
  contentOffset?: number;
  /**
   * A data file is removed only if this deletion vector, or none, is live with it before the snapshot (Delta protocol, "Add File and Remove File");
   * otherwise nothing changes.
   */
  ifVector?: { path: string; contentOffset?: number } | 'none';
  /** Only what was added so is removed; absent if all live additions of the file are. */
  addition?: Addition;
}

export type FileChange = AddedFile | RemovedFile;

export interface FileChangeBatch {
  changes: FileChange[];
  /** Pass this as `from` to continue after this batch. Absent if the reader cannot continue from here. */
  position?: number;
}

export interface FileChangesOptions {
  base?: bigint;
  /** The first position to read, and the position to stop before. */
  from?: number;
  to?: number;
  columnIds?: ReadonlySet<number>;
  signal?: AbortSignal;
}

/** Positions of `fileChanges`; `to` is exclusive. */
export interface ChangeRange {
  from: number;
  to: number;
  /** Number of changes according to the metadata's own counts. */
  changes: number;
}

/** Numbers of live files according to the manifest list's own counts. */
export interface LiveFileCounts {
  dataFiles: number;
  deleteFiles: number;
}

/** Reads a table in the state that it had when it was opened. */
export interface TableReader extends AsyncDisposable {
  readonly descriptor: TableDescriptor;
  /**
   * Snapshots that were read before may be others now, although nothing in the history shows it: a Delta table that was set back to an earlier version, as
   * by a backup, gives the numbers of later versions again. What is stored of them is to be verified.
   */
  readonly mayDiffer?: boolean;
  /** Bytes of metadata and data files read so far. */
  readonly bytesRead: number;
  /**
   * Every snapshot that can be read, a parent before its children, otherwise oldest first. Reads nothing beyond what opening the table has
   * read (Iceberg's metadata, the listing of Delta's log), so that a history of 100,000 snapshots costs no request. Parents never form a cycle.
   */
  history(): Iterable<HistoryEntry>;
  /** The ids of the history if it is linear and the ids are consecutive, as Delta's versions are. */
  readonly versions?: { first: bigint; last: bigint };
  /** The snapshots of the history with these ids, in its order; all of them by default. Reads only what describes those. */
  snapshots(ids?: ReadonlySet<bigint>): AsyncIterable<SnapshotDescriptor>;
  /**
   * Returns the files that were added and removed between `base` and the snapshot; without a base, all live files as added. A batch has
   * at most a few thousand changes. `columnIds` restricts the column metrics.
   */
  fileChanges(snapshotId: bigint, options?: FileChangesOptions): AsyncIterable<FileChangeBatch>;
  /**
   * Splits `fileChanges` into ranges that can be read independently: at most `maxRanges`, of about `size` changes each. Every call
   * returns the same ranges. Undefined if the changes cannot be split before they are read.
   */
  changeRanges?(
    snapshotId: bigint,
    options: { base?: bigint; size: number; maxRanges: number },
  ): Promise<ChangeRange[] | undefined>;
  /** Undefined if the metadata does not contain the counts. */
  liveFileCounts(snapshotId: bigint): Promise<LiveFileCounts | undefined>;
  /** Files with column sketches that the upstream itself keeps; each is valid for one snapshot. */
  readonly sketchFiles?: readonly SketchFile[];
  /** Returns the file's sketches of these columns, each at most 128 KiB. */
  columnSketches?(file: SketchFile, columnIds: ReadonlySet<number>): AsyncIterable<ColumnSketch>;
  /** Opens a data or delete file by its path in the metadata, without reading from it. */
  openDataFile?(path: string, sizeInBytes: number): DataFileBytes;
}

/** A file whose bytes are read in parts. */
export interface DataFileBytes {
  readonly byteLength: number;
  /** @throws CodedError of the store */
  slice(start: number, end: number): Promise<Uint8Array>;
}

/** A file with sketches of a snapshot's columns. Files are immutable: different contents have a different path. */
export interface SketchFile {
  snapshotId: bigint;
  path: string;
  sizeInBytes: number;
  /** What the table's metadata says of its contents. */
  ndv?: ColumnNdv[];
}

/** The number of distinct values of one column at a snapshot. */
export interface ColumnNdv {
  columnId: number;
  /** Present if the sketch is small enough to be exact. */
  exact?: number;
  /** Present if `exact` is absent. */
  estimate?: number;
  /** Relative standard error of the estimate. */
  relativeError?: number;
  /** The serialized sketch and Puffin's name of its type. */
  sketch?: { type: string; data: Uint8Array };
}

export type ColumnSketch = ColumnNdv & Required<Pick<ColumnNdv, 'sketch'>>;
