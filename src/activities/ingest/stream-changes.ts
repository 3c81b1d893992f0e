import { keepAlive } from '../../catalog-client/keep-alive.ts';
import { encodeCommitRequest, NO_CHANGES } from '../../catalog-client/raw-commit-snapshot.ts';
import type { CommitSnapshotRequest } from '../../generated/reconciler/internal/v1/ingestion.ts';
import type { ActivityDeps } from '../runtime/deps.ts';
import type { EncodedChanges } from './ahead/encoded-changes.ts';
import { messagesAhead } from './ahead/messages-ahead.ts';

type Request = NonNullable<CommitSnapshotRequest['request']>;

export interface PutChanges {
  deps: Pick<ActivityDeps, 'catalog'>;
  /** The header of a stream. @param first whether it is the first stream of the call */
  header(first: boolean): Extract<Request, { $case: 'header' }>['value'];
  /** They are closed at the end. */
  changes: EncodedChanges;
  /** The position where the reader begins. */
  from?: number;
  /** The message that ends the last stream. Called when all changes were read. */
  finish(): Request;
  /** Called when all changes were read, and the catalog still works on the last ones. */
  onRead?(): void;
  /** Reports the changes sent so far in this call, those that the catalog has acknowledged, and the position after the latter. */
  beat(sent: number, acknowledged: { files: number; position?: number }): void;
  signal: AbortSignal;
  /** Whether to stop at the next position from which the reader can continue. Absent, and with `whole`: all changes are sent. */
  isOver?(since: number): boolean;
  /** Sends all changes in one stream. */
  whole?: boolean;
}

export interface Put {
  files: number;
  rowsWritten: number;
  tableUpdated: boolean;
  /** It stopped here: the reader's position after the changes that the catalog has. Absent if all were sent. */
  position?: number;
}

/** A stream ends after this many changes, at a position where the reader can resume. Its response confirms that the catalog has them. */
const CHANGES_PER_STREAM = 50_000;
/** Interval of heartbeats while the catalog makes a big snapshot visible, since nothing else reports progress then. */
const FINISHING_BEAT_MS = 10_000;

/** Sends the changes of a snapshot to the catalog in one or more streams, the last of which ends with `finish`. */
export async function streamChanges(put: PutChanges): Promise<Put> {
  try {
    return await send(put);
  } finally {
    await put.changes.close();
  }
}

async function send(put: PutChanges): Promise<Put> {
  const { deps, signal } = put;
  const sum: Put = { files: 0, rowsWritten: 0, tableUpdated: false };
  const began = Date.now();
  const isOver = () => !put.whole && Boolean(put.isOver?.(began));
  let acknowledged = put.from;
  for (let complete = false; !complete; ) {
    const part = { position: acknowledged, ended: false };
    const beat = (sent: number) => put.beat(sum.files + sent, { files: sum.files, position: acknowledged });
    const finishing = setInterval(() => part.ended && beat(0), FINISHING_BEAT_MS);
    const response = await deps.catalog.fileChanges
      .commitSnapshot(
        messagesAhead(
          keepAlive(
            requests({
              header: encodeCommitRequest({ $case: 'header', value: put.header(sum.files === 0) }),
              changes: put.changes,
              endsAfter: (changes) => !put.whole && (changes >= CHANGES_PER_STREAM || isOver()),
              finish: () => encodeCommitRequest(put.finish()),
              onRead: put.onRead,
              part,
              beat,
            }),
            () => NO_CHANGES,
          ),
        ),
        { signal },
      )
      .finally(() => clearInterval(finishing));
    sum.files += Number(response.filesAdded + response.filesRemoved);
    sum.rowsWritten += Number(response.rowsWritten);
    sum.tableUpdated = response.tableUpdated;
    acknowledged = part.position;
    complete = part.ended;
    beat(0);
    if (!complete && acknowledged !== undefined && isOver()) return { ...sum, position: acknowledged };
  }
  return sum;
}

/** The requests of one stream: the header, changes up to a position where it may end or to the end, and `finish` at the end. */
async function* requests(stream: {
  header: Uint8Array;
  changes: EncodedChanges;
  endsAfter(changes: number): boolean;
  finish(): Uint8Array;
  onRead?(): void;
  /** Output: how far this stream came. */
  part: { position?: number; ended: boolean };
  beat(files: number): void;
}): AsyncIterable<Uint8Array> {
  yield stream.header;
  let sent = 0;
  for (;;) {
    const batch = await stream.changes.next();
    if (batch === undefined) {
      stream.part.ended = true;
      stream.onRead?.();
      break;
    }
    yield* batch.messages;
    sent += batch.changes;
    stream.beat(sent);
    stream.part.position = batch.position;
    if (batch.position !== undefined && stream.endsAfter(sent)) break;
  }
  const rest = stream.changes.flush();
  if (rest) yield rest;
  if (stream.part.ended) yield stream.finish();
}
