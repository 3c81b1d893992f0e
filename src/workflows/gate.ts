import type { JobClaim } from '../contract/activities.ts';
import { CLAIM_LOST } from '../contract/claim.ts';
import { CONNECTOR_PAUSED } from '../contract/names.ts';
import { shellWord } from '../text.ts';
import { control } from './activity-proxies.ts';
import { failedWith, isUnserved } from './failure-cause.ts';
import type { Job } from './job/job.ts';
import { setPausedAttribute } from './job/open-job.ts';
import { recordJob } from './job/record-job.ts';
import type { Wakeups } from './wakeups.ts';

/**
 * Why no step begins at present: the connector is paused, a person holds the job back, the claim on the connector is lost, or no worker polls
 * its task queue.
 */
type Obstacle = 'paused' | 'held' | 'claim' | 'queue';

/** A job gives up if no worker has taken any of its steps for this time. */
const MAX_UNSERVED_MS = 24 * 3_600_000;

/** What the next run continues with after continue-as-new. */
export interface CarriedGate {
  /** The next run looks first whether it is over. */
  obstacle?: 'paused' | 'held';
}

interface GateOptions {
  job: Job;
  wakeups: Wakeups;
  carried?: CarriedGate;
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
    this.#obstacle = options.carried?.obstacle;
  }

  carry(): CarriedGate {
    const obstacle = this.#obstacle;
    return obstacle === 'paused' || obstacle === 'held' ? { obstacle } : {};
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
    const { job, isHeld, reclaim } = this.#options;
    if (this.isOpen) return;
    while (!this.isOpen) {
      try {
        if (this.#obstacle === 'claim' || this.#obstacle === 'queue') await reclaim();
        else if (this.#obstacle === 'paused') await this.#untilActive();
        if (isHeld()) await this.#untilReleased();
        this.#obstacle = undefined;
      } catch (error) {
        // The job was reset while it was paused.
        if (!failedWith(error, CLAIM_LOST)) throw error;
        this.#obstacle = 'claim';
      }
    }
    job.pause(undefined);
    setPausedAttribute(job);
  }

  async #untilReleased(): Promise<void> {
    const { job, isHeld } = this.#options;
    this.#obstacle = 'held';
    const command = `temporal workflow signal --name resume --workflow-id ${shellWord(job.id)}`;
    await this.#rest(`paused in Temporal: resume it with ${command}`, () => !isHeld());
  }

  async #untilActive(): Promise<void> {
    const { job } = this.#options;
    const { isPaused } = control('looks whether the connector is active');
    const command = `reconciler connector resume ${shellWord(job.connectorName)}`;
    await this.#rest(`paused: resume it with ${command}`, async () => !(await isPaused(job.claim as JobClaim)));
  }

  async #rest(reason: string, isOver: () => boolean | Promise<boolean>): Promise<void> {
    const { job, wakeups, continueAsNew } = this.#options;
    job.pause(reason);
    setPausedAttribute(job);
    await recordJob(job);
    if (!(await wakeups.until(isOver))) await continueAsNew();
  }

  #isWorthWaiting(): boolean {
    this.#unservedSince ??= Date.now();
    return Date.now() - this.#unservedSince < MAX_UNSERVED_MS;
  }
}
