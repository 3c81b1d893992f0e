import { ApplicationFailure, ApplicationFailureCategory } from '@temporalio/common';
import { CONNECTOR_BUSY } from '../contract/names.ts';
import type { ActivityDeps } from './runtime/deps.ts';

/**
 * Claims the connector for the job. If another job holds it, that job's status in Temporal decides: a holder that no longer runs is
 * replaced; while it runs, this fails with CONNECTOR_BUSY and is retried by Temporal, which costs no history.
 */
export async function claimConnector(deps: ActivityDeps, input: { connectorId: string; jobId: string }): Promise<void> {
  const { connectorId, jobId } = input;
  const { holderJobId } = await deps.catalog.reconciliation.claimConnector({ connectorId, jobId });
  if (holderJobId === jobId) return;
  if ((await deps.jobs.describe(holderJobId)) !== 'RUNNING') {
    const retried = await deps.catalog.reconciliation.claimConnector({
      connectorId,
      jobId,
      deadHolderJobId: holderJobId,
    });
    if (retried.holderJobId === jobId) return;
  }
  throw ApplicationFailure.create({
    type: CONNECTOR_BUSY,
    message: `Job ${holderJobId} has the connector; this one waits for it to end.`,
    category: ApplicationFailureCategory.BENIGN,
  });
}
