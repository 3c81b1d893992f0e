import { setImmediate } from 'node:timers/promises';
import { type Kysely, type Selectable, sql } from 'kysely';
import type { Database } from '../database/database.ts';
import { FILE_KINDS, type FileKind } from '../database/file-kind.ts';
import type { ReplacementFileRow, Schema } from '../database/schema.ts';
import type { ParsedChange } from '../files/file-change-row.ts';
import { type LiveCursor, liveInstances, nextLiveFiles } from '../files/live-files.ts';
import { baseOf, type Position } from '../lineage/lineage.ts';
import type { OpenStream } from './change-stream.ts';

type Db = Kysely<Schema>;
type Staged = Selectable<ReplacementFileRow>;

/** Rows a step: some milliseconds, between which other calls go on. */
const STEP = 500;

/** What a snapshot holds and its replacement does not. */
export interface Extraneous {
  /** Files that came with the snapshot. */
  added: number[];
  /** Files that went in it. */
  removed: number[];
  /** Files that are live in it from an ancestor, and shall not be. */
  inherited: number[];
}

/**
 * Compares what waits in a replacing stream with what its snapshot holds: marks rows that differ as pending, and finds what
 * the snapshot holds beyond them. It only reads the snapshot, in small steps; other calls go on meanwhile.
 */
export class ReplacementDiff {
  readonly #db: Db;
  readonly #stream: OpenStream;

  constructor({ db }: Database, stream: OpenStream) {
    this.#db = db;
    this.#stream = stream;
  }

  /** For a stream of what the snapshot changed. */
  async ofChanges(): Promise<Extraneous> {
    await this.#mark((rows) => this.#differingChanges(rows));
    const surplus: Extraneous = { added: [], removed: [], inherited: [] };
    await this.#collectCame(surplus.added);
    await this.#collectWent(surplus.removed);
    return surplus;
  }

  /** For a stream of all files that are live at the snapshot. */
  async ofWhole(): Promise<Extraneous> {
    const { target, id } = this.#stream;
    await this.#mark((rows) => this.#differingFiles(rows));
    const surplus: Extraneous = { added: [], removed: [], inherited: [] };
    let cursor: LiveCursor | undefined;
    do {
      const { files, next } = await nextLiveFiles(this.#db, target.path, FILE_KINDS, STEP, cursor);
      const nums = [...new Set(files.map((file) => file.fileNum))];
      const kept = new Set(nums.length === 0 ? [] : await this.#stagedAmong(nums, id));
      const own = target.path[0] as Position;
      for (const file of files) {
        if (kept.has(file.fileNum)) continue;
        const came = file.chain === own.chain && file.cameOrd === own.ord;
        (came ? surplus.added : surplus.inherited).push(file.fileNum);
      }
      cursor = next;
      await setImmediate();
    } while (cursor);
    return surplus;
  }

  /** Goes over all rows and marks those that `differing` gives back. */
  async #mark(differing: (rows: Staged[]) => Promise<Staged[]>): Promise<void> {
    const { id } = this.#stream;
    let after: Staged | undefined;
    for (;;) {
      const rows = await stagedRows(this.#db, id, after, false);
      if (rows.length === 0) return;
      const pending = await differing(rows);
      await this.#db.transaction().execute(async (trx) => {
        for (const { path_hash, added } of pending) {
          await trx
            .updateTable('replacement_files')
            .set({ pending: 1 })
            .where('stream_id', '=', id)
            .where('path_hash', '=', path_hash)
            .where('added', '=', added)
            .execute();
        }
      });
      after = rows.at(-1);
      await setImmediate();
    }
  }

  async #differingChanges(rows: Staged[]): Promise<Staged[]> {
    const { target } = this.#stream;
    const { chain, ord } = target.path[0] as Position;
    const files = await this.#filesOf(rows);
    const nums = [...files.values()].map((file) => file.file_num);
    const members =
      nums.length === 0
        ? []
        : await this.#db
            .selectFrom('memberships')
            .selectAll()
            .where('chain_num', '=', chain)
            .where('added_ord', '=', ord)
            .where('file_num', 'in', nums)
            .execute();
    const memberOf = new Map(members.map((member) => [member.file_num, member]));
    // Live at the base: what a removal would still take away.
    const inBase = (await liveInstances(this.#db, baseOf(target.path), nums)).filter(
      (row) => !(row.chain_num === chain && row.removed_ord === ord),
    );
    const departed = nums.length === 0 ? [] : await departedAt(this.#db, { chain, ord }, nums);
    const gone = new Set(departed.map((d) => `${d.file_num}/${d.from_chain_num}/${d.added_ord}`));
    const removable = new Set(
      inBase.filter((row) => !gone.has(`${row.file_num}/${row.chain_num}/${row.added_ord}`)).map((row) => row.file_num),
    );
    return rows.filter((row) => {
      const file = files.get(keyOf(row));
      if (row.added === 0) return file !== undefined && removable.has(file.file_num);
      const member = file && memberOf.get(file.file_num);
      return !file || !sameBody(file, row) || !member || !this.#sameMember(member, row);
    });
  }

  async #differingFiles(rows: Staged[]): Promise<Staged[]> {
    const files = await this.#filesOf(rows);
    const live = await liveInstances(
      this.#db,
      this.#stream.target.path,
      [...files.values()].map((file) => file.file_num),
    );
    return rows.filter((row) => {
      const file = files.get(keyOf(row));
      if (!file || !sameBody(file, row)) return true;
      const instances = live.filter((one) => one.file_num === file.file_num);
      const same = instances.some(
        (one) => one.sequence_number === row.sequence_number && one.file_sequence_number === row.file_sequence_number,
      );
      return !same || instances.length !== row.times;
    });
  }

