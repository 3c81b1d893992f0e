import { workflowInfo } from '@temporalio/workflow';

/**
 * Temporal suggests to continue as new at 4,096 events or 4 MiB (`limit.historyCount.suggestContinueAsNew` and
 * `limit.historySize.suggestContinueAsNew`). These limits lie below, so that others can go on while a slow slice ends.
 */
const MAX_EVENTS = 1_600;
const MAX_BYTES = 1.6 * 1024 * 1024;
/** While slow steps are still in flight, others go on until the history is this many times as long: about a minute of small packs. */
const OVERFULL = 2.4;
/** A run that has hardly begun does not continue as new for another build. */
const MIN_EVENTS = 50;

/** Decides when a run continues as new. Only `look` reads the history; the rest is plain state. */
export class HistoryLimit {
  #fullAt?: { events: number; bytes: number };
  #isOverfull = false;

  /**
   * Looks how long the history is. To be called in straight-line code, such as after a step. Not from a condition: Temporal evaluates it for
   * a rejected update too, which no replay repeats.
   *
   * @returns whether it is full
   */
  look(): boolean {
    const info = workflowInfo();
    const {
      continueAsNewSuggested,
      historyLength: events,
      historySize: bytes,
      targetWorkerDeploymentVersionChanged,
    } = info;
    const isOutdated = targetWorkerDeploymentVersionChanged && events > MIN_EVENTS;
    if (continueAsNewSuggested || isOutdated || events > MAX_EVENTS || bytes > MAX_BYTES) {
      this.#fullAt ??= { events, bytes };
    }
    const { events: fullEvents = Infinity, bytes: fullBytes = Infinity } = this.#fullAt ?? {};
    this.#isOverfull ||= events > fullEvents * OVERFULL || bytes > fullBytes * OVERFULL;
    return this.isFull;
  }

  /** Whether the run should continue as new as soon as what is in flight allows. It stays so. */
  get isFull(): boolean {
    return this.#fullAt !== undefined;
  }

  /** Whether nothing more may begin, whatever is still in flight. It stays so. */
  get isOverfull(): boolean {
    return this.#isOverfull;
  }
}
