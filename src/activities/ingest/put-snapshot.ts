import { ClientError, Status } from 'nice-grpc';
import type { SnapshotDescriptor, TableReader } from '../../connectors/spi.ts';
import { type Snapshot, Snapshot as SnapshotMessage } from '../../generated/reconciler/v1/snapshots.ts';
import type { UpdateTableRequest } from '../../generated/reconciler/v1/tables.ts';
import type { IngestHeartbeat } from '../../workflows/contract.ts';
import type { ActivityDeps } from '../deps.ts';
import type { Heart } from '../heart.ts';
import { type Put, putChanges } from './put-changes.ts';

export interface PutSnapshot {
  deps: Pick<ActivityDeps, 'catalog'>;
  reader: TableReader;
  tableId: string;
  snapshot: SnapshotDescriptor;
  columnIds?: ReadonlySet<number>;
  heart: Heart;
  /** As the catalog has it, where it is verified. */
  before?: Snapshot;
  /** The snapshot that the changes start from. */
  base?: bigint;
  /** The upstream still has the base. */
  baseReadable: boolean;
  /** The reader's position after what the catalog has acknowledged in an attempt before. */
  resume?: number;
  /** With the last snapshot of a table: goes with its finish, for one call and one transaction less. Not where it is verified. */
  updateTable?: UpdateTableRequest;
  /** Its changes are in, staged with this key, in these groups: only the finish is to be sent. */
  groups?: { key: string; names: string[] };
  /** What this activity did before this snapshot, for its heartbeats. */
  counts: { snapshots: number; files: number };
}

/**
 * Brings one snapshot with what it changed into the catalog. It becomes visible with its last change.
 *
 * Where the catalog counts other live files than the upstream, what it had before was not what the changes start from:
 * then all of the snapshot's files are read.
 */
export async function putSnapshot(put: PutSnapshot): Promise<Put> {
  if (put.before && !put.baseReadable) return send({ ...put, base: undefined, resume: undefined }, { whole: true });
  try {
    return await send(put, {});
  } catch (error) {
    const differs = error instanceof ClientError && error.code === Status.FAILED_PRECONDITION;
    if (!differs || put.before) throw error;
    if (put.groups) return putSnapshot({ ...put, groups: undefined, base: undefined });
    if (put.resume !== undefined) return putSnapshot({ ...put, resume: undefined });
    if (put.base !== undefined) return putSnapshot({ ...put, base: undefined });
    throw error;
  }
}

async function send(put: PutSnapshot, { whole = false }): Promise<Put> {
  const { deps, reader, tableId, snapshot, heart, base } = put;
  const { snapshotId } = snapshot;
  const message = snapshotMessage(put, put.before ? put.before.baseSnapshotId : base);
  const counted = await reader.liveFileCounts(snapshotId);
  // Without counts nothing would show that the catalog has lost what came before.
  const from = counted && put.resume;
  const verify = put.before !== undefined;
  return putChanges({
    deps,
    header: (first) => ({
      tableId,
      snapshotId,
      idempotencyKey: put.groups?.key ?? `${tableId}/${snapshotId}`,
      replace: verify,
      whole,
      // Once: further streams of the same snapshot find it there.
      snapshot: first ? message : undefined,
    }),
    batches: put.groups
      ? nothing()
      : reader.fileChanges(snapshotId, { base, from, columnIds: put.columnIds, signal: heart.signal }),
    from,
    // What is verified must come in one stream: the catalog compares all of it.
    whole: verify,
    finish: {
      $case: 'finish',
      value: {
        expectedDataFileCount: counted && BigInt(counted.dataFiles),
        expectedDeleteFileCount: counted && BigInt(counted.deleteFiles),
        updateTable: verify ? undefined : put.updateTable,
        groups: put.groups?.names ?? [],
      },
    },
    beat: (sent, acknowledged) =>
      heart.beat({
        snapshots: put.counts.snapshots,
        files: put.counts.files + (verify ? 0 : sent),
        bytesRead: reader.bytesRead,
        snapshotId: String(snapshotId),
        // What is verified is always compared as a whole.
        ...(!verify && { position: acknowledged.position, filesBefore: put.counts.files + acknowledged.files }),
      } satisfies IngestHeartbeat),
    signal: heart.signal,
  });
}

async function* nothing(): AsyncGenerator<never> {}

/** The snapshot as the catalog keeps it. */
export function snapshotMessage(
  { tableId, snapshot }: Pick<PutSnapshot, 'tableId' | 'snapshot'>,
  base: bigint | undefined,
): Snapshot {
  return SnapshotMessage.fromPartial({
    tableId,
    snapshotId: snapshot.snapshotId,
    parentSnapshotId: snapshot.parentSnapshotId,
    sequenceNumber: BigInt(snapshot.sequenceNumber),
    committedAt: new Date(snapshot.committedAtMs),
    operation: snapshot.operation,
    summary: snapshot.summary,
    schemaId: snapshot.schemaId,
    manifestList: snapshot.manifestList,
    baseSnapshotId: base,
    firstRowId: snapshot.firstRowId === undefined ? undefined : BigInt(snapshot.firstRowId),
    addedRows: snapshot.addedRows === undefined ? undefined : BigInt(snapshot.addedRows),
  });
}
