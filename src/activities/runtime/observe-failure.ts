import { type ApplicationFailure, CancelledFailure } from '@temporalio/common';
import type { Logger } from 'pino';
import { CLAIM_LOST } from '../../contract/claim.ts';
import { CONNECTOR_PAUSED } from '../../contract/names.ts';
import { workerMetrics } from '../../telemetry/worker-metrics.ts';

/** Logs and counts a failed attempt, unless it was cancelled or waits for its turn. */
export function observeFailure(logger: Logger, activity: string, failure: Error): void {
  if (failure instanceof CancelledFailure) return;
  const { type, nonRetryable } = failure as Partial<ApplicationFailure>;
  if (type === CLAIM_LOST || type === CONNECTOR_PAUSED) return;
  const code = type ?? 'INTERNAL';
  workerMetrics()?.activityFailed(activity, code);
  // A retry may well succeed.
  logger[nonRetryable ? 'warn' : 'info']({ code, reason: failure.message }, 'activity failed');
  logger.debug({ err: failure }, 'activity failed with');
}
