import type { Kysely } from 'kysely';
import { CodedError } from '../../errors.ts';
import type { ParsedChange } from '../wire/file-change.ts';
import { CLEARING, clearStage } from './clear-changes.ts';
import { compiledQuery } from './compiled-query.ts';
import type { Database } from './database.ts';
import type { FileWriter, WriteTarget } from './file-writer.ts';
import { checkCounts } from './live-counts.ts';
import type { ChangeStream, Finish, PutHeader } from './put-files.ts';
import { recomputeAll, statisticsChanged } from './recompute.ts';
import type { Schema } from './schema.ts';
import { findSnapshotRow, placeOf, type StoredSnapshot } from './snapshots.ts';
import { totalsAt, totalsFromText, totalsToText } from './totals.ts';

export interface OpenStream {
  row: StoredSnapshot;
  target: WriteTarget;
  header: PutHeader;
  /** Unique a stream. */
  id: string;
  writer: FileWriter;
}

/** Makes a snapshot visible, behind all that are. */
const makeVisible = compiledQuery((db, tableNum: number, totals: string, fetchedAt: number, snapshotNum: number) =>
  db
    .updateTable('snapshots')
    .set(({ selectFrom, lit }) => ({
      complete: lit(1),
      published: selectFrom('snapshots as others')
        .select((eb) => eb(eb.fn.coalesce(eb.fn.max('others.published'), lit(0)), '+', lit(1)).as('next'))
        .where('others.table_num', '=', tableNum)
        .where('others.published', 'is not', null),
      totals,
      fetched_at: fetchedAt,
    }))
    .where('snapshot_num', '=', snapshotNum),
);

async function put(
  trx: Kysely<Schema>,
  { target, writer }: OpenStream,
  changes: readonly ParsedChange[],
): Promise<number> {
  const written = writer.write(target, changes);
  // Statistics of a file that other snapshots hold already came in otherwise.
  if (written.updatedFiles > 0) await statisticsChanged(trx, target.tableNum);
  if (written.countsChanged) await recomputeAll(trx, target.tableNum);
  return written.rows;
}

/**
 * Makes a staged snapshot visible, with the last of its changes.
 *
 * @throws CodedError FAILED_PRECONDITION where it then has other live files than are expected
 */
export async function publish(
  trx: Kysely<Schema>,
  stream: OpenStream,
  row: StoredSnapshot,
  finish: Finish,
  changes: readonly ParsedChange[],
): Promise<number> {
  const rows = changes.length > 0 ? await put(trx, stream, changes) : 0;
  const base =
    row.base_snapshot_id === null ? undefined : await findSnapshotRow(trx, row.table_num, row.base_snapshot_id);
  const totals = await totalsAt(trx, base?.totals ? totalsFromText(base.totals) : undefined, placeOf(row));
  checkCounts(totals, finish, row, stream.header.tableId);
  await makeVisible(trx, row.table_num, totalsToText(totals), Date.now(), row.snapshot_num);
  await finish.after?.(trx);
  return rows + 1;
}

/** Changes of a snapshot that is not complete: they go where they belong at once, where no reader looks yet. */
export class StageStream implements ChangeStream {
  readonly #db: Kysely<Schema>;
  readonly #stream: OpenStream;

  constructor({ db }: Database, stream: OpenStream) {
    this.#db = db;
    this.#stream = stream;
  }

  async write(changes: readonly ParsedChange[]): Promise<number> {
    return this.#db.transaction().execute(async (trx) => {
      if ((await this.#check(trx)).complete === 1) return 0;
      return put(trx, this.#stream, changes);
    });
  }

  async finish(finish: Finish, changes: readonly ParsedChange[]): Promise<number> {
    let good = false;
    const after: Finish['after'] = async (trx) => {
      good = true;
      await finish.after?.(trx);
    };
    try {
      return await this.#db.transaction().execute(async (trx) => {
        const row = await this.#check(trx);
        if (row.complete === 0) return publish(trx, this.#stream, row, { ...finish, after }, changes);
        await after(trx);
        return 0;
      });
    } catch (error) {
      if (good) throw error;
      // These changes give a wrong snapshot: the next stream, maybe with others, shall not build upon them.
      if (error instanceof CodedError && error.code !== 'ABORTED' && error.code !== 'NOT_FOUND') await this.#reset();
      throw error;
    }
  }

  /** What has come stays: another stream goes on with it. */
  async abandon(): Promise<void> {}

  /** The snapshot, if it is still this stream's. */
  async #check(db: Kysely<Schema>): Promise<StoredSnapshot> {
    const { row, header } = this.#stream;
    const now = await findSnapshotRow(db, row.table_num, row.snapshot_id);
    const name = `snapshot ${row.snapshot_id} of table ${header.tableId}`;
    if (now?.snapshot_num !== row.snapshot_num)
      throw new CodedError('ABORTED', `${name} was deleted or made anew meanwhile`);
    if (now.stage_key !== header.idempotencyKey) {
      throw new CodedError('ABORTED', `${name} is written by another stream with another idempotency key`);
    }
    return now;
  }

  async #reset(): Promise<void> {
    const { row, header } = this.#stream;
    const { numUpdatedRows } = await this.#db
      .updateTable('snapshots')
      .set({ stage_key: CLEARING })
      .where('snapshot_num', '=', row.snapshot_num)
      .where('complete', '=', 0)
      .where('stage_key', '=', header.idempotencyKey)
      .executeTakeFirst();
    if (numUpdatedRows > 0n) await clearStage(this.#db, { snapshotNum: row.snapshot_num, place: placeOf(row) });
  }
}
