import { setImmediate } from 'node:timers/promises';

/** How long work runs before others get their turn. */
const TURN_MS = 30;

/**
 * Does work that can pause, and lets others have their turn whenever it has run for a while. A heartbeat is never late because of it.
 */
export async function paced<T>(work: Generator<void, T>): Promise<T> {
  const turns = new Turns();
  for (;;) {
    const step = work.next();
    if (step.done) return step.value;
    if (turns.isOver) await turns.next();
  }
}

/** Does work that can pause without a pause. */
export function atOnce<T>(work: Generator<void, T>): T {
  for (;;) {
    const step = work.next();
    if (step.done) return step.value;
  }
}

/** Gives others their turn in a loop that runs long. */
export class Turns {
  #since = performance.now();

  /** To be awaited every millisecond or so, if `isOver`. */
  async next(): Promise<void> {
    await setImmediate();
    this.#since = performance.now();
  }

  get isOver(): boolean {
    return performance.now() - this.#since > TURN_MS;
  }
}
