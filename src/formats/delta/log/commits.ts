import { setTimeout } from 'node:timers/promises';
import { CodedError } from '../../../errors.ts';
import { fileError, MalformedError } from '../../malformed.ts';
import {
  type ActionChunk,
  type FileActionTarget,
  type LinesRange,
  noSmallActions,
  passFileActions,
  readFileActions,
  readSmallActions,
  type SmallActions,
} from './commit.ts';
import type { DeltaLog } from './delta-log.ts';
import type { ReadBytes } from './json-lines.ts';
import type { LogStore } from './log-store.ts';

/** Commits whose small actions are kept. */
const MAX_KEPT_ACTIONS = 128;
/** On a store without atomic writes, the newest commit may be read while it is written. */
const WRITING_MS = 500;

/** Reads a table's commits. Errors name the file. */
export class Commits {
  readonly #store: LogStore;
  readonly #log: DeltaLog;
  /** Ends when no large commit is read any more. */
  #large: Promise<void> = Promise.resolve();
  readonly #smallActions = new Map<number, Promise<SmallActions>>();

  constructor(store: LogStore, log: DeltaLog) {
    this.#store = store;
    this.#log = log;
  }

  /**
   * The actions of a version that are not about files; none for a version of which only a checkpoint is left.
   *
   * @throws CodedError `DATA_LOSS` if the commit is missing or broken
   */
  smallActions(version: number, signal?: AbortSignal): Promise<SmallActions> {
    const known = this.#smallActions.get(version);
    if (known) return known;
    const read = this.#readSmallActions(version, signal);
    this.#smallActions.set(version, read);
    for (const oldest of this.#smallActions.keys()) {
      if (this.#smallActions.size <= MAX_KEPT_ACTIONS) break;
      this.#smallActions.delete(oldest);
    }
    // The failure may be transient.
    read.catch(() => this.#smallActions.delete(version));
    return read;
  }

  /**
   * The file actions of a version whose lines begin in a range of bytes of its commit.
   *
   * @throws CodedError `DATA_LOSS` if the commit is missing or broken
   */
  fileActions(version: number, range: LinesRange = {}): AsyncGenerator<ActionChunk> {
    return this.#named(version, (read) => readFileActions(read, range));
  }

  /** The same into a target (see `passFileActions`). */
  passFileActions(version: number, target: FileActionTarget, range: LinesRange = {}): AsyncGenerator<number> {
    return this.#named(version, (read) => passFileActions(read, target, range));
  }

  async *#named<T>(version: number, start: (read: ReadBytes) => AsyncGenerator<T>): AsyncGenerator<T> {
    const path = this.#path(version);
    try {
      yield* start(this.#bytes(path));
    } catch (error) {
      throw fileError('commit', path, error);
    }
  }

  /**
   * The actions in a part of a commit that are not about files, at the cost of that part.
   *
   * @throws CodedError as `smallActions`
   */
  async actionsIn(version: number, { start, end }: { start: number; end: number }): Promise<SmallActions> {
    const path = this.#path(version);
    const read = this.#bytes(path);
    try {
      return await readSmallActions(async (from, to) =>
        start + from < end ? read(start + from, Math.min(start + to, end)) : new Uint8Array(),
      );
    } catch (error) {
      throw fileError('commit', path, error);
    }
  }

  /** The first bytes of a commit. */
  async head(version: number, length: number): Promise<Uint8Array> {
    const path = this.#path(version);
    try {
      return await this.#bytes(path)(0, length);
    } catch (error) {
      throw fileError('commit', path, error);
    }
  }

  async #readSmallActions(version: number, signal?: AbortSignal): Promise<SmallActions> {
    const path = this.#log.commitPath(version);
    if (path === undefined) return noSmallActions();
    for (let isFirst = true; ; isFirst = false) {
      const reading = this.#oneAtATime(this.#bytes(path));
      const mayBeWritten = isFirst && version === this.#log.last;
      try {
        const found = await readSmallActions(reading.read, signal);
        if (!mayBeWritten || !isEmpty(found)) return found;
      } catch (error) {
        if (!mayBeWritten || !(error instanceof MalformedError)) throw fileError('commit', path, error);
      } finally {
        reading.end();
      }
      this.#store.forget(path);
      await setTimeout(WRITING_MS, undefined, { signal });
    }
  }

  /** Many small commits are read at the same time, but of the large ones only one, which would take much memory otherwise. */
  #oneAtATime(read: ReadBytes): { read: ReadBytes; end(): void } {
    let end: (() => void) | undefined;
    return {
      read: async (from, to) => {
        if (from > 0 && end === undefined) {
          const before = this.#large;
          const ended = new Promise<void>((resolve) => {
            end = resolve;
          });
          this.#large = before.then(() => ended);
          await before;
        }
        return read(from, to);
      },
      end: () => end?.(),
    };
  }

  #path(version: number): string {
    const path = this.#log.commitPath(version);
    if (path !== undefined) return path;
    throw new CodedError(
      'DATA_LOSS',
      `${this.#log.publishedPath(version)} is gone; only a checkpoint of that version is left`,
    );
  }

  #bytes(path: string): ReadBytes {
    return (start, end) => this.#store.readKept(path, start, end);
  }
}

/** Whether nothing of a commit is there yet. */
function isEmpty({ info, protocol, metadata, files }: SmallActions): boolean {
  return !info && !protocol && !metadata && files.adds + files.removes === 0;
}
