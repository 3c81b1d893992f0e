import type { AlertType } from '../contract/job.ts';
import type { ActivityDeps } from './runtime/deps.ts';

/** What is to be told of the job's end, if anything. It counts as told from now on. */
export async function takeAlert(
  deps: ActivityDeps,
  input: { jobId: string },
): Promise<{ type: AlertType; failedJobId?: string } | undefined> {
  const { type, failedJobId } = await deps.catalog.reconciliation.takeAlert(input);
  if (type === '') return undefined;
  return { type: type as AlertType, ...(failedJobId && { failedJobId }) };
}
