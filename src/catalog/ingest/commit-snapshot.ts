import { setImmediate } from 'node:timers/promises';
import type { CommitSnapshotResponse } from '../../generated/reconciler/internal/v1/ingestion.ts';
import type { ServiceDeps } from '../core/ports.ts';
import { Checks, invalid } from '../rpc/violations.ts';
import { ensureTable } from '../store/bindings/ensure-table.ts';
import { requireClaimOn } from '../store/database/claim-fence.ts';
import { transaction } from '../store/database/transaction.ts';
import type { ParsedChange } from '../store/files/file-change-row.ts';
import type { ChangeStream, Finish, PutHeader } from '../store/ingest/change-stream.ts';
import { MAX_GROUPS } from '../store/ingest/change-stream.ts';
import { createWithSnapshot } from '../store/ingest/first-snapshot.ts';
import { openChangeStream, putSnapshotAtOnce } from '../store/ingest/open-stream.ts';
import { applyTableUpdate, checkedTableUpdate, stateAfter } from '../tables/table-update.ts';
import { checkEnsureTable } from '../validation/ensure-checks.ts';
import { checkSnapshot } from '../validation/snapshot-checks.ts';
import { TABLE_MASK } from '../validation/table-checks.ts';
import type { CommitMessage } from './commit-message.ts';

/**
 * Changes per transaction. With fewer, the pages of the indexes are written more often; with these, other calls still get their
 * response within tens of milliseconds.
 */
const STEP = 2000;
/**
 * The size of the messages whose changes wait for a transaction. A change has up to a whole message of statistics, and holds on to that message,
 * so that some thousand changes could otherwise fill the memory.
 */
const MAX_PENDING_BYTES = 4 * 1024 * 1024;

/**
 * Stores the changes of one snapshot, as Ingestion.CommitSnapshot and TableStatistics.PutFileColumnStats describe it.
 *
 * A stream that ends without a finish leaves its changes staged, and `complete` is false in the response.
 */
export async function commitSnapshot(
  { database, purge }: ServiceDeps,
  messages: AsyncIterable<CommitMessage>,
): Promise<CommitSnapshotResponse> {
  const counts = { added: 0, removed: 0, rows: 0 };
  const pending: ParsedChange[] = [];
  let pendingBytes = 0;
  let header: PutHeader | undefined;
  let stream: ChangeStream | undefined;
  let ended: CommitSnapshotResponse | undefined;
  let isTableEnsured = false;
  const ensureTableOf = async ({ ensureTable: request }: PutHeader): Promise<void> => {
    if (!request || isTableEnsured) return;
    const { emptied } = await transaction(database.db, false, (trx) => ensureTable(trx, request));
    isTableEnsured = true;
    if (emptied) purge();
  };
  const write = async (of: PutHeader): Promise<void> => {
    await ensureTableOf(of);
    stream ??= await openChangeStream(database, of);
    if (!stream) {
      // The snapshot is complete already.
      ended = answer({ added: 0, removed: 0, rows: 0 }, { complete: true });
      return;
    }
    const changes = pending.splice(0);
    pendingBytes = 0;
    if (changes.length === 0) return;
    count(changes, counts);
    counts.rows += await stream.write(changes);
    await setImmediate();
  };
  const putAtOnce = async (of: PutHeader, last: Finish, changes: readonly ParsedChange[]) => {
    const rows = of.ensureTable && (await createWithSnapshot(database, of, last, changes));
    if (rows !== undefined) return rows;
    await ensureTableOf(of);
    return putSnapshotAtOnce(database, of, last, changes);
  };
  const finish = async (of: PutHeader, last: Finish): Promise<void> => {
    const changes = pending.splice(0);
    const rows = stream ? undefined : await putAtOnce(of, last, changes);
    if (rows === undefined) await write(of);
    if (ended) return;
    count(changes, counts);
    counts.rows += rows ?? (await (stream as ChangeStream).finish(last, changes));
    if (stream?.replacesOther) purge();
    ended = answer(counts, { complete: true, tableUpdated: last.after !== undefined });
  };
  const stagedGroups = async () => (await stream?.groups?.()) ?? [];
  const finishGroup = async (of: PutHeader, group: string): Promise<void> => {
    await write(of);
    if (!stream?.finishGroup) return;
    counts.rows += await stream.finishGroup(group, []);
    ended = answer(counts, { complete: false, stagedGroups: await stagedGroups() });
  };
  try {
    for await (const message of messages) {
      if (message.case === 'header') {
        if (header) throw invalid('header', 'was sent twice for one snapshot');
        header = checkedHeader(message.header);
        // The stream of a new snapshot is opened only if its changes do not fit in one transaction.
        if (!header.snapshot || header.replace) await write(header);
      } else if (!header) {
        throw invalid('header', `is required before ${message.case}`);
      } else if (message.case === 'finish') {
        await finish(header, checkedFinish(message.finish, header));
      } else if (message.case === 'groupFinish') {
        await finishGroup(header, checkedGroup(message.group, header));
      } else {
        for (let from = 0; from < message.count && !ended; ) {
          const to = Math.min(from + STEP - pending.length, message.count);
          pending.push(...message.parse(from, to));
          pendingBytes += message.size;
          from = to;
          if (pending.length >= STEP || pendingBytes >= MAX_PENDING_BYTES) await write(header);
        }
      }
      if (ended) return ended;
    }
    if (header) await write(header);
    return ended ?? answer(counts, { complete: false, stagedGroups: await stagedGroups() });
  } finally {
    if (!ended) await stream?.abandon();
  }
}

