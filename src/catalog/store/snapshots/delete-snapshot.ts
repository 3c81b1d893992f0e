import { CodedError } from '../../../errors.ts';
import type { Snapshot } from '../../../generated/reconciler/v1/snapshots.ts';
import { DELETING_KEY, deleteMemberships, MARK_DELETING } from '../cleanup/delete-memberships.ts';
import type { Scoped } from '../database/scoped.ts';
import { write } from '../database/transaction.ts';
import { freePosition, newPosition } from '../lineage/lineage.ts';
import { getTableRow } from '../tables/tables.ts';
import { currentRow, findBase, positionOf, refsBySnapshot, type StoredSnapshot } from './snapshots.ts';

type Db = Scoped;
type Table = Awaited<ReturnType<typeof getTableRow>>;

/**
 * Deletes a snapshot that nothing needs. It is hidden from readers first, then its files are deleted in small steps, then its
 * row. If this is interrupted, a staged snapshot is left that can be deleted or sent again.
 *
 * @throws CodedError FAILED_PRECONDITION if something needs the snapshot
 */
export async function deleteSnapshot(db: Db, table: Table, row: StoredSnapshot): Promise<void> {
  const position = positionOf(row);
  await write(db, async (trx) => {
    await refuseNeeded(trx, table, row);
    await trx
      .updateTable('snapshots')
      .set({ complete: 0, published: null, totals: null, live_rows: null, staged_at: Date.now(), ...MARK_DELETING })
      .where('snapshot_num', '=', row.snapshot_num)
      .execute();
    await trx.deleteFrom('column_states').where('snapshot_num', '=', row.snapshot_num).execute();
    await trx.deleteFrom('derived_ndv').where('snapshot_num', '=', row.snapshot_num).execute();
    await trx.deleteFrom('put_columns').where('snapshot_num', '=', row.snapshot_num).execute();
  });
  await deleteMemberships(db, position);
  await write(db, async (trx) => {
    const { numDeletedRows } = await trx
      .deleteFrom('snapshots')
      .where('snapshot_num', '=', row.snapshot_num)
      .where('stage_key', '=', DELETING_KEY)
      .executeTakeFirst();
    if (numDeletedRows > 0n) await freePosition(trx, position);
  });
}

async function refuseNeeded(db: Db, table: Table, row: StoredSnapshot): Promise<void> {
  const refs = refsBySnapshot(table).get(row.snapshot_id);
  const based = await db
    .selectFrom('snapshots')
    .select('snapshot_id')
    .where('table_num', '=', row.table_num)
    .where('base_snapshot_id', '=', row.snapshot_id)
    .executeTakeFirst();
  // A later snapshot of the chain needs this one even if the snapshot between them was dropped.
  const later = await db
    .selectFrom('snapshots')
    .select('snapshot_id')
    .where('chain_num', '=', row.chain_num)
    .where('ord', '>', row.ord)
    .limit(1)
    .executeTakeFirst();
  const forked = await db
    .selectFrom('chains')
    .select('chain_num')
    .where('table_num', '=', row.table_num)
    .where('parent_chain_num', '=', row.chain_num)
    .where('parent_ord', '>=', row.ord)
    .executeTakeFirst();
  const reason =
    table.current_snapshot_id === row.snapshot_id
      ? 'it is the current snapshot'
      : refs
        ? `the ref ${refs.join(', ')} names it`
        : based
          ? `snapshot ${based.snapshot_id} is based on it`
          : later || forked
            ? 'it added files that are live in later snapshots'
            : undefined;
  if (reason) {
    throw new CodedError(
      'FAILED_PRECONDITION',
      `snapshot ${row.snapshot_id} of table ${table.table_id} cannot be deleted, since ${reason}`,
    );
  }
}

/**
 * Gives a staged snapshot another base. Its staged changes are deleted, since they are relative to the old base. A snapshot that
 * readers see without its files stays visible.
 */
export async function restage(db: Db, row: StoredSnapshot, snapshot: Snapshot): Promise<void> {
  await write(db, (trx) =>
    trx
      .updateTable('snapshots')
      .set(MARK_DELETING)
      .where('snapshot_num', '=', row.snapshot_num)
      .where('complete', '=', 0)
      .execute(),
  );
  await deleteMemberships(db, positionOf(row));
  await write(db, async (trx) => {
    const now = await currentRow(trx, row);
    if (!now || now.complete === 1) return;
    const table = await getTableRow(trx, snapshot.tableId);
    const base = await findBase(trx, table, snapshot);
    await freePosition(trx, positionOf(now));
    const { chain, ord } = await newPosition(trx, row.table_num, base && positionOf(base));
    await trx
      .updateTable('snapshots')
      .set({ base_snapshot_id: base?.snapshot_id ?? null, chain_num: chain, ord, stage_key: null })
      .where('snapshot_num', '=', row.snapshot_num)
      .execute();
  });
}
