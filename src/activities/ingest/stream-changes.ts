import { Readable } from 'node:stream';
import { setImmediate } from 'node:timers/promises';
import { encodeCommitRequest } from '../../catalog-client/raw-commit-snapshot.ts';
import type { FileChangeBatch } from '../../formats/table-reader.ts';
import type { CommitSnapshotRequest } from '../../generated/reconciler/internal/v1/ingestion.ts';
import { FileChangeEncoder } from '../../wire/file-change-encoder.ts';
import type { ActivityDeps } from '../runtime/deps.ts';

type Request = NonNullable<CommitSnapshotRequest['request']>;

export interface PutChanges {
  deps: Pick<ActivityDeps, 'catalog'>;
  /** Of a stream; nothing was sent before the first. */
  header(first: boolean): Extract<Request, { $case: 'header' }>['value'];
  batches: AsyncIterable<FileChangeBatch>;
  /** Where the reader begins. */
  from?: number;
  /** Ends the last stream. */
  finish: Request;
  /** Changes sent so far in this call; and of them those that the catalog has acknowledged, with the position behind them. */
  beat(sent: number, acknowledged: { files: number; position?: number }): void;
  signal: AbortSignal;
  /** All in one stream. */
  whole?: boolean;
}

export interface Put {
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

/** Sends changes of a snapshot to the catalog, in as many streams as it takes, with what ends the last of them. */
export async function streamChanges(put: PutChanges): Promise<Put> {
  const { deps, signal } = put;
  const batches = put.batches[Symbol.asyncIterator]();
  const sum: Put = { files: 0, rowsWritten: 0, tableUpdated: false };
  let acknowledged = put.from;
  for (let complete = false; !complete; ) {
    const part = { position: acknowledged, ended: false };
    const beat = (sent: number) => put.beat(sum.files + sent, { files: sum.files, position: acknowledged });
    const finishing = setInterval(() => part.ended && beat(0), FINISHING_BEAT_MS);
    const response = await deps.catalog.fileChanges
      .commitSnapshot(
        ahead({
          header: encodeCommitRequest({ $case: 'header', value: put.header(sum.files === 0) }),
          batches,
          limit: put.whole ? Number.POSITIVE_INFINITY : CHANGES_A_STREAM,
          finish: encodeCommitRequest(put.finish),
          part,
          beat,
        }),
        { signal },
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
