import { statSync } from 'node:fs';
import { CodedError } from '../../../../errors.ts';
import { isDamaged, isLocked } from './result-codes.ts';

/**
 * Whether the database may be written to. A damaged file can still be read, but writing to it destroys more; what is written to a
 * file that has been deleted is lost.
 */
export class DatabaseHealth {
  readonly #file: string;
  #inode: string | undefined;
  #damage: CodedError | undefined;
  #moved: CodedError | undefined;
  #unlocked: CodedError | undefined;
  #refusals = 0;

  /** @param file a path, or `:memory:` */
  constructor(file: string) {
    this.#file = file;
  }

  /** Remembers which file was opened. Call it when the database is open. */
  opened(): void {
    if (this.#file !== ':memory:') this.#inode = inodeOf(this.#file);
  }

  /** Device and inode of the file that was opened; undefined for `:memory:` and before that. */
  get inode(): string | undefined {
    return this.#inode;
  }

  /** What is wrong; undefined if nothing is known to be. */
  get problem(): CodedError | undefined {
    return this.#unlocked ?? this.#moved ?? this.#damage;
  }

  /** @throws CodedError `problem`, if there is one */
  requireWritable(): void {
    if (this.problem) throw this.problem;
  }

  /** Looks whether the path still names the file that was opened. @returns what is wrong */
  checkFile(): CodedError | undefined {
    if (this.#inode === undefined || inodeOf(this.#file) === this.#inode) {
      this.#moved = undefined;
    } else {
      this.#moved ??= new CodedError(
        'DATA_LOSS',
        `database ${this.#file} was deleted or replaced while the catalog service had it open, and nothing is written any more: ` +
          'stop the service, put the file back or restore a backup, and start the service again',
      );
    }
    return this.problem;
  }

  /** Records that another service may use the database. It remains so: what this service knows may be out of date. */
  reportUnlocked(): CodedError {
    this.#unlocked ??= new CodedError(
      'UNAVAILABLE',
      `the lock file of database ${this.#file} was deleted or replaced, so another catalog service may use the database: this one stops. ` +
        'Leave that file in place; it locks nothing once its process has ended',
    );
    return this.#unlocked;
  }

  /** Records damage. @param found what SQLite reported */
  reportDamage(found: string): CodedError {
    this.#damage ??= new CodedError(
      'DATA_LOSS',
      `database ${this.#file} is damaged, and nothing is written to it any more (SQLite: ${found.replace(/\s+/g, ' ').trim()}): ` +
        'stop the catalog service and restore a backup; the disk may be failing',
    );
    return this.#damage;
  }

  /** @returns how many calls have failed since the last call of this method because another process has locked the database */
  takeRefusals(): number {
    const refusals = this.#refusals;
    this.#refusals = 0;
    return refusals;
  }

  /**
   * The error that callers receive for an error of SQLite: UNAVAILABLE if another process has locked the database, DATA_LOSS if the
   * file is damaged, which is recorded. Other errors are returned as they are.
   */
  explain(error: unknown): unknown {
    if (isDamaged(error)) return this.reportDamage((error as Error).message);
    if (!isLocked(error)) return error;
    this.#refusals += 1;
    return new CodedError(
      'UNAVAILABLE',
      `database ${this.#file} is locked by another process: end what writes to it beside the catalog service; jobs wait and then continue`,
      { cause: error },
    );
  }
}

/** Device and inode, which identify a file whatever its path is; undefined if there is no such file. */
export function inodeOf(file: string): string | undefined {
  const stat = statSync(file, { throwIfNoEntry: false, bigint: true });
  return stat && `${stat.dev}:${stat.ino}`;
}
