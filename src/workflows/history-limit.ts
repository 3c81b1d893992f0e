import { patched, workflowInfo } from '@temporalio/workflow';

/**
 * A run gives way to the next one here: Temporal suggests it at 4,096 events or 4 MiB (`limit.historyCount.suggestContinueAsNew`,
 * `limit.historySize…`), and what is in flight shall end below that.
 */
const MAX_EVENTS = 3_500;
const MAX_BYTES = 3 * 1024 * 1024;

/** Whether the run is to give way to the next one. Workflows that were begun before this rule wait for Temporal's suggestion. */
export function historyIsFull(): boolean {
  const { continueAsNewSuggested, historyLength, historySize } = workflowInfo();
  const full = continueAsNewSuggested || historyLength > MAX_EVENTS || historySize > MAX_BYTES;
  return full && patched('room-in-history');
}
