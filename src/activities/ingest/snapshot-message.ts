import type { UnreadableSnapshots } from '../../contract/activities.ts';
import { commitTime } from '../../contract/snapshot-digest.ts';
import type { SnapshotDescriptor, TableReader } from '../../formats/table-reader.ts';
import type { Snapshot } from '../../generated/reconciler/v1/snapshots.ts';
import { Snapshot as SnapshotMessage } from '../../generated/reconciler/v1/snapshots.ts';
import type { UpdateTableRequest } from '../../generated/reconciler/v1/tables.ts';
import type { NewTable } from '../plan/new-table.ts';
import { refuseOversizeSummary } from '../plan/refuse-oversize.ts';
import type { Ancestry } from '../plan/select-snapshots.ts';
import type { ActivityDeps } from '../runtime/deps.ts';
import type { Heartbeat } from '../runtime/heartbeat.ts';
import type { ReadAhead } from './ahead/read-ahead.ts';

/** The snapshot as the catalog stores it. @throws CodedError FAILED_PRECONDITION if it is too large to transfer */
export function toSnapshotMessage(
  { tableId, snapshot }: Pick<PutSnapshot, 'tableId' | 'snapshot'>,
  base: bigint | undefined,
): Snapshot {
  refuseOversizeSummary(snapshot.snapshotId, snapshot.summary);
  const committedAtMs = commitTime(snapshot.committedAtMs);
  return SnapshotMessage.fromPartial({
    tableId,
    snapshotId: snapshot.snapshotId,
    parentSnapshotId: snapshot.parentSnapshotId,
    sequenceNumber: BigInt(snapshot.sequenceNumber),
    committedAt: committedAtMs === undefined ? undefined : new Date(committedAtMs),
    operation: snapshot.operation,
    summary: snapshot.summary,
    schemaId: snapshot.schemaId,
    manifestList: snapshot.manifestList,
    baseSnapshotId: base,
    firstRowId: snapshot.firstRowId === undefined ? undefined : BigInt(snapshot.firstRowId),
    addedRows: snapshot.addedRows === undefined ? undefined : BigInt(snapshot.addedRows),
  });
}

export interface PutSnapshot {
  deps: Pick<ActivityDeps, 'catalog' | 'logger'>;
  reader: TableReader;
  /** Reads the file changes. */
  ahead: ReadAhead;
  /** Called when they are read. */
  onRead?(): void;
  tableId: string;
  /** The table, if it is created with this snapshot. */
  newTable?: NewTable;
  snapshot: SnapshotDescriptor;
  columnIds?: ReadonlySet<number>;
  heartbeat: Heartbeat;
  /** As the catalog has it, if it is verified. */
  before?: Snapshot;
  /** The snapshot that the changes start from; absent if all files are read. */
  base?: bigint;
  ancestry: Ancestry;
  /** The upstream still has the base. */
  baseReadable: boolean;
  /** The reader's position after the changes that the catalog acknowledged in a previous attempt. */
  resume?: number;
  /** For the last snapshot of a table, unless it is verified: sent with its finish, which saves a call and a transaction. */
  updateTable?: UpdateTableRequest;
  /** Its changes are staged with this key in these groups: only the finish is missing. */
  groups?: { key: string; names: string[] };
  /** What the activity did before this snapshot, for its heartbeats. */
  counts: { snapshotsIngested: number; filesIngested: number };
  /** In a full rescan: the last snapshot that was verified before this one. */
  verifiedUpTo?: string;
  /** The snapshots before this one that cannot be read. */
  unreadable?: UnreadableSnapshots;
}
