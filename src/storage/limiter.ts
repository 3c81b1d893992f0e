/** Limits how many calls run at once. The others wait in order. */
export class Limiter {
  readonly #maxRunning: number;
  #running = 0;
  readonly #waiting: (() => void)[] = [];

  constructor(maxRunning: number) {
    this.#maxRunning = maxRunning;
  }

  async run<T>(work: () => Promise<T>): Promise<T> {
    // A call that ends passes its slot directly to the next waiting call, so `#running` stays the same.
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
