import { log, startChild } from '@temporalio/workflow';
import type { ResolvedConnector } from '../contract/activities.ts';
import type { AlertRequest } from '../contract/job.ts';
import { alertSummary, alertWorkflowId } from '../contract/job.ts';
import { ALERT_WORKFLOW } from '../contract/names.ts';
import { control } from './activity-proxies.ts';
import type { sendAlert } from './send-alert.ts';

/** Starts the workflow that tells of the job's end, where the catalog says that it is to be told. The job ends as it does without. */
export async function raiseAlert(jobId: string, { name, taskQueue }: ResolvedConnector): Promise<void> {
  try {
    const alert = await control.takeAlert({ jobId });
    if (!alert) return;
    const request: AlertRequest = { ...alert, jobId, connectorName: name, taskQueue };
    await startChild<typeof sendAlert>(ALERT_WORKFLOW, {
      workflowId: alertWorkflowId(jobId),
      workflowIdReusePolicy: 'REJECT_DUPLICATE',
      parentClosePolicy: 'ABANDON',
      args: [request],
      staticSummary: alertSummary(request),
    });
  } catch (error) {
    log.warn('no alert is sent of the job', { reason: error instanceof Error ? error.message : String(error) });
  }
}
