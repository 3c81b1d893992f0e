import { keepAlive } from '../../../catalog-client/keep-alive.ts';
import { encodeCommitRequest, NO_CHANGES } from '../../../catalog-client/raw-commit-snapshot.ts';
import type { CommitSnapshotResponse } from '../../../generated/reconciler/internal/v1/ingestion.ts';
import { stageHeader } from '../file-groups.ts';
import type { PutSnapshot } from '../snapshot-message.ts';
import { messagesAhead } from './messages-ahead.ts';
import type { ReadAhead } from './read-ahead.ts';

/** Most snapshots of a stream: a heartbeat has 20 bytes for each of them. */
const MAX_SNAPSHOTS = 200;
/** How long a stream goes on: what the catalog has stored of it is known at its end. */
const MAX_MS = 5_000;
/** Interval of heartbeats while the catalog works on the last ones. */
const BEAT_MS = 10_000;

export interface SmallSnapshots {
  ahead: Pick<ReadAhead, 'takeSmall'>;
  /** The snapshot that comes next; undefined if it must not be in the stream. */
  next(): Promise<PutSnapshot | undefined>;
  /** It is in the stream. @param files that it adds or removes */
  onSent(files: number): Promise<void>;
  beat(): void;
}

/**
 * Sends snapshots that have few changes, one after the other in one stream, up to one that has more or cannot be read. The catalog works on them
 * while the next ones are read.
 *
 * @returns undefined, with nothing sent, if the first one is not small
 * @throws the error of the first one
 */
export async function sendSmallSnapshots(small: SmallSnapshots): Promise<CommitSnapshotResponse | undefined> {
  const first = await nextSmall(small, true);
  if (!first) return undefined;
  const { deps, heartbeat, newTable } = first.put;
  const beating = setInterval(() => small.beat(), BEAT_MS);
  try {
    const messages = messagesAhead(keepAlive(requests(small, first), () => NO_CHANGES));
    const response = await deps.catalog.fileChanges.commitSnapshot(messages, { signal: heartbeat.signal });
    newTable?.wasCreated();
    return response;
  } finally {
    clearInterval(beating);
  }
}

interface Small {
  put: PutSnapshot;
  /** Number of changes. */
  changes: number;
  /** Header, changes if there are any, and finish. */
  messages: Uint8Array[];
}

async function* requests(small: SmallSnapshots, first: Small): AsyncGenerator<Uint8Array> {
  const until = Date.now() + MAX_MS;
  let next: Small | undefined = first;
  for (let count = 1; next; count++) {
    await small.onSent(next.changes);
    yield* next.messages;
    next = count < MAX_SNAPSHOTS && Date.now() < until ? await nextSmall(small, false) : undefined;
  }
}

/** Undefined also if it fails: it does so again when it is ingested by itself, and those before it come in. */
async function nextSmall({ ahead, next }: SmallSnapshots, isFirst: boolean): Promise<Small | undefined> {
  try {
    const put = await next();
    const whole = put && (await ahead.takeSmall({ snapshotId: put.snapshot.snapshotId, base: put.base }));
    if (!whole) return undefined;
    // The first one of the stream creates a table that is new.
    const header = stageHeader(isFirst ? put : { ...put, newTable: undefined });
    const finish = await finishOf(put);
    return { put, changes: whole.changes, messages: [header, ...(whole.message ? [whole.message] : []), finish] };
  } catch {
    return undefined;
  }
}

async function finishOf({ reader, snapshot, updateTable }: PutSnapshot): Promise<Uint8Array> {
  const counted = await reader.liveFileCounts(snapshot.snapshotId);
  return encodeCommitRequest({
    $case: 'finish',
    value: {
      expectedDataFileCount: counted && BigInt(counted.dataFiles),
      expectedDeleteFileCount: counted && BigInt(counted.deleteFiles),
      updateTable,
      groups: [],
    },
  });
}
