import { setImmediate } from 'node:timers/promises';
import type { PutFileColumnStatsResponse } from '../generated/reconciler/v1/statistics.ts';
import type { ServiceDeps } from './deps.ts';
import { Checks, invalid } from './rpc/violations.ts';
import { checkSnapshot } from './snapshot-checks.ts';
import { type ChangeStream, type Finish, openChangeStream, type PutHeader, putAtOnce } from './store/put-files.ts';
import { applyTableUpdate, checkedTableUpdate } from './table-update.ts';
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
  let header: PutHeader | undefined;
  /** Null where the snapshot is complete already, undefined as long as nothing was looked at. */
  let stream: ChangeStream | null | undefined;
  let finished = false;
  const flush = async (of: PutHeader) => {
    stream ??= (await openChangeStream(database, of)) ?? null;
    if (stream === null) return false;
    const changes = counted(pending, counts);
    if (changes.length === 0) return true;
    counts.rows += await stream.write(changes);
    await setImmediate();
    return true;
  };
  try {
    for await (const bytes of requests) {
      const message = readPutFilesMessage(bytes);
      if (message.case === 'header') {
        if (header) throw invalid('header', 'came a second time: one stream is for one snapshot');
        header = checkedHeader(message.header);
        // A new snapshot's is opened when there is more than goes into one transaction.
        if ((!header.snapshot || header.replace) && !(await flush(header))) return answer(NOTHING, { complete: true });
        continue;
      }
      if (!header) throw invalid('header', `is required before ${message.case}`);
      if (message.case === 'changes') {
        let from = 0;
        while (from < message.count) {
          const to = Math.min(from + STEP - pending.length, message.count);
          pending.push(...message.parse(from, to));
          from = to;
          if (pending.length >= STEP && !(await flush(header))) return answer(NOTHING, { complete: true });
        }
        continue;
      }
      const finish = checkedFinish(message.finish, header);
      const last = counted(pending, counts);
      const rows = stream ? undefined : await putAtOnce(database, header, finish, last);
      if (rows === undefined && !(await flush(header))) return answer(NOTHING, { complete: true });
      counts.rows += rows ?? (await (stream as ChangeStream).finish(finish, last));
      finished = true;
      return answer(counts, { complete: true, tableUpdated: finish.after !== undefined });
    }
    if (header && !(await flush(header))) return answer(NOTHING, { complete: true });
    return answer(counts, { complete: false });
  } finally {
    if (!finished) await stream?.abandon();
  }
}

interface Counts {
  added: number;
  removed: number;
  rows: number;
}

const NOTHING: Counts = { added: 0, removed: 0, rows: 0 };

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

function checkedFinish(
  finish: Extract<PutFilesMessage, { case: 'finish' }>['finish'],
  { tableId, replace }: PutHeader,
): Finish {
  const { expectedDataFileCount: dataFiles, expectedDeleteFileCount: deleteFiles, updateTable } = finish;
  if (!updateTable) return { dataFiles, deleteFiles };
  if (replace) throw invalid('finish.update_table', 'goes only without replace');
  const update = checkedTableUpdate(updateTable);
  if (update.table.tableId !== tableId) throw invalid('finish.update_table', "is of another table than the header's");
  return { dataFiles, deleteFiles, after: (trx) => applyTableUpdate(trx, update) };
}

function answer(
  counts: Counts,
  { complete, tableUpdated = false }: { complete: boolean; tableUpdated?: boolean },
): PutFileColumnStatsResponse {
  return {
    filesAdded: BigInt(counts.added),
    filesRemoved: BigInt(counts.removed),
    rowsWritten: BigInt(counts.rows),
    complete,
    tableUpdated,
  };
}
