import type { BegunJob, JobRecord } from '../../contract/activities.ts';
import type { ReconcileRequest } from '../../contract/job.ts';
import { toReconcileJob } from '../reconcile-job.ts';
import type { ActivityDeps } from '../runtime/deps.ts';

/**
 * Claims the connector for a run of the job's workflow. If another job is ahead, that job's status in Temporal decides: one that no longer
 * runs is passed over.
 *
 * @returns the claim, or the job that is ahead
 */
export async function claimConnector(
  { catalog, jobs }: Pick<ActivityDeps, 'catalog' | 'jobs'>,
  record: JobRecord,
  request: ReconcileRequest,
  { runId, continued }: { runId: string; continued: boolean },
): Promise<
  | (Required<Pick<BegunJob, 'epoch'>> & Pick<BegunJob, 'unverifiedSinceMs'> & { taskQueue?: string })
  | { waitsFor: string }
> {
  const { connectorId, jobId } = record;
  const job = toReconcileJob(record, request);
  let deadHolderJobId = '';
  for (;;) {
    const { holderJobId, epoch, unverifiedSince, taskQueue } = await catalog.reconciliation.claimConnector({
      connectorId,
      job,
      runId,
      deadHolderJobId,
      continued,
    });
    if (holderJobId === jobId) {
      const own = taskQueue ? { taskQueue } : {};
      return { epoch: Number(epoch), unverifiedSinceMs: unverifiedSince?.getTime(), ...own };
    }
    // Each job ahead that is dead is passed over by one call; the catalog removes it.
    if (holderJobId === deadHolderJobId || (await jobs.describe(holderJobId)) === 'RUNNING')
      return { waitsFor: holderJobId };
    deadHolderJobId = holderJobId;
  }
}
