import type { JobRecord } from '../contract/activities.ts';
import { captureModeToProto } from '../contract/capture-options-proto.ts';
import { failureMessage, isEnded, progressMessage } from '../contract/progress-message.ts';
import { JobState, JobTrigger } from '../generated/reconciler/v1/jobs.ts';
import type { ActivityDeps } from './runtime/deps.ts';

const TRIGGERS = {
  manual: JobTrigger.JOB_TRIGGER_MANUAL,
  schedule: JobTrigger.JOB_TRIGGER_SCHEDULE,
  retry: JobTrigger.JOB_TRIGGER_RETRY,
};

/** Writes the job's record, which outlives Temporal's history, and is served when no worker is running. */
export async function recordJob(deps: ActivityDeps, record: JobRecord): Promise<void> {
  const { progress, request } = record;
  const state = JobState[progress.state];
  const recorded = {
    job: {
      jobId: record.jobId,
      runId: record.runId,
      connectorId: record.connectorId,
      connectorName: record.connectorName,
      fullRescan: record.full,
      state,
      ...progressMessage(progress),
      message: record.message,
      startedAt: date(record.startedAtMs),
      finishedAt: date(record.finishedAtMs),
      trigger: request.trigger ? TRIGGERS[request.trigger] : JobTrigger.JOB_TRIGGER_TEMPORAL,
      mode: captureModeToProto(request.mode),
      dryRun: request.dryRun ?? false,
      requestJson: JSON.stringify(request),
      retryOfJobId: request.retryOf ?? '',
    },
    failures: record.failures.map(failureMessage),
  };
  const { reconciliation } = deps.catalog;
  if (isEnded(state)) await reconciliation.endJob({ ...recorded, connectorId: record.connectorId });
  else await reconciliation.recordJob(recorded);
}

const date = (ms: number | undefined) => (ms === undefined ? undefined : new Date(ms));
