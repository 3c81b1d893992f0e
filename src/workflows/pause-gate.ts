import { ActivityFailure, ApplicationFailure } from '@temporalio/workflow';
import type { JobRecord } from '../contract/activities.ts';
import { CONNECTOR_PAUSED } from '../contract/names.ts';
import { waitFor } from './activity-proxies.ts';

/** The part of a job that its pause gate changes. */
interface PausableJob {
  begin(table: string): void;
  end(table: string): void;
  pause(): void;
  resume(): void;
  record(): JobRecord;
  recorded(record: JobRecord): void;
}

/** Lets a job rest while its connector is paused, and keep its place. */
export class PauseGate {
  readonly #job: PausableJob;
  #resting: Promise<void> | undefined;

  constructor(job: PausableJob) {
    this.#job = job;
  }

  /**
   * Runs a step. One that the activity refuses, since the connector is paused, is run again when it is active: all steps wait for that
   * together.
   *
   * @param label of what is in flight; it is not while it waits
   */
  async whileActive<T>(step: () => Promise<T>, label?: string): Promise<T> {
    for (;;) {
      if (!this.#resting) {
        try {
          return await step();
        } catch (error) {
          if (!isPaused(error)) throw error;
        }
      }
      if (label) this.#job.end(label);
      this.#resting ??= this.#untilActive().finally(() => {
        this.#resting = undefined;
      });
      await this.#resting;
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

function isPaused(error: unknown): boolean {
  return (
    error instanceof ActivityFailure &&
    error.cause instanceof ApplicationFailure &&
    error.cause.type === CONNECTOR_PAUSED
  );
}
