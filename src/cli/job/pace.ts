/** What is looked back on: long enough to be steady, short enough to follow a change. */
const WINDOW_MS = 15_000;
/** Below that a rate is chance. */
const MIN_MS = 1_000;

/** How fast a counter grows, from what is read of it now and then. */
export class Pace {
  #samples: { at: number; done: number }[] = [];

  add(done: number, now = performance.now()): void {
    this.#samples.push({ at: now, done });
    // One sample from before the window stays: the rate is that since then.
    while (this.#samples.length > 2 && now - this.#samples[1]!.at > WINDOW_MS) this.#samples.shift();
  }

  /** A second; undefined until it can be told. */
  rate(): number | undefined {
    const [first, last] = [this.#samples[0], this.#samples.at(-1)];
    if (!first || !last || last.at - first.at < MIN_MS) return undefined;
    return Math.max(0, ((last.done - first.done) * 1000) / (last.at - first.at));
  }
}
