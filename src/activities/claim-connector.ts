import { activityInfo } from '@temporalio/activity';
import { ApplicationFailure, ApplicationFailureCategory } from '@temporalio/common';
import { CONNECTOR_BUSY } from '../contract/names.ts';
import type { ActivityDeps } from './runtime/deps.ts';

/**
 * Claims the connector for the job. If another job is ahead, that job's status in Temporal decides: one that no longer runs is passed over;
 * while it runs, this fails with CONNECTOR_BUSY and is retried by Temporal, which costs no history.
 */
export async function claimConnector(deps: ActivityDeps, input: { connectorId: string; jobId: string }): Promise<void> {
  const { connectorId, jobId } = input;
  const { runId } = activityInfo().workflowExecution!;
  const job = await deps.catalog.connectors.getReconcileJob({ jobId });
  const claim = (deadHolderJobId?: string) =>
    deps.catalog.reconciliation.claimConnector({ connectorId, job, runId, deadHolderJobId });
  const { holderJobId } = await claim();
  if (holderJobId === jobId) return;
  if ((await deps.jobs.describe(holderJobId)) !== 'RUNNING') {
    if ((await claim(holderJobId)).holderJobId === jobId) return;
  }
  throw ApplicationFailure.create({
    type: CONNECTOR_BUSY,
    message: `Job ${holderJobId} has the connector; this one waits for it to end.`,
    category: ApplicationFailureCategory.BENIGN,
  });
}
