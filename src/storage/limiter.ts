/** Lets at most so many run at once; the others wait in their order. */
export class Limiter {
  readonly #maxRunning: number;
  #running = 0;
  readonly #waiting: (() => void)[] = [];

  constructor(most: number) {
    this.#maxRunning = most;
  }

  async run<T>(work: () => Promise<T>): Promise<T> {
    // A place that is given up goes to the one that waits, without being free in between.
    if (this.#running < this.#maxRunning) this.#running++;
    else await new Promise<void>((resolve) => this.#waiting.push(resolve));
    try {
      return await work();
    } finally {
      const next = this.#waiting.shift();
      if (next === undefined) this.#running--;
      else next();
    }
  }
}
