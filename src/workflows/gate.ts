import type { JobClaim } from '../contract/activities.ts';
import { CLAIM_LOST } from '../contract/claim.ts';
import { CONNECTOR_PAUSED } from '../contract/names.ts';
import { shellWord } from '../names.ts';
import { control } from './activity-proxies.ts';
import { failedWith, isUnserved } from './failure-cause.ts';
import type { Job } from './job/job.ts';
import { recordJob } from './job/record-job.ts';
import type { Wakeups } from './wakeups.ts';

/** Why no step begins at present: the connector is paused, the claim on it is lost, or no worker polls its task queue. */
type Obstacle = 'paused' | 'claim' | 'queue';

/** A job gives up if no worker has taken any of its steps for this time. */
const MAX_UNSERVED_MS = 24 * 3_600_000;

interface GateOptions {
  job: Job;
  wakeups: Wakeups;
  /** Whether a person has paused the job by a signal. */
  isHeld: () => boolean;
  /** Claims the connector again, with its current settings. */
  reclaim: () => Promise<void>;
  continueAsNew: () => Promise<never>;
}

/** Holds a job's steps back while its connector, or the job itself, is paused; each then runs again from where it was. */
export class Gate {
  readonly #options: GateOptions;
  #obstacle?: Obstacle;
  #unservedSince?: number;

  constructor(options: GateOptions) {
    this.#options = options;
  }

  get isOpen(): boolean {
    return this.#obstacle === undefined && !this.#options.isHeld();
  }

  /** Runs a step as soon as that is allowed, and again if it was refused. */
  async pass<T>(step: () => Promise<T>): Promise<T> {
    for (;;) {
      await this.untilOpen();
      try {
        const result = await step();
        this.served();
        return result;
      } catch (error) {
        if (!this.closes(error)) throw error;
      }
    }
  }

  /** Whether a step failed only because nothing may begin at present: it is to be run again. */
  closes(error: unknown): boolean {
    if (failedWith(error, CONNECTOR_PAUSED)) this.#obstacle ??= 'paused';
    else if (failedWith(error, CLAIM_LOST)) this.#obstacle = 'claim';
    else if (isUnserved(error) && this.#isWorthWaiting()) this.#obstacle ??= 'queue';
    else return false;
    return true;
  }

  /** A worker has taken a step. */
  served(): void {
    this.#unservedSince = undefined;
  }

  /** Waits until steps may begin. To be called only while none is in flight, since a long wait ends in continue-as-new. */
  async untilOpen(): Promise<void> {
    const { job, isHeld } = this.#options;
    while (!this.isOpen) {
      if (isHeld()) await this.#untilReleased();
      else if (this.#obstacle === 'paused') await this.#untilActive();
      else await this.#options.reclaim();
      if (!isHeld()) this.#obstacle = undefined;
    }
    job.pause(undefined);
  }

  async #untilReleased(): Promise<void> {
    const { job, isHeld, wakeups } = this.#options;
    job.pause(
      `paused in Temporal: resume it with temporal workflow signal --name resume --workflow-id ${shellWord(job.id)}`,
    );
    await recordJob(job);
    if (!(await wakeups.until(() => !isHeld()))) await this.#options.continueAsNew();
  }

  async #untilActive(): Promise<void> {
    const { job, wakeups } = this.#options;
    job.pause(`paused: resume it with reconciler connector resume ${shellWord(job.connectorName)}`);
    await recordJob(job);
    const isActive = async () =>
      !(await control('looks whether the connector is active').isPaused(job.claim as JobClaim));
    if (!(await wakeups.until(isActive))) await this.#options.continueAsNew();
  }

  #isWorthWaiting(): boolean {
    this.#unservedSince ??= Date.now();
    return Date.now() - this.#unservedSince < MAX_UNSERVED_MS;
  }
}
