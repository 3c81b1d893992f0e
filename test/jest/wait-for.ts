import { performance } from 'node:perf_hooks';
import { setTimeout as sleep } from 'node:timers/promises';

export interface Patience {
  /** Milliseconds after which the last error is thrown. */
  timeout?: number;
  /** Milliseconds between two attempts. */
  interval?: number;
}

/** Repeats an attempt until it does not throw, and returns its result. Fake timers do not affect it. */
export async function waitFor<T>(
  attempt: () => T | Promise<T>,
  { timeout = 1_000, interval = 50 }: Patience = {},
): Promise<T> {
  const end = performance.now() + timeout;
  for (;;) {
    try {
      return await attempt();
    } catch (error) {
      if (performance.now() >= end) throw error;
    }
    await sleep(interval);
  }
}
