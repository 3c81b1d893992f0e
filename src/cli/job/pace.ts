/** The window that the rate is computed over: long enough to be steady, short enough to follow a change. */
const WINDOW_MS = 15_000;
/** A rate over a shorter time would be noise. */
const MIN_MS = 1_000;

/** The rate at which a counter grows, computed from samples of it. */
export class Pace {
  #samples: { at: number; done: number }[] = [];

  add(done: number, now = performance.now()): void {
    this.#samples.push({ at: now, done });
    // One sample from before the window is kept as the start of the interval.
    while (this.#samples.length > 2 && now - this.#samples[1]!.at > WINDOW_MS) this.#samples.shift();
  }

  /** Per second; undefined until there are enough samples. */
  rate(): number | undefined {
    const [first, last] = [this.#samples[0], this.#samples.at(-1)];
    if (!first || !last || last.at - first.at < MIN_MS) return undefined;
    return Math.max(0, ((last.done - first.done) * 1000) / (last.at - first.at));
  }
}
