import type { Snapshot } from '../../generated/reconciler/v1/snapshots.ts';
import { Checks } from '../rpc/violations.ts';

/** Characters of the reason why a snapshot cannot be read (`Snapshot.unreadable`). */
const MAX_UNREADABLE = 2000;

/** @throws InvalidRequest with everything that is wrong with a snapshot to store */
export function checkSnapshot(snapshot: Snapshot): void {
  const checks = new Checks();
  checks.id(snapshot.tableId, 'snapshot.table_id');
  checks.count(snapshot.sequenceNumber, 'snapshot.sequence_number');
  checks.timestamp(snapshot.committedAt, 'snapshot.committed_at');
  checks.text(snapshot.operation, 'snapshot.operation', { max: 100 });
  checks.text(snapshot.manifestList, 'snapshot.manifest_list', { max: 8192 });
  checks.text(snapshot.unreadable, 'snapshot.unreadable', { max: MAX_UNREADABLE });
  checks.that(
    snapshot.baseSnapshotId !== snapshot.snapshotId,
    'snapshot.base_snapshot_id',
    'is the snapshot itself: give another snapshot, or none',
  );
  checks.done();
}
