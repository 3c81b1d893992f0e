import { randomUUID } from 'node:crypto';
import { CodedError } from '../../../errors.ts';
import { deleteStaged, MARK_DELETING } from '../cleanup/delete-memberships.ts';
import type { TenantDatabase } from '../database/database.ts';
import type { Scoped } from '../database/scoped.ts';
import { write } from '../database/transaction.ts';
import type { ParsedChange } from '../files/file-change-row.ts';
import { FileWriter } from '../files/file-writer.ts';
import { ancestryOf, basePositionOf, isSamePosition, startsBefore } from '../lineage/lineage.ts';
import { ensureSnapshot } from '../snapshots/ensure-snapshot.ts';
import { findBase, findSnapshotRow, insertSnapshot, positionOf, type StoredSnapshot } from '../snapshots/snapshots.ts';
import { getTableRowToWrite } from '../tables/tables.ts';
import type { ChangeStream, Finish, OpenStream, PutHeader } from './change-stream.ts';
import { ReplaceStream } from './replace-stream.ts';
import { publish, StageStream } from './stage-stream.ts';

/**
 * Opens a stream of changes for a snapshot.
 *
 * @returns undefined if a stream with this key has finished: there is nothing to do
 * @throws CodedError NOT_FOUND, FAILED_PRECONDITION if the snapshot is complete with another key
 */
export async function openChangeStream(database: TenantDatabase, header: PutHeader): Promise<ChangeStream | undefined> {
  const { db } = database;
  for (;;) {
    const { row, isStale } = await (header.snapshot
      ? ensureSnapshot(db, header.snapshot, { stageKey: header.idempotencyKey, replacesOther: true }, (trx, ensured) =>
          claim(trx, header, ensured.row),
        )
      : write(db, (trx) => claimKnown(trx, header)));
    if (isStale) {
      // The staged changes are of another key or incomplete: start clean.
      await deleteStaged(db, { snapshotNum: row.snapshot_num, position: positionOf(row) });
      continue;
    }
    if (row.complete === 1 && !header.replace) return undefined;
    const stream = await openStream(db, database, header, row);
    return row.complete === 1 ? new ReplaceStream(database, stream) : new StageStream(database, stream);
  }
}

/**
 * Creates a snapshot with all its files in one transaction: most snapshots have few files.
 *
 * @returns rows written permanently; undefined, with nothing done, if the snapshot exists already: use `openChangeStream` then
 * @throws CodedError NOT_FOUND for the table, FAILED_PRECONDITION for a base that is not complete and for other counts
 */
export async function putSnapshotAtOnce(
  database: TenantDatabase,
  header: PutHeader,
  finish: Finish,
  changes: readonly ParsedChange[],
): Promise<number | undefined> {
  const { snapshot, idempotencyKey } = header;
  if (!snapshot || header.replace || finish.groups.length > 0) return undefined;
  return write(database.db, async (trx) => {
    const table = await getTableRowToWrite(trx, snapshot.tableId);
    if (await findSnapshotRow(trx, table.table_num, snapshot.snapshotId)) return undefined;
    const base = await findBase(trx, table, snapshot);
    const row = await insertSnapshot(trx, table, snapshot, { base, stageKey: idempotencyKey, replacement: false });
    return publish(trx, await openStream(trx, database, header, row), row, finish, changes);
  });
}

async function openStream(
  db: Scoped,
  database: TenantDatabase,
  header: PutHeader,
  row: StoredSnapshot,
): Promise<OpenStream> {
  const isFirst = row.complete === 0 && row.base_snapshot_id === null;
  const ancestry = isFirst ? [positionOf(row)] : await ancestryOf(db, positionOf(row));
  return {
    row,
    target: { tableNum: row.table_num, snapshotId: row.snapshot_id, ancestry },
    // If a snapshot without a base has ancestors, they were dropped: its own changes are not known any more.
    header: { ...header, whole: header.whole || (row.base_snapshot_id === null && startsBefore(ancestry)) },
    id: randomUUID(),
    writer: FileWriter.of(database),
  };
}

/** How exact `staged_at` is. */
const STAGED_AT_MS = 60_000;

/** `isStale`: staged changes must be deleted first. */
type Claim = { row: StoredSnapshot; isStale: boolean };

async function claimKnown(db: Scoped, header: PutHeader): Promise<Claim> {
  const table = await getTableRowToWrite(db, header.tableId);
  const replacement = await findSnapshotRow(db, table.table_num, header.snapshotId, { replacement: true });
  if (replacement?.stage_key === header.idempotencyKey) return claim(db, header, replacement);
  const row = await findSnapshotRow(db, table.table_num, header.snapshotId);
  if (row) {
    await requireBase(db, header, row);
    return claim(db, header, row);
  }
  throw new CodedError(
    'NOT_FOUND',
    `snapshot ${header.snapshotId} of table ${header.tableId} does not exist: create it first`,
  );
}

/** @throws CodedError FAILED_PRECONDITION if another snapshot has taken the place of a staged snapshot's base */
async function requireBase(db: Scoped, header: PutHeader, row: StoredSnapshot): Promise<void> {
  if (row.complete === 1 || row.base_snapshot_id === null) return;
  const base = await findSnapshotRow(db, row.table_num, row.base_snapshot_id);
  const position = await basePositionOf(db, positionOf(row));
  if (isSamePosition(base && positionOf(base), position)) return;
  throw new CodedError(
    'FAILED_PRECONDITION',
    `snapshot ${header.snapshotId} of table ${header.tableId} is based on ${row.base_snapshot_id}, which is another snapshot by now: ` +
      'create it again, and send its changes again',
  );
}

async function claim(db: Scoped, header: PutHeader, row: StoredSnapshot): Promise<Claim> {
  const name = `${header.snapshotId} of table ${header.tableId}`;
  if (row.complete === 1) {
    // A header with a snapshot is of this very snapshot (see ensureSnapshot), which comes back after it expired: it has its files.
    if (header.replace || header.snapshot || row.stage_key === header.idempotencyKey) return { row, isStale: false };
    throw new CodedError(
      'FAILED_PRECONDITION',
      `snapshot ${name} is complete, from a stream with another idempotency key: replace it, or send nothing`,
    );
  }
  if (header.whole && row.base_snapshot_id !== null) {
    throw new CodedError(
      'FAILED_PRECONDITION',
      `snapshot ${name} is not complete and based on ${row.base_snapshot_id}: to send all its files, create it without a base`,
    );
  }
  if (row.stage_key !== null && row.stage_key !== header.idempotencyKey) {
    await db.updateTable('snapshots').set(MARK_DELETING).where('snapshot_num', '=', row.snapshot_num).execute();
    return { row, isStale: true };
  }
  const now = Date.now();
  if (row.stage_key !== null && Math.abs(now - (row.staged_at ?? 0)) < STAGED_AT_MS) return { row, isStale: false };
  const columns = { stage_key: header.idempotencyKey, staged_at: now };
  await db.updateTable('snapshots').set(columns).where('snapshot_num', '=', row.snapshot_num).execute();
  return { row: { ...row, ...columns }, isStale: false };
}
