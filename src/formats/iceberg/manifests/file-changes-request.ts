import type { ManifestFile } from './manifest-list.ts';

/** Selects the two states of a table between which file changes are read. */
export interface FileChangesRequest {
  snapshotId: bigint;
  manifests: readonly ManifestFile[];
  /** The base, its manifests, and whether it is the snapshot's parent. */
  base?: { snapshotId: bigint; manifests: readonly ManifestFile[]; isParent: boolean };
  /** Index of the first manifest to read. */
  from?: number;
  /** Index of the manifest to stop before. */
  to?: number;
  columnIds?: ReadonlySet<number>;
  signal?: AbortSignal;
}
