import { identityText, type SnapshotIdentity } from '../../../contract/snapshot-digest.ts';
import type { Snapshot } from '../../../generated/reconciler/v1/snapshots.ts';
import type { TableRow } from '../database/schema.ts';
import { isDelta } from '../tables/table-format.ts';
import { columnsOf, type StoredSnapshot } from './snapshots.ts';

/** The columns of a snapshot's row that tell it from another snapshot that has its id. */
export const IDENTITY = [
  'snapshot_id',
  'parent_snapshot_id',
  'sequence_number',
  'committed_at',
  'manifest_list',
] as const satisfies readonly (keyof StoredSnapshot)[];

export function identityOf(
  row: Pick<StoredSnapshot, (typeof IDENTITY)[number]>,
  table: Pick<TableRow, 'format'>,
): SnapshotIdentity {
  return {
    snapshotId: BigInt(row.snapshot_id),
    ...(row.parent_snapshot_id !== null && { parentSnapshotId: BigInt(row.parent_snapshot_id) }),
    sequenceNumber: row.sequence_number,
    committedAtMs: isDelta(table) ? undefined : (row.committed_at ?? undefined),
    manifestList: row.manifest_list,
  };
}

/**
 * Whether a message describes another snapshot than the one that is stored with its id. If that has expired, the time counts for Delta too: a table that
 * was set back gives the numbers of the versions that it lost again.
 */
export function isAnother(stored: StoredSnapshot, snapshot: Snapshot, table: Pick<TableRow, 'format'>): boolean {
  const described = { ...columnsOf(snapshot), snapshot_id: stored.snapshot_id };
  if (stored.expired_at !== null && stored.committed_at !== described.committed_at) return true;
  return identityText(identityOf(stored, table)) !== identityText(identityOf(described, table));
}
