import { workflowInfo } from '@temporalio/workflow';

/**
 * Temporal suggests to continue as new at 4,096 events or 4 MiB (`limit.historyCount.suggestContinueAsNew` and
 * `limit.historySize.suggestContinueAsNew`). These limits lie below, so that activities in flight still fit.
 */
const MAX_EVENTS = 3_500;
const MAX_BYTES = 3 * 1024 * 1024;

/** Whether this run should begin nothing more and continue as new. */
export function historyIsFull(): boolean {
  const { continueAsNewSuggested, historyLength, historySize } = workflowInfo();
  return continueAsNewSuggested || historyLength > MAX_EVENTS || historySize > MAX_BYTES;
}
