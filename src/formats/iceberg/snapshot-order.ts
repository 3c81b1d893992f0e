import { MalformedError } from '../malformed.ts';
import type { SnapshotMetadata } from './table-metadata.ts';

/**
 * Sorts snapshots: parents before their children, otherwise oldest first. Timestamps need not increase along a lineage (spec: clocks differ),
 * and a missing parent has expired.
 *
 * @throws MalformedError if parents form a cycle
 */
export function parentsFirst(snapshots: readonly SnapshotMetadata[]): SnapshotMetadata[] {
  const byId = new Map(snapshots.map((snapshot) => [snapshot.snapshotId, snapshot]));
  const placed = new Set<bigint>();
  const ordered: SnapshotMetadata[] = [];
  for (const snapshot of [...snapshots].sort((a, b) => a.committedAtMs - b.committedAtMs)) {
    const line: SnapshotMetadata[] = [];
    const inLine = new Set<bigint>();
    let next: SnapshotMetadata | undefined = snapshot;
    while (next !== undefined && !placed.has(next.snapshotId)) {
      if (inLine.has(next.snapshotId)) {
        throw new MalformedError(`the parents of snapshot ${next.snapshotId} form a cycle`);
      }
      inLine.add(next.snapshotId);
      line.push(next);
      next = next.parentSnapshotId === undefined ? undefined : byId.get(next.parentSnapshotId);
    }
    for (const ancestor of line.reverse()) {
      placed.add(ancestor.snapshotId);
      ordered.push(ancestor);
    }
  }
  return ordered;
}
