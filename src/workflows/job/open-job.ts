import type { SearchAttributePair } from '@temporalio/common';
import {
  defineQuery,
  defineSignal,
  setCurrentDetails,
  setHandler,
  upsertMemo,
  upsertSearchAttributes,
  workflowInfo,
} from '@temporalio/workflow';
import type { Progress, ProgressReport, ReconcileRequest, TableFailure } from '../../contract/job.ts';
import { jobMemo } from '../../contract/job-memo.ts';
import { REPORT_SIGNAL } from '../../contract/names.ts';
import { attributesAtStart, SEARCH_ATTRIBUTES } from '../../contract/search-attributes.ts';
import { currentDetails } from './current-details.ts';
import { type CarriedJob, Job } from './job.ts';

/** The job of this workflow: queries return its state, and the Temporal UI shows its details. The request may be anything. */
export function openJob(request: ReconcileRequest, carried?: CarriedJob): Job {
  const { workflowId: jobId, firstExecutionRunId: runId, namespace } = workflowInfo();
  const onChange = (job: Job) => setCurrentDetails(currentDetails(job, namespace));
  const job = new Job({ jobId, runId, request, carried, onChange });
  setHandler(defineQuery<Progress>('progress'), () => job.progress, {
    description: 'State, phase, counters, and what is in flight: at most about ten seconds old.',
  });
  setHandler(defineQuery<TableFailure[]>('failures'), () => job.failures, {
    description: 'The first 50 failures; the record of the job has all of them.',
  });
  setHandler(defineSignal<[ProgressReport]>(REPORT_SIGNAL), (report) => job.report(report), {
    description: 'Workers send it: what steps that take long have counted so far.',
  });
  return job;
}

/** So that the job's run is found by its connector and recognised, also if it was started by hand. */
export function labelJob({ connector, request, isPaused }: Job): void {
  if (!connector) return;
  const { connectorId: id, name, tenant, searchAttributes } = connector;
  // The request of a job that was started by hand may not name its tenant.
  const owned = { ...request, ...(tenant !== undefined && { tenant }) };
  if (searchAttributes) setAttributes(attributesAtStart(name, owned, isPaused));
  if (workflowInfo().memo?.connectorId !== id) upsertMemo(jobMemo(owned, { id, name }));
}

export function setPausedAttribute({ connector, isPaused }: Job): void {
  if (connector?.searchAttributes) setAttributes([{ key: SEARCH_ATTRIBUTES.paused, value: isPaused }]);
}

export function setOutcomeAttribute({ connector, progress }: Job): void {
  if (connector?.searchAttributes) setAttributes([{ key: SEARCH_ATTRIBUTES.outcome, value: progress.state }]);
}

/** Sets those that differ: each call is billed. */
function setAttributes(pairs: SearchAttributePair[]): void {
  const { typedSearchAttributes } = workflowInfo();
  const changed = pairs.filter(({ key, value }) => typedSearchAttributes.get(key) !== value);
  if (changed.length > 0) upsertSearchAttributes(changed);
}
