import type { JobRecord } from '../contract/activities.ts';
import { CONNECTOR_PAUSED } from '../contract/names.ts';
import { waitFor } from './activity-proxies.ts';
import { failedWith } from './failure-cause.ts';

/** The part of a job that its pause gate changes. */
interface PausableJob {
  begin(label: string): void;
  end(label: string): void;
  pause(): void;
  resume(): void;
  record(): JobRecord;
  recorded(record: JobRecord): void;
}

/** Holds a job's steps back while its connector is paused; each then runs again from where it was. */
export class PauseGate {
  readonly #job: PausableJob;
  #reopened: Promise<void> | undefined;

  constructor(job: PausableJob) {
    this.#job = job;
  }

  /**
   * Runs a step, and runs it again after the pause if its activity refused it because the connector is paused. All steps wait for the end
   * of a pause together.
   *
   * @param label what is in flight during the step, but not while the step waits
   */
  async whileActive<T>(step: () => Promise<T>, label?: string): Promise<T> {
    for (;;) {
      if (!this.#reopened) {
        try {
          return await step();
        } catch (error) {
          if (!failedWith(error, CONNECTOR_PAUSED)) throw error;
        }
      }
      if (label) this.#job.end(label);
      this.#reopened ??= this.#untilActive().finally(() => {
        this.#reopened = undefined;
      });
      await this.#reopened;
      if (label) this.#job.begin(label);
    }
  }

  async #untilActive(): Promise<void> {
    this.#job.pause();
    const record = this.#job.record();
    await waitFor.awaitActive({ connectorId: record.connectorId, record });
    this.#job.recorded(record);
    this.#job.resume();
  }
}
