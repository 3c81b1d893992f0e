import type { Kysely } from 'kysely';
import { CodedError } from '../../errors.ts';
import type { ParsedChange } from '../wire/file-change.ts';
import { CLEARING, clearChanges } from './clear-changes.ts';
import type { Database } from './database.ts';
import type { FileWriter, WriteTarget } from './file-writer.ts';
import { checkCounts } from './live-counts.ts';
import type { ChangeStream, ExpectedCounts, PutHeader } from './put-files.ts';
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

/** Behind all that are published. */
function nextPublished(db: Kysely<Schema>, tableNum: number) {
  return db
    .selectFrom('snapshots as others')
    .select((eb) => eb(eb.fn.coalesce(eb.fn.max('others.published'), eb.lit(0)), '+', 1).as('next'))
    .where('others.table_num', '=', tableNum)
    .where('others.published', 'is not', null);
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
      return this.#put(trx, changes);
    });
  }

  async #put(trx: Kysely<Schema>, changes: readonly ParsedChange[]): Promise<number> {
    const { target, writer } = this.#stream;
    const written = writer.write(target, changes);
    // Statistics of a file that other snapshots hold already came in otherwise.
    if (written.updatedFiles > 0) await statisticsChanged(trx, target.tableNum);
    if (written.countsChanged) await recomputeAll(trx, target.tableNum);
    return written.rows;
  }

  async finish(expected: ExpectedCounts, changes: readonly ParsedChange[]): Promise<number> {
    try {
      return await this.#db.transaction().execute((trx) => this.#publish(trx, expected, changes));
    } catch (error) {
      // These changes give a wrong snapshot: the next stream, maybe with others, shall not build upon them.
      if (error instanceof CodedError && error.code !== 'ABORTED' && error.code !== 'NOT_FOUND') await this.#reset();
      throw error;
    }
  }

  /** What has come stays: another stream goes on with it. */
  async abandon(): Promise<void> {}

  async #publish(db: Kysely<Schema>, expected: ExpectedCounts, changes: readonly ParsedChange[]): Promise<number> {
    const row = await this.#check(db);
    if (row.complete === 1) return 0;
    const rows = changes.length > 0 ? await this.#put(db, changes) : 0;
    const base =
      row.base_snapshot_id === null ? undefined : await findSnapshotRow(db, row.table_num, row.base_snapshot_id);
    const totals = await totalsAt(db, base?.totals ? totalsFromText(base.totals) : undefined, placeOf(row));
    checkCounts(totals, expected, row, this.#stream.header.tableId);
    await db
      .updateTable('snapshots')
      .set({
        complete: 1,
        published: nextPublished(db, row.table_num),
        totals: totalsToText(totals),
        fetched_at: Date.now(),
      })
      .where('snapshot_num', '=', row.snapshot_num)
      .execute();
    return rows + 1;
  }

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
    if (numUpdatedRows === 0n) return;
    await clearChanges(this.#db, placeOf(row));
    await this.#db
      .updateTable('snapshots')
      .set({ stage_key: null })
      .where('snapshot_num', '=', row.snapshot_num)
      .where('stage_key', '=', CLEARING)
      .execute();
  }
}
