import { setImmediate } from 'node:timers/promises';
import { deserialize, serialize } from 'node:v8';
import { CodedError } from '../../../errors.ts';
import type { TenantDatabase } from '../database/database.ts';
import type { AllTenants, Scoped } from '../database/scoped.ts';
import { write } from '../database/transaction.ts';
import type { ExpectedCounts } from '../files/expected-counts.ts';
import { checkCounts } from '../files/expected-counts.ts';
import type { ParsedChange } from '../files/file-change-row.ts';
import { generationOf, recomputeFrom, statisticsChanged } from '../files/recompute.ts';
import { totalsFromText } from '../files/totals.ts';
import { findSnapshotRow, type StoredSnapshot } from '../snapshots/snapshots.ts';
import type { ChangeStream, OpenStream } from './change-stream.ts';
import { removeExtraneous } from './replace-apply.ts';
import { type Extraneous, ReplaceDiff } from './replace-diff.ts';

type Db = Scoped;

/** Changes that are compared at once. Their stored files are read, which are large in wide tables. */
const STEP = 500;

/**
 * Changes that replace what a complete snapshot holds.
 *
 * They are compared with the snapshot as they arrive. Those that differ are stored in a separate table, and after the last one also
 * what the snapshot holds beyond them. The finish applies both in one transaction: readers see the old statistics or the new ones.
 * If nothing differs, nothing is written.
 */
export class ReplaceStream implements ChangeStream {
  readonly #db: Db;
  readonly #stream: OpenStream;
  readonly #diff: ReplaceDiff;
  /** The table's generation when the first changes were compared. */
  #generation: number | undefined;
  /** Stored batches: of changes that differ, and after them of what is extraneous. */
  #batches = 0;

  constructor({ db }: TenantDatabase, stream: OpenStream) {
    this.#db = db;
    this.#stream = stream;
    this.#diff = new ReplaceDiff(db, stream.target, stream.header.whole);
  }

  async write(changes: readonly ParsedChange[]): Promise<number> {
    const { header, row } = this.#stream;
    if (header.whole && changes.some((change) => !change.added)) {
      throw new CodedError('INVALID_ARGUMENT', 'changes: hold a removed file, but with `whole` every file is live');
    }
    this.#generation ??= await generationOf(this.#db, row.table_num);
    for (let start = 0; start < changes.length; start += STEP) {
      const differing = await this.#diff.differing(changes.slice(start, start + STEP));
      if (differing.length > 0) await this.#keep(differing);
      await setImmediate();
    }
    return 0;
  }

  async finish(expected: ExpectedCounts, changes: readonly ParsedChange[]): Promise<number> {
    const { row, header, target, writer } = this.#stream;
    try {
      await this.write(changes);
      const differing = this.#batches;
      for await (const extraneous of this.#diff.extraneous()) await this.#keep(extraneous);
      return await write(this.#db, async (trx) => {
        const now = await this.#check(trx);
        let written = 0;
        // What is extraneous ends first: the changes may add the same file again, with other sequence numbers.
        for await (const extraneous of this.#kept<Extraneous>(trx, differing, this.#batches)) {
          written += await removeExtraneous(trx, target, extraneous);
        }
        for await (const differences of this.#kept<ParsedChange[]>(trx, 0, differing)) {
          written += writer.write(target, differences);
        }
        if (written > 0) {
          await statisticsChanged(trx, row.table_num);
          await recomputeFrom(trx, row.table_num, now.published ?? 0);
        }
        const after = (await findSnapshotRow(trx, row.table_num, row.snapshot_id)) as StoredSnapshot;
        checkCounts(totalsFromText(after.totals as string), expected, after, header.tableId);
        if (written > 0) {
          const repaired = { stage_key: header.idempotencyKey, fetched_at: Date.now() };
          await trx.updateTable('snapshots').set(repaired).where('snapshot_num', '=', row.snapshot_num).execute();
        }
        return written;
      });
    } finally {
      await this.abandon();
    }
  }

  /** Discards the stored differences. The snapshot stays as it was. Not fenced, since a stream that lost its claim leaves nothing behind. */
  async abandon(): Promise<void> {
    for (; this.#batches > 0; this.#batches -= 1) {
      await this.#db
        .deleteFrom('replacement_changes')
        .where('stream_id', '=', this.#stream.id)
        .where('batch', '=', this.#batches)
        .execute();
      await setImmediate();
    }
  }

  async #keep(changes: ParsedChange[] | Extraneous): Promise<void> {
    this.#batches += 1;
    const batch = { stream_id: this.#stream.id, batch: this.#batches, changes: serialize(changes) };
    await write(this.#db, (trx) => trx.insertInto('replacement_changes').values(batch).execute());
  }

  /** The stored batches after `from`, up to `to`. */
  async *#kept<T>(db: Db, from: number, to: number): AsyncIterable<T> {
    for (let batch = from + 1; batch <= to; batch += 1) {
      const { changes } = await db
        .selectFrom('replacement_changes')
        .select('changes')
        .where('stream_id', '=', this.#stream.id)
        .where('batch', '=', batch)
        .executeTakeFirstOrThrow();
      yield deserialize(changes);
    }
  }

  async #check(db: Db): Promise<StoredSnapshot> {
    const { row, header } = this.#stream;
    const now = await findSnapshotRow(db, row.table_num, row.snapshot_id);
    const same = now?.snapshot_num === row.snapshot_num && now.complete === 1;
    if (same && (await generationOf(db, row.table_num)) === this.#generation) return now;
    throw new CodedError(
      'ABORTED',
      `snapshot ${row.snapshot_id} of table ${header.tableId} was changed by another stream meanwhile: send it again`,
    );
  }
}

/** Discards changes that replacing streams of an earlier process left. */
export async function discardReplacements(db: AllTenants): Promise<void> {
  await db.deleteFrom('replacement_changes').execute();
}
