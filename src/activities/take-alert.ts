import type { AlertRequest } from '../contract/job.ts';
import { AlertType } from '../generated/reconciler/internal/v1/reconciliation.ts';
import type { ActivityDeps } from './runtime/deps.ts';

/** The alert that the end of the job calls for, if any. From now on it counts as sent. */
export async function takeAlert(
  deps: ActivityDeps,
  input: { jobId: string },
): Promise<Pick<AlertRequest, 'type' | 'failedJobId'> | undefined> {
  // Repeats the call that ended the job: it returns the same alert.
  const job = await deps.catalog.connectors.getReconcileJob(input);
  const { type, failedJobId } = await deps.catalog.reconciliation.endJob({ job, connectorId: job.connectorId });
  if (type === AlertType.ALERT_TYPE_JOB_FAILED) return { type: 'job.failed' };
  if (type === AlertType.ALERT_TYPE_JOB_RECOVERED) return { type: 'job.recovered', failedJobId };
  return undefined;
}
