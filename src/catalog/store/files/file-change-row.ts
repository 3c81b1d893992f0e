import type { FileKind } from '../database/file-kind.ts';

/** A file that came, as the store takes it, or one that went (`added` false: only its key counts). */
export interface ParsedChange {
  added: boolean;
  /** See path-hash.ts. */
  pathHash: Uint8Array;
  kind: FileKind;
  recordCount: number;
  /** A deletion vector's own bytes, otherwise the file's. */
  sizeBytes: number;
  specId: number;
  partitionKey: Uint8Array;
  referencedPath: string | null;
  /** The DataFile as it came on the wire. Part of the request's buffer. */
  body: Uint8Array;
  sequenceNumber: number;
  fileSequenceNumber: number;
  addedSnapshotId: string;
}
