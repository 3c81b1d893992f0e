import { log, startChild } from '@temporalio/workflow';
import type { EndedJob, ResolvedConnector } from '../../contract/activities.ts';
import type { AlertRequest } from '../../contract/job.ts';
import { alertSummary, alertWorkflowId } from '../../contract/job.ts';
import { ALERT_WORKFLOW } from '../../contract/names.ts';
import type { sendAlert } from '../send-alert.ts';

/** Starts the workflow that sends the job's alert. The alert outlives the job, and the job's outcome does not depend on it. */
export async function raiseAlert(
  jobId: string,
  { name, taskQueue }: ResolvedConnector,
  alert: NonNullable<EndedJob['alert']>,
): Promise<void> {
  const request: AlertRequest = { ...alert, jobId, connectorName: name, taskQueue };
  try {
    await startChild<typeof sendAlert>(ALERT_WORKFLOW, {
      workflowId: alertWorkflowId(jobId),
      workflowIdReusePolicy: 'REJECT_DUPLICATE',
      parentClosePolicy: 'ABANDON',
      args: [request],
      staticSummary: alertSummary(request),
    });
  } catch (error) {
    log.warn('the alert could not be started', { reason: error instanceof Error ? error.message : String(error) });
  }
}
