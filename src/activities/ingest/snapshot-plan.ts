import type { CaptureOptions } from '../../contract/activities.ts';
import type { TableReader } from '../../formats/table-reader.ts';
import type { Snapshot } from '../../generated/reconciler/v1/snapshots.ts';
import type { ActivityDeps } from '../runtime/deps.ts';
import { type Ancestry, ancestryOf, line, selectSnapshots, type TableHeads } from './select-snapshots.ts';

/** What is to be done with a table's snapshots. Ids only: as large as the table's metadata at most. */
export interface SnapshotPlan {
  /** Those of the upstream that are in the catalog, and not marked expired there. */
  known: ReadonlyMap<bigint, Snapshot>;
  /** Those of them whose files are in; one that is captured is added. */
  captured: Set<bigint>;
  /** What the upstream has. */
  ancestry: Ancestry;
  /** To be brought in or verified, a parent before its children. */
  todo: ReadonlySet<bigint>;
  /** The last of them. */
  last: bigint | undefined;
  /** In the catalog, not marked, and the upstream does not have them any more; those that are not selected are left alone. */
  expired: bigint[];
  /** Some come in without their files. */
  leavesFiles: boolean;
}

/**
 * @param tableId undefined for a table that has no snapshots in the catalog
 * @param heads of the catalog's table where only files are captured, else of the upstream's
 * @param marks what expires upstream is marked so; else it stays among what the catalog lists, without end
 */
export async function planSnapshots(
  deps: Pick<ActivityDeps, 'catalog'>,
  tableId: string | undefined,
  reader: TableReader,
  { snapshots, mode }: CaptureOptions,
  heads: TableHeads,
  full: boolean,
  marks: boolean,
): Promise<SnapshotPlan> {
  const ancestry = await ancestryOf(reader.snapshots());
  const known = new Map<bigint, Snapshot>();
  const expired: bigint[] = [];
  if (tableId !== undefined) {
    for await (const snapshot of listedSnapshots(deps, tableId)) {
      const { snapshotId } = snapshot;
      if (ancestry.has(snapshotId)) known.set(snapshotId, { ...snapshot, summary: {} });
      else if (marks && mode !== 'CAPTURE_ONLY') expired.push(snapshotId);
    }
  }
  const captured = new Set([...known.keys()].filter((id) => known.get(id)?.captured));
  const taken = selectSnapshots(snapshots, ancestry, heads);
  const todo = [...ancestry.keys()].filter((id) => {
    if (!taken.has(id) || (mode === 'CAPTURE_ONLY' && !known.has(id))) return false;
    return full || !(mode === 'METADATA_ONLY' ? known : captured).has(id);
  });
  const leavesFiles = mode === 'METADATA_ONLY' && todo.some((id) => !known.has(id));
  return { known, captured, ancestry, todo: new Set(todo), last: todo.at(-1), expired, leavesFiles };
}

/** What a snapshot's changes start from: the first of its ancestors, beginning with its parent, that is captured. */
export function nearestCaptured(
  { captured, ancestry }: SnapshotPlan,
  parentSnapshotId: bigint | undefined,
): bigint | undefined {
  for (const id of line(ancestry, parentSnapshotId)) if (captured.has(id)) return id;
  return undefined;
}

/** Snapshots that readers see and that are not marked expired. */
async function* listedSnapshots(deps: Pick<ActivityDeps, 'catalog'>, tableId: string): AsyncGenerator<Snapshot> {
  let pageToken = '';
  do {
    const page = await deps.catalog.snapshots.listSnapshots({ tableId, pageSize: 1000, pageToken });
    yield* page.snapshots;
    pageToken = page.nextPageToken;
  } while (pageToken);
}
