import { identityText, type SnapshotIdentity, snapshotDigest } from '../../contract/snapshot-digest.ts';
import type { HistoryEntry } from '../../formats/table-reader.ts';
import type { Snapshot } from '../../generated/reconciler/v1/snapshots.ts';
import type { Table } from '../../generated/reconciler/v1/tables.ts';
import type { ActivityDeps } from '../runtime/deps.ts';
import { type Ancestry, ancestorsOf } from './select-snapshots.ts';

/** What the catalog has of a table's snapshots, apart from those that it has marked expired. */
export interface StoredSnapshots {
  /** The snapshots that the upstream has, too. */
  known: ReadonlySet<bigint>;
  /** The known snapshots whose files are stored. */
  captured: ReadonlySet<bigint>;
  /** The known snapshots that were read, without their summaries. */
  messages: ReadonlyMap<bigint, Snapshot>;
  /** The snapshots that the upstream no longer has. */
  expired: bigint[];
  /** Ids that stand for another snapshot upstream. They are not known. */
  replaced: ReadonlySet<bigint>;
}

export const NO_SNAPSHOTS: StoredSnapshots = {
  known: new Set(),
  captured: new Set(),
  messages: new Map(),
  expired: [],
  replaced: new Set(),
};

/** The catalog's limit for a comparison. */
const MAX_CANDIDATES = 1000;
const PAGE = 1000;

type Deps = Pick<ActivityDeps, 'catalog'>;

/**
 * Finds out which snapshots the catalog has without listing them. The history up to the heads that the catalog knows is expected to be
 * stored, and a digest confirms it. Only snapshots that are newer, or not ancestors of those heads, are looked up. If anything else differs
 * (a snapshot expired upstream, came back, is another one, or is missing in the catalog), the catalog responds with its list, page by page.
 * The resulting plan is always the same as with `listStoredSnapshots`.
 *
 * @param also looked up in any case
 * @param captured whether the files of the snapshots matter
 */
export async function compareStoredSnapshots(
  deps: Deps,
  table: Pick<Table, 'tableId' | 'currentSnapshotId' | 'refs'>,
  ancestry: Ancestry,
  { also = [], captured = true }: { also?: Iterable<bigint>; captured?: boolean },
): Promise<StoredSnapshots> {
  const { tableId, currentSnapshotId, refs } = table;
  const heads = refs.map(({ snapshotId }) => snapshotId);
  if (currentSnapshotId !== undefined) heads.push(currentSnapshotId);
  const expected = ancestorsOf(ancestry, heads);
  for (const id of also) expected.delete(id);
  const candidateIds = [...ancestry.keys()].filter((id) => !expected.has(id));
  if (candidateIds.length > MAX_CANDIDATES) return listStoredSnapshots(deps, tableId, ancestry);
  const { equal, snapshots, nextPageToken } = await deps.catalog.ingestion.compareSnapshots({
    tableId,
    candidateIds,
    expectedDigest: snapshotDigest([...expected].map((id) => ancestry.get(id) as HistoryEntry)),
    captured,
  });
  if (!equal) return collect(ancestry, pages(deps, tableId, { snapshots, nextPageToken }));
  const found = await collect(ancestry, [snapshots]);
  return {
    ...found,
    known: union(expected, found.known),
    captured: captured ? union(without(expected, found.known), found.captured) : found.captured,
  };
}

/** Lists all snapshots that the catalog has, whatever their number. */
export function listStoredSnapshots(deps: Deps, tableId: string, ancestry: Ancestry): Promise<StoredSnapshots> {
  return collect(ancestry, pages(deps, tableId));
}

interface SnapshotPage {
  snapshots: Snapshot[];
  nextPageToken: string;
}

async function* pages({ catalog }: Deps, tableId: string, first?: SnapshotPage): AsyncGenerator<Snapshot[]> {
  const read = (pageToken: string) => catalog.snapshots.listSnapshots({ tableId, pageSize: PAGE, pageToken });
  let page = first ?? (await read(''));
  yield page.snapshots;
  while (page.nextPageToken) {
    page = await read(page.nextPageToken);
    yield page.snapshots;
  }
}

async function collect(
  ancestry: Ancestry,
  snapshotPages: AsyncIterable<Snapshot[]> | Iterable<Snapshot[]>,
): Promise<StoredSnapshots> {
  const [known, captured] = [new Set<bigint>(), new Set<bigint>()];
  const messages = new Map<bigint, Snapshot>();
  const expired: bigint[] = [];
  const replaced = new Set<bigint>();
  for await (const snapshots of snapshotPages) {
    for (const snapshot of snapshots) {
      const { snapshotId } = snapshot;
      const upstream = ancestry.get(snapshotId);
      if (!upstream) {
        expired.push(snapshotId);
        continue;
      }
      if (identityText(identityOf(snapshot, upstream)) !== identityText(upstream)) {
        replaced.add(snapshotId);
        continue;
      }
      known.add(snapshotId);
      if (snapshot.captured) captured.add(snapshotId);
      messages.set(snapshotId, { ...snapshot, summary: {} });
    }
  }
  return { known, captured, messages, expired, replaced };
}

/** Without the time if the upstream's has none. */
function identityOf({ committedAt, sequenceNumber, ...snapshot }: Snapshot, upstream: HistoryEntry): SnapshotIdentity {
  const committedAtMs = upstream.committedAtMs === undefined ? undefined : committedAt?.getTime();
  return { ...snapshot, sequenceNumber: Number(sequenceNumber), committedAtMs };
}

function without(a: ReadonlySet<bigint>, b: ReadonlySet<bigint>): Set<bigint> {
  return new Set([...a].filter((id) => !b.has(id)));
}

function union(a: ReadonlySet<bigint>, b: ReadonlySet<bigint>): Set<bigint> {
  const all = new Set(a);
  for (const id of b) all.add(id);
  return all;
}
