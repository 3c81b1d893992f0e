import { ApplicationFailure, ApplicationFailureCategory } from '@temporalio/common';
import { CONNECTOR_BUSY } from '../contract/names.ts';
import type { ActivityDeps } from './runtime/deps.ts';

/**
 * Takes the connector for the job. Where another job has it, that job's standing in Temporal decides: a holder that is
 * not running any more is passed over; for one that runs, this fails with CONNECTOR_BUSY and is tried again by Temporal,
 * which costs no history.
 */
export async function claimConnector(deps: ActivityDeps, input: { connectorId: string; jobId: string }): Promise<void> {
  const { connectorId, jobId } = input;
  const { holderJobId } = await deps.catalog.reconciliation.claimConnector({ connectorId, jobId });
  if (holderJobId === jobId) return;
  if ((await deps.jobs.describe(holderJobId)) !== 'RUNNING') {
    const second = await deps.catalog.reconciliation.claimConnector({
      connectorId,
      jobId,
      deadHolderJobId: holderJobId,
    });
    if (second.holderJobId === jobId) return;
  }
  throw ApplicationFailure.create({
    type: CONNECTOR_BUSY,
    message: `Job ${holderJobId} has the connector; this one waits for it to end.`,
    category: ApplicationFailureCategory.BENIGN,
  });
}
