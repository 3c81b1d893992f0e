import { condition, defineSignal, setHandler, workflowInfo } from '@temporalio/workflow';
import { WAKE_SIGNAL } from '../contract/names.ts';

/** A wait looks again by itself after this time, in case that a signal was lost or its sender died. */
const LOOK_AGAIN = '5m';
/** A wait ends in continue-as-new after this time, so that workers with an old build are not needed for it. */
const MAX_WAIT_MS = 3_600_000;

/** Waits that cost nothing: the catalog ends them by a signal. */
export class Wakeups {
  #count = 0;

  constructor() {
    const wake = defineSignal(WAKE_SIGNAL);
    const description =
      'The catalog sends it when what the job waits for may have come: its connector is free, active again, or has changed.';
    setHandler(wake, () => void this.#count++, { description });
  }

  /**
   * Waits for `isOver`, calling it now, after each signal and from time to time.
   *
   * @returns false if the job should continue as new and go on waiting there
   */
  async until(isOver: () => boolean | Promise<boolean>): Promise<boolean> {
    const end = Date.now() + MAX_WAIT_MS;
    for (;;) {
      const seen = this.#count;
      if (await isOver()) return true;
      if (Date.now() >= end) return false;
      const isWoken = await condition(() => this.#count > seen, LOOK_AGAIN);
      // Only after some minutes, so that a build that does not become the run's own causes no runs without end.
      if (!isWoken && workflowInfo().targetWorkerDeploymentVersionChanged) return false;
    }
  }

  /** What is waited for may have come without a signal of the catalog. */
  wake(): void {
    this.#count += 1;
  }
}
