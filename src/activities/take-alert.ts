import type { AlertRequest } from '../contract/job.ts';
import { AlertType } from '../generated/reconciler/internal/v1/reconciliation.ts';
import type { ActivityDeps } from './runtime/deps.ts';

/** What is to be told of the job's end, if anything. It counts as told from now on. */
export async function takeAlert(
  deps: ActivityDeps,
  input: { jobId: string },
): Promise<Pick<AlertRequest, 'type' | 'failedJobId'> | undefined> {
  const { type, failedJobId } = await deps.catalog.reconciliation.claimAlert(input);
  if (type === AlertType.ALERT_TYPE_JOB_FAILED) return { type: 'job.failed' };
  if (type === AlertType.ALERT_TYPE_JOB_RECOVERED) return { type: 'job.recovered', failedJobId };
  return undefined;
}
