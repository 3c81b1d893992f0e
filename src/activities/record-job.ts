import type { RecordInput } from '../contract/activities.ts';
import { failureMessage } from '../contract/progress-message.ts';
import { toReconcileJob } from './reconcile-job.ts';
import type { ActivityDeps } from './runtime/deps.ts';

/** Writes the job's record, which outlives Temporal's history, and is served when no worker is running. */
export async function recordJob(deps: ActivityDeps, { record }: Pick<RecordInput, 'record'>): Promise<void> {
  await deps.catalog.reconciliation.recordJob({
    job: toReconcileJob(record),
    failures: record.failures.map(failureMessage),
  });
}
