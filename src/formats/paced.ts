import { setImmediate } from 'node:timers/promises';

/** How long work runs before others get their turn. */
const TURN_MS = 30;

/**
 * Does work that can pause, and lets others have their turn whenever it has run for a while. A heartbeat is never late because of it.
 */
export async function paced<T>(work: Generator<void, T>): Promise<T> {
  let turn = performance.now();
  for (;;) {
    const step = work.next();
    if (step.done) return step.value;
    if (performance.now() - turn < TURN_MS) continue;
    await setImmediate();
    turn = performance.now();
  }
}

/** Does work that can pause without a pause. */
export function atOnce<T>(work: Generator<void, T>): T {
  for (;;) {
    const step = work.next();
    if (step.done) return step.value;
  }
}
