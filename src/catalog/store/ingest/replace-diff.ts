import { setImmediate } from 'node:timers/promises';
import type { Kysely, Selectable } from 'kysely';
import { FILE_KINDS } from '../database/file-kind.ts';
import type { MembershipRow, Schema } from '../database/schema.ts';
import type { ParsedChange } from '../files/file-change-row.ts';
import type { WriteTarget } from '../files/file-writer.ts';
import { type LiveCursor, liveInstances, nextLiveFiles } from '../files/live-files.ts';
import type { Position } from '../lineage/lineage.ts';
import { FileNumSet } from './file-num-set.ts';

/** Rows per query: a few milliseconds, between which other calls are served. */
const STEP = 500;

type Member = Selectable<MembershipRow>;
/** One addition of a file: a file can be live more than once. */
export type Instance = Pick<Member, 'file_num' | 'chain_num' | 'added_ord'>;

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
  readonly #added = new FileNumSet();
  readonly #removed = new FileNumSet();
  /** For files that are live more than once: the instances that arrived. */
  readonly #matched = new Map<number, Set<string>>();

  /** @param whole the changes are all files that are live at the snapshot, not only those that it changed */
  constructor(db: Kysely<Schema>, target: WriteTarget, whole: boolean) {
    this.#db = db;
    this.#target = target;
    this.#whole = whole;
  }

  /** The changes that the snapshot does not hold. */
  async differing(changes: readonly ParsedChange[]): Promise<ParsedChange[]> {
    const files = await this.#filesOf(changes);
    const nums = [...files.values()].map((file) => file.file_num);
    const live = byFile(await liveInstances(this.#db, this.#target.ancestry, nums));
    return changes.filter((change) => {
      const file = files.get(keyOf(change.pathHash));
      if (!file) return change.added;
      const instances = live.get(file.file_num) ?? [];
      (change.added ? this.#added : this.#removed).add(file.file_num);
      if (!change.added) return instances.some((instance) => !this.#isOwn(instance));
      const same = file.kind === change.kind && Buffer.compare(file.body, change.body) === 0;
      return !same || !(this.#whole ? this.#matches(instances, change) : this.#adds(instances, change));
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

  async #filesOf(changes: readonly ParsedChange[]) {
    const hashes = changes.map((change) => change.pathHash);
    const files = await this.#db
      .selectFrom('files')
      .select(['file_num', 'path_hash', 'kind', 'body'])
      .where('table_num', '=', this.#target.tableNum)
      .where('path_hash', 'in', hashes)
      .execute();
    return new Map(files.map((file) => [keyOf(file.path_hash), file]));
  }

  #isOwn({ chain_num, added_ord }: Instance): boolean {
    const { chain, ord } = this.#target.ancestry[0] as Position;
    return chain_num === chain && added_ord === ord;
  }

  #adds(instances: readonly Member[], change: ParsedChange): boolean {
    const own = this.#target.snapshotId;
    const addedBy = (id: string | null) => id || own;
    return instances.some(
      (instance) =>
        this.#isOwn(instance) &&
        hasNumbersOf(instance, change) &&
        addedBy(instance.added_snapshot_id) === addedBy(change.addedSnapshotId),
    );
  }

  #matches(instances: readonly Member[], change: ParsedChange): boolean {
    const [first] = instances;
    if (!first) return false;
    if (instances.length === 1) return hasNumbersOf(first, change);
    const matched = this.#matched.get(first.file_num) ?? new Set();
    this.#matched.set(first.file_num, matched);
    // A file that is live twice must arrive twice.
    const next = instances.find((instance) => hasNumbersOf(instance, change) && !matched.has(nameOf(instance)));
    if (next) matched.add(nameOf(next));
    return next !== undefined;
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
      const found = instances.filter((instance) => {
        const matched = this.#matched.get(instance.file_num);
        return !this.#added.has(instance.file_num) || matched?.has(nameOf(instance)) === false;
      });
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

function byFile(members: readonly Member[]): Map<number, Member[]> {
  const files = new Map<number, Member[]>();
  for (const member of members) {
    const known = files.get(member.file_num);
    if (known) known.push(member);
    else files.set(member.file_num, [member]);
  }
  return files;
}

function hasNumbersOf(member: Member, change: ParsedChange): boolean {
  return member.sequence_number === change.sequenceNumber && member.file_sequence_number === change.fileSequenceNumber;
}

function keyOf(pathHash: Uint8Array): string {
  return Buffer.from(pathHash).toString('latin1');
}

function nameOf({ chain_num, added_ord }: Instance): string {
  return `${chain_num}/${added_ord}`;
}
