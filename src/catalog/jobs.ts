import { z } from 'zod';
import { failureMessage } from '../clients/progress-message.ts';
import { CodedError } from '../errors.ts';
import {
  type Connector,
  ConnectorState,
  type ConnectorsServiceImplementation,
  TriggerReconcileRequest,
} from '../generated/reconciler/v1/connectors.ts';
import { JobState, JobTrigger, jobChangeKindToJSON, ReconcileJob } from '../generated/reconciler/v1/jobs.ts';
import { parseName } from '../names.ts';
import type { ReconcileRequest } from '../workflows/contract.ts';
import { checkColumns } from './connector-checks.ts';
import type { ServiceDeps } from './deps.ts';
import { sortableId } from './ids.ts';
import { createJobStatus } from './job-status.ts';
import { PageTokens, page, pageSize } from './rpc/page-token.ts';
import { Checks } from './rpc/violations.ts';
import { getConnector } from './store/connectors.ts';
import { answeredBefore, rememberAnswer, requestHash } from './store/idempotency.ts';
import * as store from './store/jobs.ts';

const jobTokens = new PageTokens('ListReconcileJobs', z.object({ createdAt: z.number(), jobId: z.string() }));
const changeTokens = new PageTokens('ListJobChanges', z.object({ kind: z.string(), name: z.string() }));
const failureTokens = new PageTokens('ListJobFailures', z.object({ table: z.string() }));

type JobCalls = Pick<
  ConnectorsServiceImplementation,
  | 'triggerReconcile'
  | 'getReconcileJob'
  | 'listReconcileJobs'
  | 'cancelReconcileJob'
  | 'listJobFailures'
  | 'listJobChanges'
>;

/** The calls of the service Connectors that are about jobs. */
export function createJobCalls(deps: ServiceDeps): JobCalls {
  const { db, jobs } = deps;
  // Jobs between their record and Temporal's answer: their workflow may not be there yet.
  const starting = new Map<string, Promise<void>>();
  const status = createJobStatus(deps, (jobId) => starting.has(jobId));

  return {
    async triggerReconcile(request) {
      checkTrigger(request);
      const hash = requestHash(TriggerReconcileRequest.encode(request).finish());
      const { job, connector } = await db.transaction().execute(async (trx) => {
        const connector = await getConnector(trx, request.connectorId);
        const first = await answeredBefore(trx, 'TriggerReconcile', request.idempotencyKey, hash);
        const known = first === undefined ? undefined : await store.findJob(trx, first);
        if (known) return { job: known, connector };
        refuseInactive(connector);
        const job = await store.putJob(trx, queuedJob(connector, request));
        await rememberAnswer(trx, 'TriggerReconcile', request.idempotencyKey, hash, job.jobId);
        return { job, connector };
      });
      // A record without a run id was not started yet: by this call, or by one with the same key that was cut off.
      if (job.runId === '' && !store.hasEnded(job.state)) await start(job, connector, request);
      return { jobId: job.jobId };
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
      const { items, last } = page(await store.listChanges(db, request.jobId, size + 1, after), size);
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

  /** Starts the workflow once, however many calls with the same key ask for it. */
  function start(job: ReconcileJob, connector: Connector, request: TriggerReconcileRequest): Promise<void> {
    const running =
      starting.get(job.jobId) ?? startOnce(job, connector, request).finally(() => starting.delete(job.jobId));
    starting.set(job.jobId, running);
    return running;
  }

  async function startOnce(job: ReconcileJob, connector: Connector, request: TriggerReconcileRequest): Promise<void> {
    const named = { id: connector.connectorId, name: connector.displayName };
    let runId: string;
    try {
      ({ runId } = await (await jobs()).start(job.jobId, workflowInput(connector, request), named));
    } catch (error) {
      await db.transaction().execute((trx) => store.deleteJob(trx, job.jobId));
      if (error instanceof CodedError) throw error;
      throw new CodedError('UNAVAILABLE', `job could not be started: ${(error as Error).message}`, { cause: error });
    }
    await db.transaction().execute(async (trx) => {
      // The worker may have recorded more by now.
      const recorded = (await store.findJob(trx, job.jobId)) ?? job;
      await store.putJob(trx, { ...recorded, runId: recorded.runId || runId });
    });
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
  checks.text(request.idempotencyKey, 'idempotency_key', { max: 512 });
  checks.done();
}

function checkJobId(jobId: string): void {
  const checks = new Checks();
  checks.id(jobId, 'job_id');
  checks.done();
}

function refuseInactive(connector: Connector): void {
  if (connector.state === ConnectorState.CONNECTOR_STATE_ACTIVE) return;
  const state = connector.state.replace('CONNECTOR_STATE_', '');
  throw new CodedError(
    'FAILED_PRECONDITION',
    `connector '${connector.displayName}' is ${state}: only an ACTIVE one can run`,
  );
}

function queuedJob(connector: Connector, request: TriggerReconcileRequest): ReconcileJob {
  return ReconcileJob.fromPartial({
    jobId: jobIdFor(connector.displayName),
    connectorId: connector.connectorId,
    connectorName: connector.displayName,
    state: JobState.JS_QUEUED,
    message: 'waits for a worker',
    fullRescan: request.fullRescan,
    phase: 'queued',
    trigger: JobTrigger.JOB_TRIGGER_MANUAL,
  });
}

/** Readable, safe in a URL, and newer ones sort behind older ones of the same connector. */
export function jobIdFor(connectorName: string): string {
  const plain = connectorName
    .normalize('NFKD')
    .replace(/[^A-Za-z0-9._-]+/g, '-')
    .replace(/^-+|-+$/g, '')
    .slice(0, 60);
  return `reconcile-${plain || 'connector'}-${sortableId()}`;
}

function workflowInput(connector: Connector, request: TriggerReconcileRequest): ReconcileRequest {
  const scope: NonNullable<ReconcileRequest['scope']> = {};
  if (request.destinationNamespacePaths.length > 0) scope.namespaces = request.destinationNamespacePaths;
  if (request.destinationTableName !== '') scope.table = request.destinationTableName;
  if (request.destinationColumns.length > 0) scope.columns = request.destinationColumns;
  return {
    connector: connector.connectorId,
    trigger: 'manual',
    ...(request.fullRescan ? { full: true } : {}),
    ...(request.allowMissing ? { allowMissing: true } : {}),
    ...(Object.keys(scope).length > 0 ? { scope } : {}),
  };
}
