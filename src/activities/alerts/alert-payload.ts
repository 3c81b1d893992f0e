import { createHash } from 'node:crypto';
import type { AlertRequest } from '../../contract/job.ts';
import {
  type JobFailure,
  jobStateToJSON,
  jobTriggerToJSON,
  type ReconcileJob,
} from '../../generated/reconciler/v1/jobs.ts';
import { truncate } from '../../text.ts';

/** Failures in a message; `job failures` lists all. */
export const MAX_FAILURES = 10;
/** Characters of each text: the whole message stays below 64 KiB. */
const MAX_TEXT_LENGTH = 1_000;

/** The same for a job and type, however often the message is sent. */
export function messageId({ type, jobId }: AlertRequest): string {
  return `msg_${createHash('sha256').update(`${type} ${jobId}`).digest('hex').slice(0, 32)}`;
}

/**
 * The body of a webhook's message, in the form that Standard Webhooks recommends. docs/operations.md has an example.
 *
 * @param failures the job's first failures
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
        message: shorten(job.message),
        trigger: jobTriggerToJSON(job.trigger).replace('JOB_TRIGGER_', '').toLowerCase(),
        full: job.full,
        startedAt: job.startedAt?.toISOString(),
        finishedAt: finishedAt.toISOString(),
      },
      counters: Object.fromEntries(Object.entries(job.counters ?? {}).map(([name, count]) => [name, Number(count)])),
      failures: failures
        .slice(0, MAX_FAILURES)
        .map(({ table, code, message }) => ({ table: shorten(table), code, message: shorten(message) })),
      failedJobId: request.failedJobId,
      link,
    },
  });
}

const shorten = (text: string) => truncate(text, MAX_TEXT_LENGTH);
