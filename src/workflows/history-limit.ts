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

/** Decides when a run continues as new. */
export class HistoryLimit {
  #at?: { events: number; bytes: number };

  /** Whether the run should continue as new as soon as what is in flight allows. It stays so. */
  isFull(): boolean {
    if (this.#at) return true;
    const info = workflowInfo();
    const {
      continueAsNewSuggested,
      historyLength: events,
      historySize: bytes,
      targetWorkerDeploymentVersionChanged,
    } = info;
    const isOutdated = targetWorkerDeploymentVersionChanged && events > MIN_EVENTS;
    if (continueAsNewSuggested || isOutdated || events > MAX_EVENTS || bytes > MAX_BYTES) this.#at = { events, bytes };
    return this.#at !== undefined;
  }

  /** Whether nothing more may begin, whatever is still in flight. */
  isOverfull(): boolean {
    if (!this.isFull() || !this.#at) return false;
    const { historyLength, historySize } = workflowInfo();
    return historyLength > this.#at.events * OVERFULL || historySize > this.#at.bytes * OVERFULL;
  }
}
