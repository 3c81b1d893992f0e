import { setImmediate } from 'node:timers/promises';
import type { PutFileColumnStatsResponse } from '../generated/reconciler/v1/statistics.ts';
import type { ServiceDeps } from './deps.ts';
import { Checks, invalid } from './rpc/violations.ts';
import { type ChangeStream, openChangeStream, type PutHeader } from './store/put-files.ts';
import { type PutFilesMessage, readPutFilesMessage } from './wire/put-files-request.ts';

/** Changes a transaction: some milliseconds, between which health and control calls are answered. */
const STEP = 500;

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
        counts.rows += await stream.finish({ dataFiles, deleteFiles });
        finished = true;
        return answer(counts, true);
      }
      await take(stream, message, counts);
    }
    return answer(counts, false);
  } finally {
    if (!finished) await stream?.abandon();
  }
}

async function take(
  stream: ChangeStream,
  message: Extract<PutFilesMessage, { case: 'changes' }>,
  counts: { added: number; removed: number; rows: number },
): Promise<void> {
  for (let from = 0; from < message.count; from += STEP) {
    const changes = message.parse(from, Math.min(from + STEP, message.count));
    counts.rows += await stream.write(changes);
    for (const change of changes) counts[change.added ? 'added' : 'removed'] += 1;
    await setImmediate();
  }
}

function checkedHeader(header: PutHeader): PutHeader {
  const checks = new Checks();
  checks.id(header.tableId, 'header.table_id');
  checks.text(header.idempotencyKey, 'header.idempotency_key', { min: 1, max: 512 });
  checks.that(header.replace || !header.whole, 'header.whole', 'goes only with replace');
  checks.done();
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
