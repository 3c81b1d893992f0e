import type { FileChange } from '../../table-reader.ts';
import type { ResolvedEntry } from './manifest.ts';

/** A live entry as a file that came. */
export function added({ file, sequenceNumber, fileSequenceNumber, snapshotId }: ResolvedEntry): FileChange {
  return { kind: 'added', file, sequenceNumber, fileSequenceNumber, addedSnapshotId: snapshotId };
}

/** The key of a file as one that went. */
export function removed(path: string, contentOffset: number | undefined): FileChange {
  return contentOffset === undefined ? { kind: 'removed', path } : { kind: 'removed', path, contentOffset };
}
