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
  readonly #waiting = new Set<() => void>();

  constructor(maxBytes: number) {
    this.#maxBytes = maxBytes;
  }

  /** Waits until there is room for this many bytes. @throws the reason for which the activity was cancelled meanwhile */
  async reserve(bytes: number): Promise<ReservedMemory> {
    const needed = Math.min(bytes, this.#maxBytes);
    const hasRoom = () => this.#used + needed <= this.#maxBytes;
    if (this.#waiting.size > 0 || !hasRoom()) await this.#wait(hasRoom);
    this.#used += needed;
    return new ReservedMemory(needed, (freed) => {
      this.#used -= freed;
      this.#admit();
    });
  }

  /** Wakes the first that waits; it is followed by the next one if there is room. */
  #admit(): void {
    const [first] = this.#waiting;
    first?.();
  }

  async #wait(hasRoom: () => boolean): Promise<void> {
    const scope = currentScope();
    const keepingAlive = setInterval(() => scope?.keepAlive(), KEEP_ALIVE_MS);
    let admit: (() => void) | undefined;
    let end: (() => void) | undefined;
    try {
      await new Promise<void>((resolve, reject) => {
        admit = () => {
          if (hasRoom()) resolve();
        };
        end = () => reject(scope?.signal.reason);
        this.#waiting.add(admit);
        if (scope?.signal.aborted) end();
        else scope?.signal.addEventListener('abort', end, { once: true });
      });
    } finally {
      this.#waiting.delete(admit!);
      clearInterval(keepingAlive);
      scope?.signal.removeEventListener('abort', end!);
      // The one behind it may fit, too, once this one has taken its part.
      queueMicrotask(() => this.#admit());
    }
  }
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
