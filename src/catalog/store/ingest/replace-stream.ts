import { setImmediate } from 'node:timers/promises';
import type { Statement } from 'better-sqlite3';
import type { Kysely } from 'kysely';
import { CodedError } from '../../../errors.ts';
import type { Database } from '../database/database.ts';
import type { Schema } from '../database/schema.ts';
import type { ExpectedCounts } from '../files/expected-counts.ts';
import { checkCounts } from '../files/expected-counts.ts';
import type { ParsedChange } from '../files/file-change-row.ts';
import type { Written } from '../files/file-writer.ts';
import { generationOf, recomputeAll, statisticsChanged } from '../files/recompute.ts';
import { totalsFromText } from '../files/totals.ts';
import { findSnapshotRow, type StoredSnapshot } from '../snapshots/snapshots.ts';
import type { ChangeStream, OpenStream } from './change-stream.ts';
import { makeNotLive, removeExtraneous } from './replace-apply.ts';
import { pendingChanges, ReplacementDiff } from './replace-diff.ts';

/**
 * Changes that replace what a complete snapshot holds.
 *
 * They wait in a table of their own. At the finish they are compared with the snapshot in small steps, then what differs is
 * written in one transaction: readers see the old statistics or the new ones. Where nothing differs, nothing is written.
 */
export class ReplaceStream implements ChangeStream {
  readonly #database: Database;
  readonly #db: Kysely<Schema>;
  readonly #stream: OpenStream;
  readonly #insert: Statement;

  constructor(database: Database, stream: OpenStream) {
    this.#database = database;
    this.#db = database.db;
    this.#stream = stream;
    this.#insert = database.sqlite.prepare(
      `insert into replacement_files (stream_id, path_hash, added, pending, times, kind, record_count, size_bytes, spec_id,
         partition_key, referenced_path, body, sequence_number, file_sequence_number, added_snapshot_id)
       values (?, ?, ?, 0, 1, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)
       on conflict (stream_id, path_hash, added) do update set times = replacement_files.times + 1, kind = excluded.kind,
         record_count = excluded.record_count, size_bytes = excluded.size_bytes, spec_id = excluded.spec_id,
         partition_key = excluded.partition_key, referenced_path = excluded.referenced_path, body = excluded.body,
         sequence_number = excluded.sequence_number, file_sequence_number = excluded.file_sequence_number,
         added_snapshot_id = excluded.added_snapshot_id`,
    );
  }

  async write(changes: readonly ParsedChange[]): Promise<number> {
    const { id, header } = this.#stream;
    if (header.whole && changes.some((change) => !change.added)) {
      throw new CodedError('INVALID_ARGUMENT', 'changes: hold a removed file: with `whole` all that comes is live');
    }
    await this.#db.transaction().execute(async () => {
      for (const change of changes) {
        this.#insert.run(
          id,
          change.pathHash,
          change.added ? 1 : 0,
          change.kind,
          change.recordCount,
          change.sizeBytes,
          change.specId,
          change.partitionKey,
          change.referencedPath,
          change.body,
          change.sequenceNumber,
          change.fileSequenceNumber,
          change.addedSnapshotId,
        );
      }
    });
    return 0;
  }

  async finish(expected: ExpectedCounts, changes: readonly ParsedChange[]): Promise<number> {
    const { row, id, header, target } = this.#stream;
    try {
      await this.write(changes);
      const generation = await generationOf(this.#db, row.table_num);
      const diff = new ReplacementDiff(this.#database, this.#stream);
      const surplus = header.whole ? await diff.ofWhole() : await diff.ofChanges();
      return await this.#db.transaction().execute(async (trx) => {
        const now = await this.#check(trx, generation);
        const written: Written = { rows: 0, updatedFiles: 0, countsChanged: false };
        written.rows += await removeExtraneous(trx, target, surplus);
        for await (const changes of pendingChanges(trx, id)) await this.#apply(trx, changes, written);
        if (written.rows > 0) {
          await statisticsChanged(trx, row.table_num);
          await recomputeAll(trx, row.table_num, written.countsChanged ? 0 : (now.published ?? 0));
        }
        const after = (await findSnapshotRow(trx, row.table_num, row.snapshot_id)) as StoredSnapshot;
        checkCounts(totalsFromText(after.totals as string), expected, after, header.tableId);
        if (written.rows > 0) {
          const brought = { stage_key: header.idempotencyKey, fetched_at: Date.now() };
          await trx.updateTable('snapshots').set(brought).where('snapshot_num', '=', row.snapshot_num).execute();
        }
        return written.rows;
      });
    } finally {
      await this.abandon();
    }
  }

  /** What waits goes; the snapshot stays as it was. */
  async abandon(): Promise<void> {
    for (;;) {
      const some = this.#db
        .selectFrom('replacement_files')
        .select('path_hash')
        .where('stream_id', '=', this.#stream.id)
        .orderBy('path_hash')
        .limit(2000);
      const rows = await some.execute();
      const last = rows.at(-1);
      if (!last) return;
      await this.#db
        .deleteFrom('replacement_files')
        .where('stream_id', '=', this.#stream.id)
        .where('path_hash', '<=', last.path_hash)
        .execute();
      await setImmediate();
    }
  }

  async #apply(db: Kysely<Schema>, changes: ParsedChange[], written: Written): Promise<void> {
    const { target, writer, header } = this.#stream;
    // What is live with other sequence numbers, or came in an ancestor, goes first: the file comes with this snapshot then.
    if (header.whole) written.rows += await makeNotLive(db, target, changes);
    const now = writer.write(target, changes);
    written.rows += now.rows;
    written.updatedFiles += now.updatedFiles;
    written.countsChanged ||= now.countsChanged;
  }

  async #check(db: Kysely<Schema>, generation: number): Promise<StoredSnapshot> {
    const { row, header } = this.#stream;
    const now = await findSnapshotRow(db, row.table_num, row.snapshot_id);
    const same = now?.snapshot_num === row.snapshot_num && now.complete === 1;
    if (same && (await generationOf(db, row.table_num)) === generation) return now;
    throw new CodedError(
      'ABORTED',
      `snapshot ${row.snapshot_id} of table ${header.tableId} was changed by another stream meanwhile: send it again`,
    );
  }
}

/** Removes what replacements of an earlier process left waiting. */
export async function discardReplacements(db: Kysely<Schema>): Promise<void> {
  await db.deleteFrom('replacement_files').execute();
}
