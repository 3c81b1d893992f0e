/** Actions of Delta's log (Delta protocol, "Actions"), as read from commits and checkpoints. Numbers are checked to be safe integers. */

export interface DeletionVectorDescriptor {
  /** u: relative to the table; p: an absolute path; i: the bitmap itself. */
  storageType: 'u' | 'p' | 'i';
  pathOrInlineDv: string;
  offset?: number;
  sizeInBytes: number;
  /** Number of rows that it deletes. */
  cardinality: number;
}

export interface AddAction {
  kind: 'add';
  /** As in the log: URI-encoded, relative to the table or absolute. */
  path: string;
  /** By physical name. */
  partitionValues: Readonly<Record<string, string | null>>;
  size: number;
  /** JSON text, as in the log. */
  stats?: string;
  /** `stats_parsed` of a checkpoint without `stats`: timestamps are microseconds (bigint), dates days, decimals text. */
  statsParsed?: Readonly<Record<string, unknown>>;
  deletionVector?: DeletionVectorDescriptor;
  baseRowId?: number;
  defaultRowCommitVersion?: number;
}

export interface RemoveAction {
  kind: 'remove';
  path: string;
  deletionVector?: DeletionVectorDescriptor;
}

export interface MetadataAction {
  id: string;
  name?: string;
  description?: string;
  /** The JSON text of a struct type. */
  schemaString: string;
  /** Logical names. */
  partitionColumns: readonly string[];
  configuration: Readonly<Record<string, string>>;
  /** `parquet` if it is absent. */
  provider: string;
}

export interface ProtocolAction {
  minReaderVersion: number;
  minWriterVersion: number;
  readerFeatures?: readonly string[];
  writerFeatures?: readonly string[];
}
