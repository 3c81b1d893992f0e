import { z } from 'zod';
import { failureMessage, isEnded } from '../../contract/progress-message.ts';
import {
  type JobOutcome,
  JobResult,
  JobState,
  jobChangeKindToJSON,
  type ReconcileJobsServiceImplementation,
  RetryReconcileJobRequest,
} from '../../generated/reconciler/v1/jobs.ts';
import type { ServiceDeps } from '../core/ports.ts';
import { PageTokens, pageSize } from '../rpc/page-token.ts';
import { Checks, checkIds } from '../rpc/violations.ts';
import { requestHash } from '../store/database/idempotency.ts';
import { write } from '../store/database/transaction.ts';
import { listChanges } from '../store/jobs/job-changes.ts';
import { listOutcomes } from '../store/jobs/job-outcomes.ts';
import { requireReport } from '../store/jobs/job-report.ts';
import * as store from '../store/jobs/jobs.ts';
import { connectorToRetry, retryRequestOf } from './retry-request.ts';
import type { JobStarter } from './start-job.ts';

const jobTokens = new PageTokens('ListReconcileJobs', z.object({ jobId: z.string() }));
const changeTokens = new PageTokens('ListJobChanges', z.object({ kind: z.string(), name: z.string() }));
const outcomeTokens = new PageTokens('ListJobOutcomes', z.object({ kind: z.string(), name: z.string() }));
const failureTokens = new PageTokens('ListJobFailures', z.object({ table: z.string() }));

function finished(outcome: JobOutcome): JobOutcome {
  const isOpen = outcome.result === JobResult.JOB_RESULT_UNFINISHED;
  return isOpen ? { ...outcome, result: JobResult.JOB_RESULT_UPDATED } : outcome;
}

/** More than there are states. */
const MAX_STATES = 100;

/** The service ReconcileJobs. */
export function createJobsService(
  { db, jobs }: ServiceDeps,
  { jobFor, settled, status: { status, refresh, cancelUnstarted } }: JobStarter,
): ReconcileJobsServiceImplementation {
  return {
    async retryReconcileJob(request) {
      checkIds({ job_id: request.jobId });
      const checks = new Checks();
      checks.text(request.idempotencyKey, 'idempotency_key', { max: 512 });
      checks.done();
      // The workflow may have closed without recording the end of the job.
      await refresh(request.jobId);
      return jobFor({
        scope: 'RetryReconcileJob',
        idempotencyKey: request.idempotencyKey,
        hash: requestHash(RetryReconcileJobRequest.encode(request).finish()),
        async prepare(trx) {
          const job = await store.getJob(trx, request.jobId);
          const connector = await connectorToRetry(trx, job);
          return { connector, request: await retryRequestOf(trx, job, connector), retryOf: job.jobId };
        },
      });
    },

    async listReconcileJobs(request) {
      const size = pageSize(request.pageSize);
      const { connectorId, states, createdAfter } = request;
      const checks = new Checks();
      checks.list(states, 'states', MAX_STATES);
      checks.timestamp(createdAfter, 'created_after');
      checks.done();
      const filter = { connectorId, states: [...new Set(states)].sort(), createdAfter };
      const after = jobTokens.decode(request.pageToken, filter);
      const { items, last } = await store.listJobs(db, size, filter, after);
      const cursor = last && { jobId: last.jobId };
      // The state of jobs that have not ended is read from Temporal.
      const current = await Promise.all(items.map((job) => (isEnded(job.state) ? job : status(job.jobId))));
      return { jobs: current, nextPageToken: cursor ? jobTokens.encode(cursor, filter) : '' };
    },

    async cancelReconcileJob(request) {
      checkIds({ job_id: request.jobId });
      const job = await store.getJob(db, request.jobId);
      if (isEnded(job.state)) return job;
      // Marked first, so that no equal trigger joins this job from now on.
      await write(db, (trx) => store.markCancelling(trx, job.jobId));
      // Temporal knows the job only once it was started.
      await settled(job.jobId);
      await (await jobs()).cancel(job.jobId);
      return (await cancelUnstarted(job)) ?? status(job.jobId);
    },

    async listJobFailures(request) {
      checkIds({ job_id: request.jobId });
      const size = pageSize(request.pageSize);
      const after = failureTokens.decode(request.pageToken, request.jobId);
      const job = await store.getJob(db, request.jobId);
      // A running job records its failures after each page of tables. Failures since then are queried from its workflow.
      if (!after && !isEnded(job.state)) await recordLiveFailures(job.jobId);
      const { items, last } = await store.listFailures(db, request.jobId, size, after?.table);
      return { failures: items, nextPageToken: last ? failureTokens.encode({ table: last.table }, request.jobId) : '' };
    },

    async listJobChanges(request) {
      checkIds({ job_id: request.jobId });
      const size = pageSize(request.pageSize);
      const after = changeTokens.decode(request.pageToken, request.jobId);
      await requireReport(db, await store.getJob(db, request.jobId));
      const { items, last } = await listChanges(db, request.jobId, size, after);
      const cursor = last && { kind: jobChangeKindToJSON(last.kind), name: last.name };
      return { changes: items, nextPageToken: cursor ? changeTokens.encode(cursor, request.jobId) : '' };
    },

    async listJobOutcomes(request) {
      checkIds({ job_id: request.jobId });
      const size = pageSize(request.pageSize);
      const after = outcomeTokens.decode(request.pageToken, request.jobId);
      const job = await store.getJob(db, request.jobId);
      await requireReport(db, job);
      const { items, last } = await listOutcomes(db, request.jobId, size, after);
      const cursor = last && { kind: jobChangeKindToJSON(last.kind), name: last.name };
      // The last slice of a table that a full rescan had repaired before may have found nothing more to record.
      const hasFinished = job.state === JobState.JS_SUCCEEDED;
      const outcomes = items.map((item) => (hasFinished ? finished(item) : item));
      return { outcomes, nextPageToken: cursor ? outcomeTokens.encode(cursor, request.jobId) : '' };
    },
  };

  async function recordLiveFailures(jobId: string): Promise<void> {
    const live = await jobs()
      .then((control) => control.failures(jobId))
      .catch(() => []);
    if (live.length === 0) return;
    await write(db, (trx) => store.putFailures(trx, jobId, live.map(failureMessage)));
  }
}
