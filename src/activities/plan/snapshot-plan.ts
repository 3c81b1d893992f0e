import type { CaptureOptions } from '../../contract/activities.ts';
import { type Ancestry, lineOf, selectSnapshots, type TableHeads } from './select-snapshots.ts';
import type { StoredSnapshots } from './stored-snapshots.ts';

/** What is to be done to a table's snapshots. It holds ids, so that it is at most as large as the table's metadata. */
export interface SnapshotPlan extends StoredSnapshots {
  ancestry: Ancestry;
  /** To be ingested or verified, a parent before its children. */
  todo: ReadonlySet<bigint>;
  /** The last of `todo`. */
  last: bigint | undefined;
  /** To be marked expired. */
  expired: bigint[];
  /** Some are ingested without their files. */
  leavesFiles: boolean;
}

/**
 * @param heads of the catalog's table if only files are captured, otherwise of the upstream's
 * @param marks whether the connector marks what expired upstream; otherwise it stays in the catalog's lists
 */
export function planSnapshots(
  ancestry: Ancestry,
  stored: StoredSnapshots,
  heads: TableHeads,
  { capture: { snapshots, mode }, full, marks }: { capture: CaptureOptions; full: boolean; marks: boolean },
): SnapshotPlan {
  const { known, captured, replaced } = stored;
  const taken = selectSnapshots(snapshots, ancestry, heads);
  const done = mode === 'METADATA_ONLY' ? known : captured;
  const heldBy = new Set([heads.currentSnapshotId, ...heads.refs.map(({ snapshotId }) => snapshotId)]);
  const todo = [...ancestry.keys()].filter((id) => {
    // The current snapshot, or a ref, would name the one that was replaced.
    const isTaken = taken.has(id) || (replaced.has(id) && heldBy.has(id));
    if (!isTaken || (mode === 'CAPTURE_ONLY' && !known.has(id))) return false;
    return full || !done.has(id);
  });
  const isTodo = new Set(todo);
  // The upstream no longer has what another snapshot has replaced either.
  const expired = [...stored.expired, ...[...replaced].filter((id) => !isTodo.has(id))];
  return {
    ...stored,
    ancestry,
    todo: isTodo,
    last: todo.at(-1),
    expired: marks && mode !== 'CAPTURE_ONLY' ? expired : [],
    leavesFiles: mode === 'METADATA_ONLY' && todo.some((id) => !known.has(id)),
  };
}

/** The snapshot that another's changes start from: the first captured one of its ancestors, beginning with its parent. */
export function nearestCaptured(
  ancestry: Ancestry,
  captured: ReadonlySet<bigint>,
  parentSnapshotId: bigint | undefined,
): bigint | undefined {
  for (const id of lineOf(ancestry, parentSnapshotId)) if (captured.has(id)) return id;
  return undefined;
}
