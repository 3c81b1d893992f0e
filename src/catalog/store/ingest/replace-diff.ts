import { setImmediate } from 'node:timers/promises';
import type { Kysely, Selectable } from 'kysely';
import { FILE_KINDS } from '../database/file-kind.ts';
import { bytesOf } from '../database/page-cut.ts';
import type { MembershipRow, Schema } from '../database/schema.ts';
import type { ParsedChange } from '../files/file-change-row.ts';
import { isNamed } from '../files/file-remover.ts';
import { type LiveCursor, liveInstances, nextLiveFiles } from '../files/live-files.ts';
import { SnapshotIds } from '../files/snapshot-ids.ts';
import type { WriteTarget } from '../files/write-target.ts';
import type { Position } from '../lineage/lineage.ts';
import { FileNumSet } from './file-num-set.ts';

/** Rows per query: a few milliseconds, between which other calls are served. */
const STEP = 500;
/** The size of the stored files that are compared at once. */
const MAX_STORED_BYTES = 16 * 1024 * 1024;

type Member = Selectable<MembershipRow>;
/** One addition of a file: a file can be live more than once. */
export type Instance = Pick<Member, 'file_num' | 'chain_num' | 'added_ord'>;

/** An addition that is live at the snapshot. */
interface LiveAddition extends Member {
  body: Uint8Array;
  /** The snapshot that made it, if that is compared. */
  added_by: string | null;
}

/** What is stored of a path. */
interface StoredPath {
  nums: number[];
  live: LiveAddition[];
}

/** A batch of what a snapshot holds and its replacement does not. */
export interface Extraneous {
  /** Additions of the snapshot, or of its ancestors, that must not be live at it. */
  live: Instance[];
  /** Files that it must not remove. */
  removed: number[];
}

/**
 * Compares the changes of a replacing stream with what its snapshot holds, as they arrive. It only reads, so readers see the old
 * statistics meanwhile. It remembers which files arrived; everything else that the snapshot holds is extraneous.
 */
export class ReplaceDiff {
  readonly #db: Kysely<Schema>;
  readonly #target: WriteTarget;
  readonly #whole: boolean;
  /** Files whose additions arrived: the snapshot's own or, with `whole`, the only live one. */
  readonly #added = new FileNumSet();
  readonly #removed = new FileNumSet();
  /** For files that several snapshots added: the additions that arrived. */
  readonly #matched = new Map<number, Set<string>>();

  /** @param whole the changes are all files that are live at the snapshot, not only those that it changed */
  constructor(db: Kysely<Schema>, target: WriteTarget, whole: boolean) {
    this.#db = db;
    this.#target = target;
    this.#whole = whole;
  }

  /** The changes that the snapshot does not hold. */
  async differing(changes: readonly ParsedChange[]): Promise<ParsedChange[]> {
    const differing: ParsedChange[] = [];
    for (const part of await this.#parts(changes)) differing.push(...(await this.#differing(part)));
    return differing;
  }

  /** Divides changes so that the stored files of each part, which are compared with them, fit in memory. */
  async #parts(changes: readonly ParsedChange[]): Promise<ParsedChange[][]> {
    const rows = await this.#filesOf(changes)
      .select(['path_hash', bytesOf('body').as('bytes')])
      .execute();
    const sizes = new Map<string, number>();
    for (const { path_hash, bytes } of rows) {
      sizes.set(keyOf(path_hash), (sizes.get(keyOf(path_hash)) ?? 0) + bytes);
    }
    const parts: ParsedChange[][] = [[]];
    let sum = 0;
    for (const change of changes) {
      sum += sizes.get(keyOf(change.pathHash)) ?? 0;
      if (sum > MAX_STORED_BYTES && parts.at(-1)?.length !== 0) {
        parts.push([]);
        sum = sizes.get(keyOf(change.pathHash)) ?? 0;
      }
      parts.at(-1)?.push(change);
    }
    return parts;
  }