interface Counts {
  added: number;
  removed: number;
  rows: number;
}

function count(changes: readonly ParsedChange[], counts: Counts): void {
  for (const change of changes) counts[change.added ? 'added' : 'removed'] += 1;
}

function checkedHeader(header: PutHeader): PutHeader {
  const checks = new Checks();
  checks.id(header.tableId, 'header.table_id');
  checks.text(header.idempotencyKey, 'header.idempotency_key', { min: 1, max: 512 });
  checks.that(header.replace || !header.whole, 'header.whole', 'is allowed only with replace');
  const { snapshot, ensureTable: ensured } = header;
  checks.that(
    !snapshot || (snapshot.tableId === header.tableId && snapshot.snapshotId === header.snapshotId),
    'header.snapshot',
    'has other ids than the header',
  );
  checks.that(
    !ensured || (snapshot !== undefined && !header.replace && ensured.tableId === header.tableId),
    'header.ensure_table',
    'is allowed only with a snapshot and without replace, and with the table id of the header',
  );
  checks.done();
  if (snapshot) checkSnapshot(snapshot);
  if (ensured) {
    checkEnsureTable(ensured);
    requireClaimOn(ensured.connectorId);
  }
  return header;
}

function checkedFinish(
  finish: Extract<CommitMessage, { case: 'finish' }>['finish'],
  { tableId, replace }: PutHeader,
): Finish {
  const { expectedDataFileCount: dataFiles, expectedDeleteFileCount: deleteFiles, updateTable, groups } = finish;
  if (groups.length > MAX_GROUPS) {
    throw invalid('finish.groups', `has ${groups.length} entries, at most ${MAX_GROUPS} are allowed`);
  }
  if (replace && groups.length > 0) throw invalid('finish.groups', 'is allowed only without replace');
  if (!updateTable) return { dataFiles, deleteFiles, groups };
  if (replace) throw invalid('finish.update_table', 'is allowed only without replace');
  const update = checkedTableUpdate(updateTable, TABLE_MASK);
  if (update.table.tableId !== tableId) throw invalid('finish.update_table', 'has another table id than the header');
  return { dataFiles, deleteFiles, groups, after: (trx) => applyTableUpdate(trx, update), state: stateAfter(update) };
}

function checkedGroup(group: string, { replace }: PutHeader): string {
  if (replace) throw invalid('group_finish', 'is allowed only without replace');
  const checks = new Checks();
  checks.text(group, 'group_finish.group', { min: 1, max: 64 });
  checks.done();
  return group;
}

function answer(
  counts: Counts,
  answered: Pick<CommitSnapshotResponse, 'complete'> & Partial<CommitSnapshotResponse>,
): CommitSnapshotResponse {
  return {
    filesAdded: BigInt(counts.added),
    filesRemoved: BigInt(counts.removed),
    rowsWritten: BigInt(counts.rows),
    tableUpdated: false,
    stagedGroups: [],
    completeSnapshots: answered.complete ? 1 : 0,
    ...answered,
  };
}
