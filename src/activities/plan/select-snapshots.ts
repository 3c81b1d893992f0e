import type { SnapshotSelection } from '../../contract/job.ts';
import type { HistoryEntry } from '../../formats/table-reader.ts';

/** The snapshots of a table's history by id, a parent before its children. */
export type Ancestry = ReadonlyMap<bigint, HistoryEntry>;

/** Where a table's branches begin: its refs, and the current snapshot, which is the branch `main` if no ref has that name. */
export interface TableHeads {
  currentSnapshotId?: bigint | undefined;
  refs: readonly { name: string; type: 'branch' | 'tag'; snapshotId: bigint }[];
}

export function ancestryOf(history: Iterable<HistoryEntry>): Ancestry {
  const ancestry = new Map<bigint, HistoryEntry>();
  for (const entry of history) ancestry.set(entry.snapshotId, entry);
  return ancestry;
}

/** The snapshot and its ancestors, as far as the history has them. */
export function* lineOf(ancestry: Ancestry, head: bigint | undefined): Generator<bigint> {
  // A parent comes before its children: no line is a circle.
  for (let id = head; id !== undefined; id = ancestry.get(id)?.parentSnapshotId) if (ancestry.has(id)) yield id;
}

/** The snapshots and their ancestors. */
export function ancestorsOf(ancestry: Ancestry, heads: Iterable<bigint>): Set<bigint> {
  const ids = new Set<bigint>();
  for (const head of heads) {
    for (const id of lineOf(ancestry, head)) {
      // Where two lines meet, the rest is the same.
      if (ids.has(id)) break;
      ids.add(id);
    }
  }
  return ids;
}

/** The snapshots that a selection takes, as defined in connectors.proto. */
export function selectSnapshots(
  selection: SnapshotSelection,
  ancestry: Ancestry,
  heads: TableHeads,
): ReadonlySet<bigint> {
  const { kind, latest = 1, snapshotIds = [], branches = [] } = selection;
  const headOf = new Map(heads.refs.filter(({ type }) => type === 'branch').map((ref) => [ref.name, ref.snapshotId]));
  if (heads.currentSnapshotId !== undefined && !headOf.has('main')) headOf.set('main', heads.currentSnapshotId);
  const selected = [...headOf]
    .filter(([name]) => branches.length === 0 || branches.includes(name))
    .map(([, head]) => head);
  if (kind === 'LATEST_N') return new Set(selected.flatMap((head) => first(latest, lineOf(ancestry, head))));
  const candidates = branches.length > 0 ? ancestorsOf(ancestry, selected) : new Set(ancestry.keys());
  if (kind === 'ALL') return candidates;
  return new Set(snapshotIds.map(BigInt).filter((id) => candidates.has(id)));
}

function first(count: number, ids: Iterable<bigint>): bigint[] {
  const taken: bigint[] = [];
  for (const id of ids) {
    if (taken.length === count) break;
    taken.push(id);
  }
  return taken;
}
