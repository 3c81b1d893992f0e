import { sql } from 'kysely';
import { CodedError } from '../../../errors.ts';
import { deleteStaged, MARK_DELETING } from '../cleanup/delete-memberships.ts';
import { compiledQuery } from '../database/compiled-query.ts';
import type { TenantDatabase } from '../database/database.ts';
import type { Scoped } from '../database/scoped.ts';
import { write } from '../database/transaction.ts';
import { checkCounts } from '../files/expected-counts.ts';
import type { ParsedChange } from '../files/file-change-row.ts';
import { totalsAt, totalsFromText, totalsToText } from '../files/totals.ts';
import { currentRow, findSnapshotRow, positionOf, type StoredSnapshot, stagedGroups } from '../snapshots/snapshots.ts';
import type { ChangeStream, Finish, OpenStream } from './change-stream.ts';
import { MAX_GROUPS } from './change-stream.ts';
import { takePlace } from './take-place.ts';

/** Makes a snapshot visible, after all that already are. */
const makeVisible = compiledQuery((db, tableNum: number, totals: string, fetchedAt: number, snapshotNum: number) =>
  db
    .updateTable('snapshots')
    .set(({ selectFrom, lit }) => ({
      complete: lit(1),
      published: selectFrom('snapshots as others')
        .select((eb) => eb(eb.fn.coalesce(eb.fn.max('others.published'), lit(0)), '+', lit(1)).as('next'))
        .where('others.table_num', '=', tableNum)
        .where('others.published', 'is not', null),
      staged_groups: lit(null),
      staged_at: lit(null),
      unreadable: sql`''`,
      totals,
      fetched_at: fetchedAt,
    }))
    .where('snapshot_num', '=', snapshotNum),
);

/**
 * Makes a staged snapshot visible, with the last of its changes.
 *
 * @throws CodedError FAILED_PRECONDITION if the number of its live files is not the expected one
 */
export async function publish(
  trx: Scoped,
  stream: OpenStream,
  row: StoredSnapshot,
  finish: Finish,
  changes: readonly ParsedChange[],
): Promise<number> {
  const rows = stream.writer.write(stream.target, changes);
  const base =
    row.base_snapshot_id === null ? undefined : await findSnapshotRow(trx, row.table_num, row.base_snapshot_id);
  const totals = await totalsAt(trx, base?.totals ? totalsFromText(base.totals) : undefined, positionOf(row));
  checkCounts(totals, finish, row, stream.header.tableId);
  if (row.replacement === 1) await takePlace(trx, row);
  await makeVisible(trx, row.table_num, totalsToText(totals), Date.now(), row.snapshot_num);
  await finish.after?.(trx);
  return rows + 1;
}

function requireGroups(row: StoredSnapshot, { groups }: Finish, tableId: string): void {
  const staged = new Set(stagedGroups(row));
  const missing = groups.filter((group) => !staged.has(group));
  if (missing.length === 0) return;
  throw new CodedError(
    'FAILED_PRECONDITION',
    `snapshot ${row.snapshot_id} of table ${tableId} has ${groups.length - missing.length} of ${groups.length} groups of changes: ` +
      `nothing became visible; send the group ${missing[0]}${missing.length > 1 ? ` and ${missing.length - 1} more` : ''}, then finish again`,
  );
}

/** Stages a snapshot that is not complete. Changes are written to their final place, since no reader sees them yet. */
export class StageStream implements ChangeStream {
  readonly #db: Scoped;
  readonly #stream: OpenStream;

  get replacesOther(): boolean {
    return this.#stream.row.replacement === 1;
  }

  constructor({ db }: TenantDatabase, stream: OpenStream) {
    this.#db = db;
    this.#stream = stream;
  }

  async write(changes: readonly ParsedChange[]): Promise<number> {
    return write(this.#db, async (trx) => {
      if ((await this.#check(trx)).complete === 1) return 0;
      return this.#put(changes);
    });
  }

  async finishGroup(group: string, changes: readonly ParsedChange[]): Promise<number> {
    return write(this.#db, async (trx) => {
      const row = await this.#check(trx);
      if (row.complete === 1) return 0;
      const rows = this.#put(changes);
      const groups = stagedGroups(row);
      if (groups.includes(group)) return rows;
      if (groups.length === MAX_GROUPS)
        throw new CodedError(
          'INVALID_ARGUMENT',
          `group_finish.group: exceeds the maximum of ${MAX_GROUPS} groups per snapshot`,
        );
      await trx
        .updateTable('snapshots')
        .set({ staged_groups: JSON.stringify([...groups, group]) })
        .where('snapshot_num', '=', row.snapshot_num)
        .execute();
      return rows + 1;
    });
  }

  async groups(): Promise<string[]> {
    return stagedGroups(await this.#check(this.#db));
  }

  async finish(finish: Finish, changes: readonly ParsedChange[]): Promise<number> {
    /** Whether the staged changes are correct, so that an error has another cause. */
    let good = false;
    const after: Finish['after'] = async (trx) => {
      good = true;
      await finish.after?.(trx);
    };
    try {
      return await write(this.#db, async (trx) => {
        const row = await this.#check(trx);
        if (row.complete === 0) {
          good = true;
          requireGroups(row, finish, this.#stream.header.tableId);
          good = false;
          return publish(trx, this.#stream, row, { ...finish, after }, changes);
        }
        await after(trx);
        return 0;
      });
    } catch (error) {
      if (good) throw error;
      // These changes are wrong: discard them so that the next stream starts clean.
      if (error instanceof CodedError && error.code !== 'ABORTED' && error.code !== 'NOT_FOUND') await this.#reset();
      throw error;
    }
  }

  #put(changes: readonly ParsedChange[]): number {
    const { writer, target } = this.#stream;
    return writer.write(target, changes);
  }

  /** Staged changes stay: another stream continues with them. */
  async abandon(): Promise<void> {}

  /** The snapshot, if it is still this stream's. */
  async #check(db: Scoped): Promise<StoredSnapshot> {
    const { row, header } = this.#stream;
    const now = await currentRow(db, row);
    const name = `snapshot ${row.snapshot_id} of table ${header.tableId}`;
    if (!now) throw new CodedError('ABORTED', `${name} was deleted or created again meanwhile`);
    if (now.stage_key !== header.idempotencyKey) {
      throw new CodedError('ABORTED', `${name} is written by another stream with another idempotency key`);
    }
    return now;
  }

  async #reset(): Promise<void> {
    const { row, header } = this.#stream;
    const { numUpdatedRows } = await write(this.#db, (trx) =>
      trx
        .updateTable('snapshots')
        .set(MARK_DELETING)
        .where('snapshot_num', '=', row.snapshot_num)
        .where('complete', '=', 0)
        .where('stage_key', '=', header.idempotencyKey)
        .executeTakeFirst(),
    );
    if (numUpdatedRows > 0n) await deleteStaged(this.#db, { snapshotNum: row.snapshot_num, position: positionOf(row) });
  }
}