  #filesOf(changes: readonly ParsedChange[]) {
    const hashes = changes.map((change) => change.pathHash);
    return this.#db.selectFrom('files').where('table_num', '=', this.#target.tableNum).where('path_hash', 'in', hashes);
  }

  async #differing(changes: readonly ParsedChange[]): Promise<ParsedChange[]> {
    const stored = await this.#stored(changes);
    return changes.filter((change) => {
      const path = stored.get(keyOf(change.pathHash));
      if (!path) return change.added;
      if (change.added) return !(this.#whole ? this.#matches(path.live, change) : this.#adds(path.live, change));
      for (const num of path.nums) this.#removed.add(num);
      return path.live.some((addition) => !this.#isOwn(addition) && isNamed(addition, change));
    });
  }

  /** What the snapshot holds beyond the changes, in batches of up to STEP. Call it after the last change. */
  async *extraneous(): AsyncIterable<Extraneous> {
    if (this.#whole) {
      for await (const live of this.#extraneousLive()) yield { live, removed: [] };
      return;
    }
    for await (const live of this.#extraneousAdded()) yield { live, removed: [] };
    for await (const removed of this.#extraneousRemoved()) yield { live: [], removed };
  }

  async #stored(changes: readonly ParsedChange[]): Promise<Map<string, StoredPath>> {
    const files = await this.#filesOf(changes).select(['file_num', 'path_hash', 'body']).execute();
    const paths = new Map<string, StoredPath>();
    const byNum = new Map<number, { path: StoredPath; body: Uint8Array }>();
    for (const { file_num, path_hash, body } of files) {
      const path = paths.get(keyOf(path_hash)) ?? { nums: [], live: [] };
      paths.set(keyOf(path_hash), path);
      path.nums.push(file_num);
      byNum.set(file_num, { path, body });
    }
    const members = await liveInstances(this.#db, this.#target.ancestry, [...byNum.keys()]);
    const ids = new SnapshotIds(this.#db);
    // Only a removal that names additions is compared with the snapshots that added them.
    if (changes.some(({ added, addedSnapshotId }) => !added && addedSnapshotId !== ''))
      await ids.load(members.map(place));
    for (const member of members) {
      const { path, body } = byNum.get(member.file_num) as { path: StoredPath; body: Uint8Array };
      const { chain_num, added_ord, added_snapshot_id } = member;
      path.live.push({ ...member, body, added_by: added_snapshot_id ?? ids.idAt(chain_num, added_ord) ?? null });
    }
    return paths;
  }

  #isOwn({ chain_num, added_ord }: Instance): boolean {
    const { chain, ord } = this.#target.ancestry[0] as Position;
    return chain_num === chain && added_ord === ord;
  }

  /** Whether the snapshot's own addition by the same entry is the same. If it has other statistics, the writer replaces them. */
  #adds(live: readonly LiveAddition[], change: ParsedChange): boolean {
    const own = live.find((addition) => this.#isOwn(addition) && addition.entry_number === change.entryNumber);
    if (!own) return false;
    this.#added.add(own.file_num);
    const target = this.#target.snapshotId;
    const isAddedBySame = (own.added_snapshot_id ?? target) === (change.addedSnapshotId || target);
    return isAddedBySame && isSame(own, change);
  }

  /** Whether one of the live additions, whichever snapshot made it, is the same. A file that is live twice must arrive twice. */
  #matches(live: readonly LiveAddition[], change: ParsedChange): boolean {
    const match = live.find(
      (addition) =>
        isSame(addition, change) &&
        (!this.#isOwn(addition) || addition.entry_number === change.entryNumber) &&
        !this.#hasArrived(addition),
    );
    if (!match) return false;
    const { file_num } = match;
    if (live.filter((addition) => addition.file_num === file_num).length === 1) this.#added.add(file_num);
    else this.#matched.set(file_num, (this.#matched.get(file_num) ?? new Set()).add(nameOf(match)));
    return true;
  }

  #hasArrived(instance: Instance): boolean {
    return this.#added.has(instance.file_num) || this.#matched.get(instance.file_num)?.has(nameOf(instance)) === true;
  }

  async *#extraneousLive(): AsyncIterable<Instance[]> {
    let cursor: LiveCursor | undefined;
    do {
      const { files, next } = await nextLiveFiles(this.#db, this.#target.ancestry, FILE_KINDS, STEP, cursor);
      const instances = files.map((file) => ({
        file_num: file.fileNum,
        chain_num: file.chain,
        added_ord: file.addedOrd,
      }));
      const found = instances.filter((instance) => !this.#hasArrived(instance));
      if (found.length > 0) yield found;
      cursor = next;
      await setImmediate();
    } while (cursor);
  }

  async *#extraneousAdded(): AsyncIterable<Instance[]> {
    const { chain, ord } = this.#target.ancestry[0] as Position;
    const pages = absent(this.#added, (after) =>
      this.#db
        .selectFrom('memberships')
        .select('file_num')
        .where('chain_num', '=', chain)
        .where('added_ord', '=', ord)
        .where('file_num', '>', after)
        .orderBy('file_num')
        .limit(STEP)
        .execute(),
    );
    for await (const nums of pages) yield nums.map((file_num) => ({ file_num, chain_num: chain, added_ord: ord }));
  }

  async *#extraneousRemoved(): AsyncIterable<number[]> {
    const { chain, ord } = this.#target.ancestry[0] as Position;
    for (const kind of FILE_KINDS) {
      yield* absent(this.#removed, (after) =>
        this.#db
          .selectFrom('memberships')
          .select('file_num')
          .where('chain_num', '=', chain)
          .where('kind', '=', kind)
          .where('removed_ord', '=', ord)
          .where('file_num', '>', after)
          .orderBy('file_num')
          .limit(STEP)
          .execute(),
      );
    }
    yield* absent(this.#removed, (after) =>
      this.#db
        .selectFrom('branch_removals')
        .select('file_num')
        .where('chain_num', '=', chain)
        .where('ord', '=', ord)
        .where('file_num', '>', after)
        .orderBy('file_num')
        .limit(STEP)
        .execute(),
    );
  }
}

/** The files in these pages that the stream did not contain. A file that a page has twice is returned once. */
async function* absent(
  received: FileNumSet,
  page: (after: number) => Promise<Pick<Member, 'file_num'>[]>,
): AsyncIterable<number[]> {
  for (let rows = await page(0); rows.length > 0; ) {
    const found = new Set(rows.map(({ file_num }) => file_num).filter((num) => !received.has(num)));
    if (found.size > 0) yield [...found];
    await setImmediate();
    rows = await page((rows.at(-1) as Pick<Member, 'file_num'>).file_num);
  }
}

function isSame(stored: LiveAddition, change: ParsedChange): boolean {
  if (change.isUpperBound && stored.sequence_number < change.sequenceNumber) {
    // The stored statistics are those of the commit that added the file, of which a checkpoint may keep less.
    return stored.record_count === change.recordCount && stored.size_bytes === change.sizeBytes;
  }
  return (
    stored.sequence_number === change.sequenceNumber &&
    stored.file_sequence_number === change.fileSequenceNumber &&
    Buffer.compare(stored.body, change.body) === 0
  );
}

function place({ chain_num, added_ord, added_snapshot_id }: Member) {
  return { chain: chain_num, addedOrd: added_ord, addedSnapshotId: added_snapshot_id };
}

function keyOf(pathHash: Uint8Array): string {
  return Buffer.from(pathHash).toString('latin1');
}

function nameOf({ chain_num, added_ord }: Instance): string {
  return `${chain_num}/${added_ord}`;
}
