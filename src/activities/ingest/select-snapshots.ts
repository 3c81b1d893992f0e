import type { SnapshotSelection } from '../../contract/job.ts';
import type { SnapshotDescriptor } from '../../formats/table-reader.ts';

/** A snapshot in its table's history. */
export type Ancestry = ReadonlyMap<bigint, { parent: bigint | undefined }>;

/** Where a table's lines begin: its refs, and the current snapshot, which is the branch `main` where no ref is. */
export interface TableHeads {
  currentSnapshotId?: bigint | undefined;
  refs: readonly { name: string; type: string; snapshotId: bigint }[];
}

/** The snapshots that the metadata has, a parent before its children, each with its parent. */
export async function ancestryOf(snapshots: AsyncIterable<SnapshotDescriptor>): Promise<Ancestry> {
  const ancestry = new Map<bigint, { parent: bigint | undefined }>();
  for await (const { snapshotId, parentSnapshotId: parent } of snapshots) ancestry.set(snapshotId, { parent });
  return ancestry;
}

/** The snapshot and its ancestors, as far as the metadata has them. */
export function* line(ancestry: Ancestry, from: bigint | undefined): Generator<bigint> {
  // A parent comes before its children: no line goes round.
  for (let id = from; id !== undefined; id = ancestry.get(id)?.parent) if (ancestry.has(id)) yield id;
}

/** Which of a table's snapshots a selection takes, as its proto says. */
export function selectSnapshots(
  selection: SnapshotSelection,
  ancestry: Ancestry,
  heads: TableHeads,
): ReadonlySet<bigint> {
  const { kind, latest = 1, snapshotIds = [], branches = [] } = selection;
  const all = new Map(heads.refs.filter(({ type }) => type === 'branch').map((ref) => [ref.name, ref.snapshotId]));
  if (heads.currentSnapshotId !== undefined && !all.has('main')) all.set('main', heads.currentSnapshotId);
  const named = [...all].filter(([name]) => branches.length === 0 || branches.includes(name)).map(([, head]) => head);
  if (kind === 'LATEST_N') return new Set(named.flatMap((head) => first(latest, line(ancestry, head))));
  const candidates = branches.length > 0 ? held(ancestry, named) : new Set(ancestry.keys());
  if (kind === 'ALL') return candidates;
  return new Set(snapshotIds.map(BigInt).filter((id) => candidates.has(id)));
}

/** What the branches hold. Where two meet, the rest is the same. */
function held(ancestry: Ancestry, heads: readonly bigint[]): Set<bigint> {
  const ids = new Set<bigint>();
  for (const head of heads) {
    for (const id of line(ancestry, head)) {
      if (ids.has(id)) break;
      ids.add(id);
    }
  }
  return ids;
}

function first(count: number, ids: Iterable<bigint>): bigint[] {
  const some: bigint[] = [];
  for (const id of ids) {
    if (some.length === count) break;
    some.push(id);
  }
  return some;
}
