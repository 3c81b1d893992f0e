import { Readable } from 'node:stream';
import { setImmediate } from 'node:timers/promises';
import { ClientError, Status } from 'nice-grpc';
import { encodePutRequest } from '../../clients/file-changes.ts';
import type { FileChangeBatch, SnapshotDescriptor, TableReader } from '../../connectors/spi.ts';
import { type Snapshot, Snapshot as SnapshotMessage } from '../../generated/reconciler/v1/snapshots.ts';
import type { UpdateTableRequest } from '../../generated/reconciler/v1/tables.ts';
import type { IngestHeartbeat } from '../../workflows/contract.ts';
import type { ActivityDeps } from '../deps.ts';
import type { Heart } from '../heart.ts';
import { FileChangeEncoder } from './file-change-encoder.ts';

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
  /** What this activity did before this snapshot, for its heartbeats. */
  counts: { snapshots: number; files: number };
}

interface Put {
  files: number;
  rowsWritten: number;
  tableUpdated: boolean;
}

/** A stream is ended after so many changes, where the reader can go on: then the catalog has them for sure. */
const CHANGES_A_STREAM = 50_000;
/** Chunks of about 1 MiB. */
const CHUNKS_AHEAD = 2;
/** While the catalog makes a big snapshot visible nothing else is told of progress. */
const FINISHING_BEAT_MS = 10_000;

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
    if (put.resume !== undefined) return putSnapshot({ ...put, resume: undefined });
    if (put.base !== undefined) return putSnapshot({ ...put, base: undefined });
    throw error;
  }
}

async function send(put: PutSnapshot, { whole = false }): Promise<Put> {
  const { deps, reader, tableId, snapshot, heart, base } = put;
  const { snapshotId } = snapshot;
  const snapshotMessage = SnapshotMessage.fromPartial({
    tableId,
    snapshotId,
    parentSnapshotId: snapshot.parentSnapshotId,
    sequenceNumber: BigInt(snapshot.sequenceNumber),
    committedAt: new Date(snapshot.committedAtMs),
    operation: snapshot.operation,
    summary: snapshot.summary,
    schemaId: snapshot.schemaId,
    manifestList: snapshot.manifestList,
    baseSnapshotId: put.before ? put.before.baseSnapshotId : base,
    firstRowId: snapshot.firstRowId === undefined ? undefined : BigInt(snapshot.firstRowId),
    addedRows: snapshot.addedRows === undefined ? undefined : BigInt(snapshot.addedRows),
  });
  const counted = await reader.liveFileCounts(snapshotId);
  // Without counts nothing would show that the catalog has lost what came before.
  const from = counted && put.resume;
  const batches = reader
    .fileChanges(snapshotId, { base, from, columnIds: put.columnIds, signal: heart.signal })
    [Symbol.asyncIterator]();
  const verify = put.before !== undefined;
  const sum = { files: 0, rowsWritten: 0, tableUpdated: false };
  let acknowledged = from;
  for (let complete = false; !complete; ) {
    const part = { position: acknowledged, ended: false };
    const beat = (files: number) =>
      heart.beat({
        snapshots: put.counts.snapshots,
        files: put.counts.files + (verify ? 0 : sum.files + files),
        bytesRead: reader.bytesRead,
        snapshotId: String(snapshotId),
        // What is verified is always compared as a whole.
        position: verify ? undefined : acknowledged,
      } satisfies IngestHeartbeat);
    const finishing = setInterval(() => part.ended && beat(0), FINISHING_BEAT_MS);
    const response = await deps.catalog.fileChanges
      .putFileColumnStats(
        ahead({
          header: encodePutRequest({
            $case: 'header',
            value: {
              tableId,
              snapshotId,
              idempotencyKey: `${tableId}/${snapshotId}`,
              replace: verify,
              whole,
              // Once: further streams of the same snapshot find it there.
              snapshot: sum.files === 0 ? snapshotMessage : undefined,
            },
          }),
          batches,
          // What is verified must come in one stream: the catalog compares all of it.
          limit: verify ? Number.POSITIVE_INFINITY : CHANGES_A_STREAM,
          finish: encodePutRequest({
            $case: 'finish',
            value: {
              expectedDataFileCount: counted && BigInt(counted.dataFiles),
              expectedDeleteFileCount: counted && BigInt(counted.deleteFiles),
              updateTable: verify ? undefined : put.updateTable,
            },
          }),
          part,
          beat,
        }),
        { signal: heart.signal },
      )
      .finally(() => clearInterval(finishing));
    sum.files += Number(response.filesAdded + response.filesRemoved);
    sum.rowsWritten += Number(response.rowsWritten);
    sum.tableUpdated = response.tableUpdated;
    acknowledged = part.position;
    complete = part.ended;
    beat(0);
  }
  return sum;
}

/** The stream's requests, read ahead: else reading here and writing in the catalog would take turns. */
function ahead(stream: Parameters<typeof requests>[0]): AsyncIterable<Uint8Array> {
  return Readable.from(requests(stream), { objectMode: true, highWaterMark: CHUNKS_AHEAD });
}

/** One stream: header, changes until the limit or the end, and the finish at the end. */
async function* requests(stream: {
  header: Uint8Array;
  batches: AsyncIterator<FileChangeBatch>;
  limit: number;
  finish: Uint8Array;
  /** Told back: how far this stream came. */
  part: { position?: number; ended: boolean };
  beat(files: number): void;
}): AsyncIterable<Uint8Array> {
  const encoder = new FileChangeEncoder();
  yield stream.header;
  let changes = 0;
  for (;;) {
    const { done, value } = await stream.batches.next();
    if (done) {
      stream.part.ended = true;
      break;
    }
    // Decoding is all microtasks: without a turn of the event loop nothing of what is ready would be sent.
    await setImmediate();
    for (const change of value.changes) {
      const chunk = encoder.add(change);
      if (chunk) yield chunk;
    }
    changes += value.changes.length;
    stream.beat(changes);
    stream.part.position = value.position;
    if (changes >= stream.limit && value.position !== undefined) break;
  }
  const rest = encoder.flush();
  if (rest) yield rest;
  if (stream.part.ended) yield stream.finish;
}
