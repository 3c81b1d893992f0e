import type { Position } from '../lineage/lineage.ts';
import type { ParsedChange } from './file-change-row.ts';

/** The snapshot to which changes are written. */
export interface WriteTarget {
  tableNum: number;
  snapshotId: string;
  /** See `ancestryOf`. */
  ancestry: readonly Position[];
  /** The table has no files yet. */
  isEmpty?: boolean;
}

/** The snapshot that added the file; null for the target itself. */
export function addedByOther({ snapshotId }: WriteTarget, { addedSnapshotId }: ParsedChange): string | null {
  return addedSnapshotId === '' || addedSnapshotId === snapshotId ? null : addedSnapshotId;
}
