import { ClientError, Status } from 'nice-grpc';
import { isClaimLost } from '../../catalog-client/claim.ts';
import type { TableCursor, TableHeartbeat } from '../../contract/activities.ts';
import type { PutSnapshot } from './snapshot-message.ts';
import { toSnapshotMessage } from './snapshot-message.ts';
import { type Put, streamChanges } from './stream-changes.ts';

/**
 * Ingests one snapshot with its file changes. It becomes visible with its last change.
 *
 * If the catalog then counts other live files than the upstream, the changes were applied to a wrong state, and all files of the snapshot
 * are read instead.
 */
export async function putSnapshot(put: PutSnapshot): Promise<Put> {
  if (put.before && !put.baseReadable) return send({ ...put, base: undefined, resume: undefined }, { whole: true });
  try {
    return await send(put, {});
  } catch (error) {
    const differs = error instanceof ClientError && error.code === Status.FAILED_PRECONDITION;
    if (!differs || isClaimLost(error) || put.before) throw error;
    // The next slice would not know that it must not start from the base, nor at a cursor: it would end here again.
    const again = { ...put, heartbeat: { ...put.heartbeat, isOver: undefined } };
    if (put.groups) return putSnapshot({ ...again, groups: undefined, base: undefined });
    if (put.resume !== undefined) return putSnapshot({ ...again, resume: undefined });
    if (put.base !== undefined) return putSnapshot({ ...again, base: undefined });
    throw error;
  }
}

async function send(put: PutSnapshot, { whole = false }): Promise<Put> {
  const { deps, reader, tableId, snapshot, heartbeat, base } = put;
  const { snapshotId } = snapshot;
  const message = toSnapshotMessage(put, put.before ? put.before.baseSnapshotId : base);
  const counted = await reader.liveFileCounts(snapshotId);
  // Without counts, nothing would show that the catalog lost the changes before the position.
  const from = counted && put.resume;
  const verify = put.before !== undefined;
  return streamChanges({
    deps,
    header: (first) => ({
      tableId,
      snapshotId,
      idempotencyKey: put.groups?.key ?? `${tableId}/${snapshotId}`,
      replace: verify,
      whole,
      // Only in the first stream: the later ones find the snapshot in the catalog.
      snapshot: first ? message : undefined,
    }),
    batches: put.groups
      ? nothing()
      : reader.fileChanges(snapshotId, { base, from, columnIds: put.columnIds, signal: heartbeat.signal }),
    from,
    // A verified snapshot is sent in one stream, because the catalog compares all of its files.
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
    beat: (sent, acknowledged) => {
      const { snapshotsIngested, filesIngested } = put.counts;
      heartbeat.beat({
        counts: {
          snapshotsIngested,
          filesIngested: filesIngested + (verify ? 0 : sent),
          bytesRead: reader.bytesRead,
        },
        // A verification cannot resume: it always compares the whole snapshot.
        ...(verify
          ? { cursor: { verified: put.verifiedUpTo } }
          : {
              cursor: cursorAt(put, acknowledged.position),
              filesBefore: filesIngested + acknowledged.files,
            }),
      } satisfies TableHeartbeat);
    },
    signal: heartbeat.signal,
    // Without counts, nothing would show that the catalog lost the changes before a position.
    isOver: counted && heartbeat.isOver,
  });
}

/** Where a snapshot that was read up to this position continues. */
export function cursorAt({ snapshot, verifiedUpTo }: PutSnapshot, position: number | undefined): TableCursor {
  return { snapshotId: String(snapshot.snapshotId), position, verified: verifiedUpTo };
}

async function* nothing(): AsyncGenerator<never> {}
