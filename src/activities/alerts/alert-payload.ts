import { createHash } from 'node:crypto';
import type { AlertRequest } from '../../contract/job.ts';
import {
  type JobFailure,
  jobStateToJSON,
  jobTriggerToJSON,
  type ReconcileJob,
} from '../../generated/reconciler/v1/jobs.ts';

/** Failures told; `job failures` lists all. */
export const FAILURES_TOLD = 10;
/** Characters of each text: the whole stays below 64 KiB, whatever is in it. */
const MAX_TEXT = 1_000;

/** One of these a job and type, however often it is sent. */
export function messageId({ type, jobId }: AlertRequest): string {
  return `msg_${createHash('sha256').update(`${type} ${jobId}`).digest('hex').slice(0, 32)}`;
}

/**
 * What a webhook is told, in the form that Standard Webhooks recommends. docs/operations.md shows one.
 *
 * @param failures the first of the job's
 * @param link to the job's workflow in the Temporal UI
 */
export function alertPayload(request: AlertRequest, job: ReconcileJob, failures: JobFailure[], link?: string): string {
  const { finishedAt = new Date() } = job;
  return JSON.stringify({
    type: request.type,
    timestamp: finishedAt.toISOString(),
    data: {
      connector: { id: job.connectorId, name: job.connectorName },
      job: {
        id: job.jobId,
        state: jobStateToJSON(job.state),
        message: short(job.message),
        trigger: jobTriggerToJSON(job.trigger).replace('JOB_TRIGGER_', '').toLowerCase(),
        fullRescan: job.fullRescan,
        startedAt: job.startedAt?.toISOString(),
        finishedAt: finishedAt.toISOString(),
      },
      counters: Object.fromEntries(Object.entries(job.counters ?? {}).map(([name, count]) => [name, Number(count)])),
      failures: failures
        .slice(0, FAILURES_TOLD)
        .map(({ table, code, message }) => ({ table: short(table), code, message: short(message) })),
      failedJobId: request.failedJobId,
      link,
    },
  });
}

const short = (text: string) => (text.length > MAX_TEXT ? `${text.slice(0, MAX_TEXT - 1)}…` : text);
