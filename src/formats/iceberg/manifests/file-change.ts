import type { Addition, FileChange } from '../../table-reader.ts';
import type { ResolvedEntry } from './manifest.ts';

/** The change that adds a live entry's file. */
export function added({ file, sequenceNumber, fileSequenceNumber, snapshotId, number }: ResolvedEntry): FileChange {
  return { kind: 'added', file, sequenceNumber, fileSequenceNumber, addedSnapshotId: snapshotId, entryNumber: number };
}

/** The change that removes a file: what was added so, or else all its additions. */
export function removed(path: string, contentOffset: number | undefined, addition?: Addition): FileChange {
  return {
    kind: 'removed',
    path,
    ...(contentOffset !== undefined && { contentOffset }),
    ...(addition !== undefined && { addition }),
  };
}
