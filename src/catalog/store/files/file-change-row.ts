import type { FileKind } from '../database/file-kind.ts';

/** A file that was added, in the form in which the store writes it, or one that was removed, of which only the key is used. */
export interface ParsedChange {
  added: boolean;
  /** See path-hash.ts. */
  pathHash: Uint8Array;
  kind: FileKind;
  /** -1 if nobody counted them. */
  recordCount: number;
  /** A deletion vector's own bytes, otherwise the file's. */
  sizeBytes: number;
  specId: number;
  partitionKey: Uint8Array;
  referencedPath: string | null;
  /** The DataFile as it was received: a view of the request's buffer. */
  body: Uint8Array;
  sequenceNumber: number;
  fileSequenceNumber: number;
  /** Empty for the snapshot itself; for a removed file, if all its additions are removed. */
  addedSnapshotId: string;
  /** See FileChange in statistics.proto. */
  entryNumber: number;
  /** See FileChange in statistics.proto. */
  replacesLive: boolean;
  /** See FileChange in statistics.proto. */
  isUpperBound: boolean;
  /** A data file is removed only if this vector is live for it. Undefined if the removal has no such condition. */
  ifVector: VectorCondition | undefined;
}

/** A deletion vector, or null for none, and the data file that it belongs to. */
export interface VectorCondition {
  pathHash: Uint8Array | null;
  dataPath: string;
}

/** The columns of a file that come from its body. */
export function described({ kind, recordCount, sizeBytes, specId, partitionKey, referencedPath, body }: ParsedChange) {
  return [kind, recordCount, sizeBytes, specId, partitionKey, referencedPath, body];
}
