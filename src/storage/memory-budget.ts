import { currentScope } from './activity-scope.ts';

/** Interval in which a waiting call reports that it is alive. */
const KEEP_ALIVE_MS = 5_000;

/**
 * Limits the memory that large things take together. Calls wait in order until there is room; what is larger than everything gets in alone.
 *
 * Whoever has memory of a budget never waits for more of it: two could wait for each other for ever.
 */
export class MemoryBudget {
  readonly #maxBytes: number;
  #used = 0;
  readonly #waiting = new Set<Waiting>();

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Waits until there is room for this many bytes. @throws the reason for which the activity was cancelled meanwhile */
  async reserve(bytes: number): Promise<ReservedMemory> {
    const needed = Math.min(bytes, this.#maxBytes);
    if (this.#waiting.size === 0 && this.#hasRoom(needed)) this.#used += needed;
    else await this.#wait(needed);
    return new ReservedMemory(needed, (freed) => {
      this.#used -= freed;
      this.#admit();
    });
  }

  #hasRoom(needed: number): boolean {
    return this.#used + needed <= this.#maxBytes;
  }

  /** Lets those in that are first and fit. Their part is taken at once: they run only later, after others may have looked for room. */
  #admit(): void {
    for (const waiting of this.#waiting) {
      if (!this.#hasRoom(waiting.needed)) return;
      this.#waiting.delete(waiting);
      this.#used += waiting.needed;
      waiting.admit();
    }
  }

  async #wait(needed: number): Promise<void> {
    const scope = currentScope();
    scope?.signal.throwIfAborted();
    const keepingAlive = setInterval(() => scope?.keepAlive(), KEEP_ALIVE_MS);
    let end: (() => void) | undefined;
    try {
      await new Promise<void>((admit, reject) => {
        const waiting = { needed, admit };
        this.#waiting.add(waiting);
        end = () => {
          // It may have been let in a moment ago.
          if (!this.#waiting.delete(waiting)) return;
          reject(scope?.signal.reason);
          // The one behind it may fit.
          this.#admit();
        };
        scope?.signal.addEventListener('abort', end, { once: true });
      });
    } finally {
      clearInterval(keepingAlive);
      scope?.signal.removeEventListener('abort', end!);
    }
  }
}

/** A call that waits. */
interface Waiting {
  needed: number;
  admit(): void;
}

/** A part of a budget. It is given back at most once. */
export class ReservedMemory implements Disposable {
  #bytes: number;
  readonly #free: (bytes: number) => void;

  constructor(bytes: number, free: (bytes: number) => void) {
    this.#bytes = bytes;
    this.#free = free;
  }

  /** Gives back what is not needed after all. */
  shrink(bytes: number): void {
    const freed = this.#bytes - bytes;
    if (freed <= 0) return;
    this.#bytes = bytes;
    this.#free(freed);
  }

  [Symbol.dispose](): void {
    this.shrink(0);
  }
}
