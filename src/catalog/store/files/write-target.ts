import type { Position } from '../lineage/lineage.ts';

/** The snapshot to which changes are written. */
export interface WriteTarget {
  tableNum: number;
  snapshotId: string;
  /** See `ancestryOf`. */
  ancestry: readonly Position[];
}
