import type { AlertType } from '../contract/job.ts';
import type { ActivityDeps } from './runtime/deps.ts';

/** The alert that the end of the job calls for, if any. From now on it counts as sent. */
export async function takeAlert(
  deps: ActivityDeps,
  input: { jobId: string },
): Promise<{ type: AlertType; failedJobId?: string } | undefined> {
  const { type, failedJobId } = await deps.catalog.reconciliation.takeAlert(input);
  if (type === '') return undefined;
  return { type: type as AlertType, ...(failedJobId && { failedJobId }) };
}
