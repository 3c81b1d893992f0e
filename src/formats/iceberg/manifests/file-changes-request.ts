import type { ManifestFile } from './manifest-list.ts';

/** Between which states of a table the files that came and went are wanted. */
export interface FileChangesRequest {
  snapshotId: bigint;
  manifests: readonly ManifestFile[];
  /** The base's own manifests, and whether it is the snapshot's parent. */
  base?: { snapshotId: bigint; manifests: readonly ManifestFile[]; isParent: boolean };
  /** Manifests to leave out because they are done. */
  from?: number;
  /** The first manifest to leave out again. */
  to?: number;
  columnIds?: ReadonlySet<number>;
  signal?: AbortSignal;
}
