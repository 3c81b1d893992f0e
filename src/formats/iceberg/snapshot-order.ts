import type { SnapshotMetadata } from './table-metadata.ts';

/**
 * The snapshots, without parents that form a cycle: the oldest snapshot of a cycle has none then. A snapshot's files do not depend on its
 * parent, so that such a table can be read, as Iceberg Java does; nothing after this can go around in a circle.
 */
export function withoutCycles(snapshots: readonly SnapshotMetadata[]): SnapshotMetadata[] {
  const byId = new Map(snapshots.map((snapshot) => [snapshot.snapshotId, snapshot]));
  const seen = new Set<bigint>();
  const cut = new Set<SnapshotMetadata>();
  for (const snapshot of snapshots) {
    // Writers list parents first: then none of the sets below is needed.
    const parent = parentOf(snapshot, byId);
    if (parent === undefined || (parent !== snapshot && seen.has(parent.snapshotId))) {
      seen.add(snapshot.snapshotId);
      continue;
    }
    const line = new Set<SnapshotMetadata>();
    let next: SnapshotMetadata | undefined = snapshot;
    while (next !== undefined && !seen.has(next.snapshotId)) {
      seen.add(next.snapshotId);
      line.add(next);
      next = parentOf(next, byId);
    }
    if (next === undefined || !line.has(next)) continue;
    let oldest = next;
    for (let other = parentOf(next, byId)!; other !== next; other = parentOf(other, byId)!) {
      if (isOlder(other, oldest)) oldest = other;
    }
    cut.add(oldest);
  }
  return snapshots.map((snapshot) => (cut.has(snapshot) ? { ...snapshot, parentSnapshotId: undefined } : snapshot));
}

/**
 * Sorts snapshots: parents before their children, otherwise oldest first. Timestamps need not increase along a lineage (spec: clocks differ),
 * and a missing parent has expired.
 *
 * @param snapshots `withoutCycles`
 */
export function parentsFirst(snapshots: readonly SnapshotMetadata[]): SnapshotMetadata[] {
  const byId = new Map(snapshots.map((snapshot) => [snapshot.snapshotId, snapshot]));
  const placed = new Set<bigint>();
  const ordered: SnapshotMetadata[] = [];
  for (const snapshot of [...snapshots].sort((a, b) => a.committedAtMs - b.committedAtMs)) {
    const line: SnapshotMetadata[] = [];
    let next: SnapshotMetadata | undefined = snapshot;
    while (next !== undefined && !placed.has(next.snapshotId)) {
      line.push(next);
      next = parentOf(next, byId);
    }
    for (const ancestor of line.reverse()) {
      placed.add(ancestor.snapshotId);
      ordered.push(ancestor);
    }
  }
  return ordered;
}

function parentOf(
  { parentSnapshotId }: SnapshotMetadata,
  byId: ReadonlyMap<bigint, SnapshotMetadata>,
): SnapshotMetadata | undefined {
  return parentSnapshotId === undefined ? undefined : byId.get(parentSnapshotId);
}

/** The id decides between snapshots of one time, so that the result never depends on the order of the metadata. */
function isOlder(a: SnapshotMetadata, b: SnapshotMetadata): boolean {
  return a.committedAtMs < b.committedAtMs || (a.committedAtMs === b.committedAtMs && a.snapshotId < b.snapshotId);
}
