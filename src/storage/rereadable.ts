/** How soon a value that was read again in vain is read once more. Thousands of refused requests must not become thousands of reads. */
const AGAIN_MS = 5_000;

/**
 * A secret, or what is made of secrets, that can be read again at its source. Concurrent calls share one read. A read that yields an equal
 * value leaves the object in place, so that a different object means a different value.
 */
export class Rereadable<T extends object> {
  readonly #read: () => Promise<T>;
  #value?: T;
  #pending?: Promise<T>;
  /** When the last read after a refusal found nothing new, as in `performance.now()`. */
  #inVainAt = Number.NEGATIVE_INFINITY;

  constructor(read: () => Promise<T>, first?: T) {
    this.#read = read;
    this.#value = first;
  }

  /** As it was last read; undefined before the first read. */
  get value(): T | undefined {
    return this.#value;
  }

  reread(): Promise<T> {
    this.#pending ??= this.#read()
      .then((value) => {
        if (this.#value === undefined || JSON.stringify(value) !== JSON.stringify(this.#value)) this.#value = value;
        return this.#value;
      })
      .finally(() => {
        this.#pending = undefined;
      });
    return this.#pending;
  }

  /**
   * Reads the value again after a service has refused it. If that fails, the refusal is the error to report.
   *
   * @param refused the value that was used
   * @returns whether there is another one now, with which one more attempt is worthwhile
   */
  async renew(refused: T): Promise<boolean> {
    if (this.#value !== refused) return true;
    if (this.#pending === undefined && performance.now() - this.#inVainAt < AGAIN_MS) return false;
    const value = await this.reread().catch(() => refused);
    if (value === refused) this.#inVainAt = performance.now();
    return value !== refused;
  }
}