  async #filesOf(rows: Staged[]) {
    const files = await this.#db
      .selectFrom('files')
      .select(['file_num', 'path_hash', 'kind', 'body'])
      .where('table_num', '=', this.#stream.target.tableNum)
      .where(
        'path_hash',
        'in',
        rows.map((row) => row.path_hash),
      )
      .execute();
    return new Map(files.map((file) => [keyOf(file), file]));
  }

  #sameMember(
    member: { sequence_number: number; file_sequence_number: number; added_snapshot_id: string | null },
    row: Staged,
  ) {
    const own = this.#stream.target.snapshotId;
    return (
      member.sequence_number === row.sequence_number &&
      member.file_sequence_number === row.file_sequence_number &&
      (member.added_snapshot_id ?? own) === (row.added_snapshot_id || own)
    );
  }

  async #collectCame(into: number[]): Promise<void> {
    const { chain, ord } = this.#stream.target.path[0] as Position;
    let after = 0;
    for (;;) {
      const rows = await this.#db
        .selectFrom('memberships')
        .select('file_num')
        .where('chain_num', '=', chain)
        .where('added_ord', '=', ord)
        .where('file_num', '>', after)
        .orderBy('file_num')
        .limit(STEP)
        .execute();
      if (rows.length === 0) return;
      after = (rows.at(-1) as { file_num: number }).file_num;
      await this.#collectMissing(
        rows.map((row) => row.file_num),
        1,
        into,
      );
    }
  }

  async #collectWent(into: number[]): Promise<void> {
    const { chain, ord } = this.#stream.target.path[0] as Position;
    for (const kind of FILE_KINDS) {
      let after = 0;
      for (;;) {
        const rows = await this.#db
          .selectFrom('memberships')
          .select('file_num')
          .where('chain_num', '=', chain)
          .where('kind', '=', kind)
          .where('removed_ord', '=', ord)
          .where('file_num', '>', after)
          .orderBy('file_num')
          .limit(STEP)
          .execute();
        if (rows.length === 0) break;
        after = (rows.at(-1) as { file_num: number }).file_num;
        await this.#collectMissing(
          rows.map((row) => row.file_num),
          0,
          into,
        );
      }
    }
    let after = 0;
    for (;;) {
      const rows = await this.#db
        .selectFrom('branch_removals')
        .select('file_num')
        .where('chain_num', '=', chain)
        .where('ord', '=', ord)
        .where('file_num', '>', after)
        .orderBy('file_num')
        .limit(STEP)
        .execute();
      if (rows.length === 0) return;
      after = (rows.at(-1) as { file_num: number }).file_num;
      await this.#collectMissing(
        rows.map((row) => row.file_num),
        0,
        into,
      );
    }
  }

  /** Of these files, those that are not among the stream's added (1) or removed (0) ones. */
  async #collectMissing(nums: number[], added: number, into: number[]): Promise<void> {
    const there = new Set(await this.#stagedAmong([...new Set(nums)], this.#stream.id, added));
    for (const num of new Set(nums)) if (!there.has(num)) into.push(num);
    await setImmediate();
  }

  async #stagedAmong(nums: readonly number[], id: string, added = 1): Promise<number[]> {
    const rows = await this.#db
      .selectFrom('files')
      .innerJoin('replacement_files as r', (join) =>
        join.on('r.stream_id', '=', id).onRef('r.path_hash', '=', 'files.path_hash').on('r.added', '=', added),
      )
      .select('files.file_num')
      .where('files.file_num', 'in', nums)
      .execute();
    return rows.map((row) => row.file_num);
  }
}

function keyOf(row: { path_hash: Uint8Array }): string {
  return Buffer.from(row.path_hash).toString('latin1');
}

function sameBody(file: { kind: number; body: Uint8Array }, row: Staged): boolean {
  return file.kind === row.kind && Buffer.compare(file.body, row.body) === 0;
}

function departedAt(db: Db, { chain, ord }: Position, nums: readonly number[]) {
  return db
    .selectFrom('branch_removals')
    .selectAll()
    .where('chain_num', '=', chain)
    .where('ord', '=', ord)
    .where('file_num', 'in', nums)
    .execute();
}

async function stagedRows(db: Db, id: string, after: Staged | undefined, pending: boolean): Promise<Staged[]> {
  let query = db.selectFrom('replacement_files').selectAll().where('stream_id', '=', id);
  if (pending) query = query.where('pending', '=', 1);
  if (after) {
    const { path_hash, added } = after;
    query = query.where(sql<boolean>`(path_hash, added) > (${path_hash}, ${added})`);
  }
  return query.orderBy('path_hash').orderBy('added').limit(STEP).execute();
}

/** What differs, in steps. Removals of a file come before its addition: `added` is 0 for them. */
export async function* pendingChanges(db: Db, streamId: string): AsyncIterable<ParsedChange[]> {
  let after: Staged | undefined;
  for (;;) {
    const rows = await stagedRows(db, streamId, after, true);
    if (rows.length === 0) return;
    after = rows.at(-1);
    yield rows.map((row) => ({
      added: row.added === 1,
      pathHash: row.path_hash,
      kind: row.kind as FileKind,
      recordCount: row.record_count,
      sizeBytes: row.size_bytes,
      specId: row.spec_id,
      partitionKey: row.partition_key,
      referencedPath: row.referenced_path,
      body: row.body,
      sequenceNumber: row.sequence_number,
      fileSequenceNumber: row.file_sequence_number,
      addedSnapshotId: row.added_snapshot_id ?? '',
    }));
  }
}
