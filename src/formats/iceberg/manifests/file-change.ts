import type { FileChange } from '../../table-reader.ts';
import type { ResolvedEntry } from './manifest.ts';

/** The change that adds a live entry's file. */
export function added({ file, sequenceNumber, fileSequenceNumber, snapshotId }: ResolvedEntry): FileChange {
  return { kind: 'added', file, sequenceNumber, fileSequenceNumber, addedSnapshotId: snapshotId };
}

/** The change that removes a file. */
export function removed(path: string, contentOffset: number | undefined): FileChange {
  return contentOffset === undefined ? { kind: 'removed', path } : { kind: 'removed', path, contentOffset };
}
