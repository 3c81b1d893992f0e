import type { FileChangesOptions, TableReader } from '../../../formats/table-reader.ts';
import { EncodedChanges, type WholeChanges } from './encoded-changes.ts';

/** Changes that can be begun early: those of a snapshot from its start. */
export interface NextChanges {
  snapshotId: bigint;
  /** Absent if all files are read. */
  base?: bigint;
}

type Begun = NextChanges & { changes: EncodedChanges };

/**
 * Reads the changes of a table's snapshots, and begins with the next snapshot while the catalog still works on the last one: otherwise each of
 * them would wait for the other at the end of every snapshot. At most one snapshot is begun, with a few MiB.
 *
 * What was begun wrongly is not used, and its errors do not matter: those of the snapshot are thrown when its changes are read.
 */
export class ReadAhead implements AsyncDisposable {
  readonly #reader: Pick<TableReader, 'fileChanges'>;
  readonly #options: Pick<FileChangesOptions, 'columnIds' | 'signal'>;
  #begun?: Promise<Begun | undefined>;
  #isDisposed = false;

  constructor(reader: Pick<TableReader, 'fileChanges'>, options: Pick<FileChangesOptions, 'columnIds' | 'signal'>) {
    this.#reader = reader;
    this.#options = options;
  }

  /** @param next returns what probably comes next; its errors are ignored */
  begin(next: () => Promise<NextChanges | undefined>): void {
    // A stream that failed may end later than the work on its table.
    if (this.#isDisposed) return;
    const before = this.#begun;
    this.#begun = this.#begin(before, next).catch(() => undefined);
  }

  /**
   * Closes what was begun, unless it is this snapshot's. To be called before anything is read for a snapshot: what was begun may have the memory
   * for which large files wait.
   */
  async keepOnly(snapshotId: bigint, base: bigint | undefined): Promise<void> {
    const begun = await this.#begun;
    if (begun?.snapshotId === snapshotId && begun.base === base) return;
    this.#begun = undefined;
    await begun?.changes.close();
  }

  /** Returns the changes of a snapshot: those that were begun, if they are the same. Whoever takes them closes them. */
  async take(snapshotId: bigint, { base, from }: Pick<FileChangesOptions, 'base' | 'from'>): Promise<EncodedChanges> {
    await this.keepOnly(snapshotId, base);
    const begun = await this.#begun;
    this.#begun = undefined;
    if (begun && from === undefined) return begun.changes;
    await begun?.changes.close();
    return this.#changes(snapshotId, { base, from });
  }

  /** Returns the changes of a snapshot from its start, if they are few. Otherwise they are begun: `take` returns them. */
  async takeSmall(next: NextChanges): Promise<WholeChanges | undefined> {
    await this.keepOnly(next.snapshotId, next.base);
    if (!(await this.#begun)) this.begin(async () => next);
    const begun = await this.#begun;
    const small = await begun?.changes.whole();
    if (!begun || !small) return undefined;
    this.#begun = undefined;
    await begun.changes.close();
    return small;
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#isDisposed = true;
    const begun = await this.#begun;
    await begun?.changes.close();
  }

  async #begin(before: Promise<Begun | undefined> | undefined, next: () => Promise<NextChanges | undefined>) {
    await (await before)?.changes.close();
    const found = await next();
    if (found === undefined) return undefined;
    const changes = this.#changes(found.snapshotId, found);
    changes.begin();
    return { ...found, changes };
  }

  #changes(snapshotId: bigint, { base, from }: Pick<FileChangesOptions, 'base' | 'from'>): EncodedChanges {
    return new EncodedChanges(this.#reader.fileChanges(snapshotId, { ...this.#options, base, from }));
  }
}
