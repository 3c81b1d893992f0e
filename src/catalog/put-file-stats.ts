import { setImmediate } from 'node:timers/promises';
import type { PutFileColumnStatsResponse } from '../generated/reconciler/v1/statistics.ts';
import type { ServiceDeps } from './deps.ts';
import { Checks, invalid } from './rpc/violations.ts';
import { checkSnapshot } from './snapshot-checks.ts';
import { type ChangeStream, openChangeStream, type PutHeader } from './store/put-files.ts';
import type { ParsedChange } from './wire/file-change.ts';
import { type PutFilesMessage, readPutFilesMessage } from './wire/put-files-request.ts';

/**
 * Changes a transaction. Fewer would write the pages of the indexes more often; with these, other calls still are answered
 * within some ten milliseconds.
 */
const STEP = 2000;

/**
 * TableStatistics.PutFileColumnStats. Requests come as bytes: see put-files-request.ts.
 *
 * A stream that ends without a finish leaves its changes staged, and `complete` is false in the answer.
 */
export async function putFileColumnStats(
  { database }: ServiceDeps,
  requests: AsyncIterable<Uint8Array>,
): Promise<PutFileColumnStatsResponse> {
  const counts = { added: 0, removed: 0, rows: 0 };
  const pending: ParsedChange[] = [];
  let stream: ChangeStream | undefined;
  let opened = false;
  let finished = false;
  try {
    for await (const bytes of requests) {
      const message = readPutFilesMessage(bytes);
      if (message.case === 'header') {
        if (opened) throw invalid('header', 'came a second time: one stream is for one snapshot');
        opened = true;
        stream = await openChangeStream(database, checkedHeader(message.header));
        if (!stream) return answer(counts, true);
        continue;
      }
      if (!stream) throw invalid('header', `is required before ${message.case}`);
      if (message.case === 'finish') {
        const { expectedDataFileCount: dataFiles, expectedDeleteFileCount: deleteFiles } = message.finish;
        const last = counted(pending, counts);
        counts.rows += await stream.finish({ dataFiles, deleteFiles }, last);
        finished = true;
        return answer(counts, true);
      }
      await take(stream, message, pending, counts);
    }
    if (stream) await flush(stream, pending, counts);
    return answer(counts, false);
  } finally {
    if (!finished) await stream?.abandon();
  }
}

interface Counts {
  added: number;
  removed: number;
  rows: number;
}

/** Adds a message's changes to those that wait, and writes whenever there are enough for a transaction. */
async function take(
  stream: ChangeStream,
  message: Extract<PutFilesMessage, { case: 'changes' }>,
  pending: ParsedChange[],
  counts: Counts,
): Promise<void> {
  let from = 0;
  while (from < message.count) {
    const to = Math.min(from + STEP - pending.length, message.count);
    pending.push(...message.parse(from, to));
    from = to;
    if (pending.length >= STEP) await flush(stream, pending, counts);
  }
}

async function flush(stream: ChangeStream, pending: ParsedChange[], counts: Counts): Promise<void> {
  const changes = counted(pending, counts);
  if (changes.length === 0) return;
  counts.rows += await stream.write(changes);
  await setImmediate();
}

/** Takes the changes that wait. */
function counted(pending: ParsedChange[], counts: Counts): ParsedChange[] {
  const changes = pending.splice(0);
  for (const change of changes) counts[change.added ? 'added' : 'removed'] += 1;
  return changes;
}

function checkedHeader(header: PutHeader): PutHeader {
  const checks = new Checks();
  checks.id(header.tableId, 'header.table_id');
  checks.text(header.idempotencyKey, 'header.idempotency_key', { min: 1, max: 512 });
  checks.that(header.replace || !header.whole, 'header.whole', 'goes only with replace');
  const { snapshot } = header;
  checks.that(
    !snapshot || (snapshot.tableId === header.tableId && snapshot.snapshotId === header.snapshotId),
    'header.snapshot',
    'has other ids than the header',
  );
  checks.done();
  if (snapshot) checkSnapshot(snapshot);
  return header;
}

function answer(
  counts: { added: number; removed: number; rows: number },
  complete: boolean,
): PutFileColumnStatsResponse {
  return {
    filesAdded: BigInt(counts.added),
    filesRemoved: BigInt(counts.removed),
    rowsWritten: BigInt(counts.rows),
    complete,
  };
}
