import { defineQuery, setCurrentDetails, setHandler, upsertSearchAttributes, workflowInfo } from '@temporalio/workflow';
import type { ResolvedConnector } from '../../contract/activities.ts';
import type { Progress, ReconcileRequest, TableFailure } from '../../contract/job.ts';
import { SEARCH_ATTRIBUTES } from '../../contract/search-attributes.ts';
import { currentDetails } from './current-details.ts';
import { type CarriedJob, Job } from './job.ts';

export const progressQuery = defineQuery<Progress>('progress');
export const failuresQuery = defineQuery<TableFailure[]>('failures');

/** The job of this workflow: queries return its state, and the Temporal UI shows its details. */
export function openJob(request: ReconcileRequest, carried?: CarriedJob): Job {
  const { workflowId: jobId, firstExecutionRunId: runId } = workflowInfo();
  const onChange = (job: Job) => setCurrentDetails(currentDetails(job));
  const job = new Job({ jobId, runId, request, carried, onChange });
  setHandler(progressQuery, () => job.progress);
  setHandler(failuresQuery, () => job.failures);
  return job;
}

/** So that the job's run is found by its connector, also if it was started by hand. */
export function setConnectorAttributes({ name, searchAttributes }: ResolvedConnector, request: ReconcileRequest): void {
  if (!searchAttributes) return;
  upsertSearchAttributes([
    { key: SEARCH_ATTRIBUTES.connector, value: name },
    { key: SEARCH_ATTRIBUTES.tenant, value: 'default' },
    { key: SEARCH_ATTRIBUTES.mode, value: request.full ? 'full' : 'incremental' },
  ]);
}

export function setOutcomeAttribute({ connector, progress }: Job): void {
  if (connector?.searchAttributes) upsertSearchAttributes([{ key: SEARCH_ATTRIBUTES.outcome, value: progress.state }]);
}
