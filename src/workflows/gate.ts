import { ApplicationFailure } from '@temporalio/workflow';
import type { JobClaim } from '../contract/activities.ts';
import { CLAIM_LOST } from '../contract/claim.ts';
import { CONNECTOR_PAUSED } from '../contract/names.ts';
import { gaveUpText } from '../contract/unserved-queue.ts';
import { shellWord } from '../text.ts';
import { control, queueOf } from './activity-proxies.ts';
import { failedWith, takenActivity, unservedActivity } from './failure-cause.ts';
import { HistoryLimit } from './history-limit.ts';
import type { Job } from './job/job.ts';
import { setPausedAttribute } from './job/open-job.ts';
import { recordJob } from './job/record-job.ts';
import { type CarriedQueues, UnservedQueues } from './unserved-queues.ts';
import type { Wakeups } from './wakeups.ts';

/**
 * Why no step begins at present: the connector is paused, a person holds the job back, the claim on the connector is lost, or no worker takes
 * steps from its task queue.
 */
type Obstacle = 'paused' | 'held' | 'claim' | 'queue';

/** What the next run continues with after continue-as-new. */
export interface CarriedGate {
  /** The next run looks first whether it is over. */
  obstacle?: 'paused' | 'held';
  unserved: CarriedQueues;
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
  readonly #unserved: UnservedQueues;
  readonly #history = new HistoryLimit();

  constructor(options: GateOptions) {
    this.#options = options;
    this.#obstacle = options.carried?.obstacle;
    this.#unserved = new UnservedQueues(options.carried?.unserved);
    this.#showUnserved();
  }

  carry(): CarriedGate {
    const obstacle = this.#obstacle;
    const unserved = this.#unserved.carry();
    return obstacle === 'paused' || obstacle === 'held' ? { obstacle, unserved } : { unserved };
  }

  get isOpen(): boolean {
    return this.#obstacle === undefined && !this.#options.isHeld();
  }

  /** Whether the job ends because it has waited too long for a worker. */
  get hasGivenUp(): boolean {
    return this.#unserved.givenUp !== undefined;
  }

  /** Runs a step as soon as that is allowed, and again if it was refused. */
  async pass<T>(activityType: string, step: () => Promise<T>): Promise<T> {
    for (;;) {
      await this.untilOpen();
      try {
        const result = await step();
        this.served(activityType);
        return result;
      } catch (error) {
        if (!this.closes(error)) throw error;
      }
    }
  }

  /** Whether a step failed only because nothing may begin at present: it is to be run again. */
  closes(error: unknown): boolean {
    const unserved = unservedActivity(error);
    const taken = takenActivity(error);
    if (taken !== undefined) this.served(taken);
    if (failedWith(error, CONNECTOR_PAUSED)) this.#obstacle ??= 'paused';
    else if (failedWith(error, CLAIM_LOST)) this.#obstacle = 'claim';
    else if (unserved !== undefined) this.#waitForWorker(unserved);
    else return false;
    return true;
  }

  /** A worker has finished a step. */
  served(activityType: string): void {
    if (this.#unserved.served(this.#queueOf(activityType))) this.#showUnserved();
  }

  /** Waits until steps may begin. To be called only while none is in flight, since a long wait ends in continue-as-new. */
  async untilOpen(): Promise<void> {
    const { job, isHeld } = this.#options;
    if (this.isOpen) return;
    while (!this.isOpen) {
      try {
        if (this.#obstacle === 'claim' || this.#obstacle === 'queue') await this.#claimAgain();
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

  /** The connector may have another queue by now. */
  async #claimAgain(): Promise<void> {
    const { reclaim, continueAsNew } = this.#options;
    // While another job has the connector, this one waits for no worker.
    if (this.#obstacle === 'claim') this.#forgetUnserved();
    const { givenUp } = this.#unserved;
    if (givenUp) {
      // No step could find out.
      if (await this.#isPaused()) return this.#untilActive();
      throw ApplicationFailure.nonRetryable(gaveUpText(givenUp, new Date()), 'UNAVAILABLE');
    }
    if (this.#history.look()) await continueAsNew();
    await reclaim();
    this.#forgetUnserved([this.#queueOf('scanTables'), this.#queueOf('ingestTable')]);
  }

  async #untilReleased(): Promise<void> {
    const { job, isHeld } = this.#options;
    this.#obstacle = 'held';
    const command = `temporal workflow signal --name resume --workflow-id ${shellWord(job.id)}`;
    await this.#rest(`paused in Temporal: resume it with ${command}`, () => !isHeld());
  }

  async #untilActive(): Promise<void> {
    const { job } = this.#options;
    this.#obstacle = 'paused';
    const command = `reconciler connector resume ${shellWord(job.connectorName)}`;
    await this.#rest(`paused: resume it with ${command}`, async () => !(await this.#isPaused()));
  }

  #isPaused(): Promise<boolean> {
    return control('looks whether the connector is active').isPaused(this.#options.job.claim as JobClaim);
  }

  async #rest(reason: string, isOver: () => boolean | Promise<boolean>): Promise<void> {
    const { job, wakeups, continueAsNew } = this.#options;
    this.#forgetUnserved();
    job.pause(reason);
    setPausedAttribute(job);
    await recordJob(job);
    if (!(await wakeups.until(isOver))) await continueAsNew();
  }

  #waitForWorker(activityType: string): void {
    if (!this.#unserved.add(this.#queueOf(activityType))) return;
    this.#obstacle ??= 'queue';
    this.#showUnserved();
  }

  #forgetUnserved(except?: string[]): void {
    this.#unserved.forget(except);
    this.#showUnserved();
  }

  #showUnserved(): void {
    this.#options.job.waitForWorker(this.#unserved.longest);
  }

  #queueOf(activityType: string): string {
    return queueOf(activityType, { taskQueue: this.#options.job.connector?.taskQueue });
  }
}
