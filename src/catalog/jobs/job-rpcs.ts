import { z } from 'zod';
import { failureMessage } from '../../contract/progress-message.ts';
import {
  type ConnectorsServiceImplementation,
  RetryReconcileJobRequest,
  TriggerReconcileRequest,
} from '../../generated/reconciler/v1/connectors.ts';
import { jobChangeKindToJSON } from '../../generated/reconciler/v1/jobs.ts';
import { parseName } from '../../names.ts';
import type { ServiceDeps } from '../core/ports.ts';
import { PageTokens, page, pageSize } from '../rpc/page-token.ts';
import { Checks } from '../rpc/violations.ts';
import { getConnector } from '../store/connectors/connectors.ts';
import { requestHash } from '../store/database/idempotency.ts';
import { listChanges } from '../store/jobs/job-changes.ts';
import * as store from '../store/jobs/jobs.ts';
import { checkColumns } from '../validation/connector-checks.ts';
import { checkSelection } from '../validation/selection-checks.ts';
import { requestOf } from './job-request.ts';
import { retryRequestOf } from './retry-request.ts';
import { createJobStarter } from './start-job.ts';

const jobTokens = new PageTokens('ListReconcileJobs', z.object({ createdAt: z.number(), jobId: z.string() }));
const changeTokens = new PageTokens('ListJobChanges', z.object({ kind: z.string(), name: z.string() }));
const failureTokens = new PageTokens('ListJobFailures', z.object({ table: z.string() }));

type JobRpcs = Pick<
  ConnectorsServiceImplementation,
  | 'triggerReconcile'
  | 'retryReconcileJob'
  | 'getReconcileJob'
  | 'listReconcileJobs'
  | 'cancelReconcileJob'
  | 'listJobFailures'
  | 'listJobChanges'
>;

/** The calls of the service Connectors that are about jobs. */
export function createJobRpcs(deps: ServiceDeps): JobRpcs {
  const { db, jobs } = deps;
  const {
    jobFor,
    status: { status, refresh },
  } = createJobStarter(deps);

  return {
    async triggerReconcile(request) {
      checkTrigger(request);
      return jobFor({
        scope: 'TriggerReconcile',
        idempotencyKey: request.idempotencyKey,
        hash: requestHash(TriggerReconcileRequest.encode(request).finish()),
        async wanted(trx) {
          const connector = await getConnector(trx, request.connectorId);
          return { connector, request: requestOf(connector, request) };
        },
      });
    },

    async retryReconcileJob(request) {
      checkJobId(request.jobId);
      const checks = new Checks();
      checks.text(request.idempotencyKey, 'idempotency_key', { max: 512 });
      checks.done();
      // One that ended without a word has ended.
      await refresh(request.jobId);
      return jobFor({
        scope: 'RetryReconcileJob',
        idempotencyKey: request.idempotencyKey,
        hash: requestHash(RetryReconcileJobRequest.encode(request).finish()),
        async wanted(trx) {
          const job = await store.getJob(trx, request.jobId);
          const connector = await getConnector(trx, job.connectorId);
          return { connector, request: await retryRequestOf(trx, job), retryOf: job.jobId };
        },
      });
    },

    async getReconcileJob(request) {
      checkJobId(request.jobId);
      return status(request.jobId);
    },

    async listReconcileJobs(request) {
      const size = pageSize(request.pageSize);
      const after = jobTokens.decode(request.pageToken, request.connectorId);
      const { items, last } = page(await store.listJobs(db, size + 1, request.connectorId, after), size);
      const cursor = last && { createdAt: last.createdAt?.getTime() ?? 0, jobId: last.jobId };
      // Of those that have not ended, Temporal knows how they stand.
      const now = await Promise.all(items.map((job) => (store.hasEnded(job.state) ? job : status(job.jobId))));
      return { jobs: now, nextPageToken: cursor ? jobTokens.encode(cursor, request.connectorId) : '' };
    },

    async cancelReconcileJob(request) {
      checkJobId(request.jobId);
      const job = await store.getJob(db, request.jobId);
      if (store.hasEnded(job.state)) return job;
      // First: from now on it answers for no trigger that is equal to it.
      await db.transaction().execute((trx) => store.markCancelling(trx, job.jobId));
      await (await jobs()).cancel(job.jobId);
      return status(job.jobId);
    },

    async listJobFailures(request) {
      checkJobId(request.jobId);
      const size = pageSize(request.pageSize);
      const after = failureTokens.decode(request.pageToken, request.jobId);
      const job = await store.getJob(db, request.jobId);
      // A running job records its failures with the next page of tables; those that come meanwhile are asked of it.
      if (!after && !store.hasEnded(job.state)) await recordLiveFailures(job.jobId);
      const { items, last } = page(await store.listFailures(db, request.jobId, size + 1, after?.table), size);
      return { failures: items, nextPageToken: last ? failureTokens.encode({ table: last.table }, request.jobId) : '' };
    },

    async listJobChanges(request) {
      checkJobId(request.jobId);
      const size = pageSize(request.pageSize);
      const after = changeTokens.decode(request.pageToken, request.jobId);
      await store.getJob(db, request.jobId);
      const { items, last } = page(await listChanges(db, request.jobId, size + 1, after), size);
      const cursor = last && { kind: jobChangeKindToJSON(last.kind), name: last.name };
      return { changes: items, nextPageToken: cursor ? changeTokens.encode(cursor, request.jobId) : '' };
    },
  };

  async function recordLiveFailures(jobId: string): Promise<void> {
    const live = await jobs()
      .then((control) => control.failures(jobId))
      .catch(() => []);
    if (live.length === 0) return;
    await db.transaction().execute((trx) => store.putFailures(trx, jobId, live.map(failureMessage)));
  }
}

const MAX_PATHS = 1000;

function checkTrigger(request: TriggerReconcileRequest): void {
  const checks = new Checks();
  checks.id(request.connectorId, 'connector_id');
  const paths = request.destinationNamespacePaths;
  const field = 'destination_namespace_paths';
  checks.that(paths.length <= MAX_PATHS, field, `has ${paths.length} entries, at most ${MAX_PATHS} are allowed`);
  for (const [index, path] of paths.entries()) {
    try {
      parseName(path);
    } catch (error) {
      checks.that(false, `${field}[${index}]`, (error as Error).message);
    }
  }
  if (request.destinationTableName !== '') checks.name(request.destinationTableName, 'destination_table_name');
  checkColumns(checks, request.destinationColumns, 'destination_columns');
  checkSelection(checks, request.snapshots, 'snapshots');
  checks.text(request.idempotencyKey, 'idempotency_key', { max: 512 });
  checks.done();
}

function checkJobId(jobId: string): void {
  const checks = new Checks();
  checks.id(jobId, 'job_id');
  checks.done();
}
