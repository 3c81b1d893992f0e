import { ClientError, Status } from 'nice-grpc';
import { isClaimLost } from '../../catalog-client/claim.ts';
import type { TableCursor, TableHeartbeat } from '../../contract/activities.ts';
import { EncodedChanges } from './ahead/encoded-changes.ts';
import { stageKey } from './file-groups.ts';
import type { PutSnapshot } from './snapshot-message.ts';
import { toSnapshotMessage } from './snapshot-message.ts';
import { type Put, streamChanges } from './stream-changes.ts';

/**
 * Ingests one snapshot with its file changes. It becomes visible with its last change.
 *
 * If the catalog then counts other live files than the upstream's manifest list, the changes were applied to a wrong state, and all files of the
 * snapshot are read instead. If it still does, the list's counts are wrong, which only inform (spec, "Manifest Lists"): the entries count.
 *
 * @throws CodedError DATA_LOSS if the snapshot itself cannot be read
 */
export async function putSnapshot(put: PutSnapshot): Promise<Put> {
  if (put.before && !put.baseReadable) return sendWhole(put);
  try {
    return await send(put);
  } catch (error) {
    if (!isMiscounted(error)) throw error;
    if (put.before) return sendWhole(put);
    // The next slice would not know that it must not start from the base, nor at a cursor: it would end here again.
    const again = { ...put, heartbeat: { ...put.heartbeat, isOver: undefined } };
    if (put.groups) return putSnapshot({ ...again, groups: undefined, base: undefined });
    if (put.resume !== undefined) return putSnapshot({ ...again, resume: undefined });
    if (put.base !== undefined) return putSnapshot({ ...again, base: undefined });
    return sendCounted(again, error);
  }
}

async function sendWhole(put: PutSnapshot): Promise<Put> {
  const whole = { ...put, base: undefined, resume: undefined };
  try {
    return await send(whole, { whole: true });
  } catch (error) {
    if (!isMiscounted(error)) throw error;
    return sendCounted(whole, error, { whole: true });
  }
}

/** Sends all files, and expects as many as were read. @param error what the upstream's counts led to */
async function sendCounted(put: PutSnapshot, error: ClientError, options: { whole?: boolean } = {}): Promise<Put> {
  const { deps, tableId, snapshot } = put;
  const done = await send(put, { ...options, countsEntries: true });
  deps.logger.warn(
    { table: tableId, snapshot: String(snapshot.snapshotId), reason: error.details },
    'the counts in a manifest list differ from what its manifests have: the manifests count',
  );
  return done;
}

function isMiscounted(error: unknown): error is ClientError {
  return error instanceof ClientError && error.code === Status.FAILED_PRECONDITION && !isClaimLost(error);
}

async function send(put: PutSnapshot, { whole = false, countsEntries = false } = {}): Promise<Put> {
  const { deps, reader, tableId, snapshot, heartbeat, base } = put;
  const { snapshotId } = snapshot;
  await put.ahead.keepOnly(snapshotId, base);
  const message = toSnapshotMessage(put, put.before ? put.before.baseSnapshotId : base);
  const counted = countsEntries ? undefined : await reader.liveFileCounts(snapshotId);
  // Without counts, nothing would show that the catalog lost the changes before the position.
  const from = counted && put.resume;
  const verify = put.before !== undefined;
  const changes = put.groups ? new EncodedChanges(nothing()) : await put.ahead.take(snapshotId, { base, from });
  const sent = await streamChanges({
    deps,
    header: (first) => ({
      tableId,
      snapshotId,
      idempotencyKey: put.groups?.key ?? stageKey(put),
      replace: verify,
      whole,
      // Only in the first stream: the later ones find the snapshot in the catalog.
      snapshot: first ? message : undefined,
      ensureTable: first ? put.newTable?.request : undefined,
    }),
    changes,
    onRead: put.onRead,
    from,
    // A verified snapshot is sent in one stream, because the catalog compares all of its files.
    whole: verify,
    finish: () => {
      const expected = countsEntries ? changes.added : counted;
      return {
        $case: 'finish',
        value: {
          expectedDataFileCount: expected && BigInt(expected.dataFiles),
          expectedDeleteFileCount: expected && BigInt(expected.deleteFiles),
          updateTable: verify ? undefined : put.updateTable,
          groups: put.groups?.names ?? [],
        },
      };
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
          ? { cursor: { verified: put.verifiedUpTo, unreadable: put.unreadable } }
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
  put.newTable?.wasCreated();
  return sent;
}

/** Where a snapshot that was read up to this position continues. */
export function cursorAt(put: PutSnapshot, position: number | undefined): TableCursor {
  const { snapshot, verifiedUpTo: verified, unreadable } = put;
  return { snapshotId: String(snapshot.snapshotId), position, verified, unreadable };
}

async function* nothing(): AsyncGenerator<never> {}
