import type { JobRecord } from '../contract/activities.ts';
import { captureModeToProto } from '../contract/capture-options-proto.ts';
import type { ReconcileRequest } from '../contract/job.ts';
import { progressMessage } from '../contract/progress-message.ts';
import { JobState, JobTrigger, ReconcileJob } from '../generated/reconciler/v1/jobs.ts';

const TRIGGERS = {
  manual: JobTrigger.JOB_TRIGGER_MANUAL,
  schedule: JobTrigger.JOB_TRIGGER_SCHEDULE,
  retry: JobTrigger.JOB_TRIGGER_RETRY,
};

/** A job's record as the catalog has it. @param request absent if it is recorded already: it does not change */
export function toReconcileJob(record: JobRecord, request?: ReconcileRequest): ReconcileJob {
  const { progress } = record;
  return ReconcileJob.fromPartial({
    jobId: record.jobId,
    runId: record.runId,
    connectorId: record.connectorId,
    connectorName: record.connectorName,
    state: JobState[progress.state],
    ...progressMessage(progress),
    message: record.message,
    startedAt: date(record.startedAtMs),
    finishedAt: date(record.finishedAtMs),
    ...(request && {
      full: request.full ?? false,
      trigger: request.trigger ? TRIGGERS[request.trigger] : JobTrigger.JOB_TRIGGER_TEMPORAL,
      mode: captureModeToProto(request.mode),
      dryRun: request.dryRun ?? false,
      requestJson: JSON.stringify(request),
      retryOfJobId: request.retryOf ?? '',
    }),
  });
}

const date = (ms: number | undefined) => (ms === undefined ? undefined : new Date(ms));
