import { captureModeToProto } from '../../contract/capture-options-proto.ts';
import type { ReconcileRequest } from '../../contract/job.ts';
import { isEnded } from '../../contract/progress-message.ts';
import { tooLong } from '../../contract/request-length.ts';
import { namedTenant } from '../../contract/tenant.ts';
import { CodedError } from '../../errors.ts';
import {
  type Connector,
  ConnectorState,
  type TriggerReconcileResponse,
} from '../../generated/reconciler/v1/connectors.ts';
import { JobState, JobTrigger, ReconcileJob } from '../../generated/reconciler/v1/jobs.ts';
import { shellWord } from '../../text.ts';
import type { ServiceDeps } from '../core/ports.ts';
import { findCreatedResource, recordCreatedResource } from '../store/database/idempotency.ts';
import type { Scoped } from '../store/database/scoped.ts';
import { write } from '../store/database/transaction.ts';
import * as store from '../store/jobs/jobs.ts';
import { jobIdFor } from './job-id.ts';
import { isSameWork } from './job-request.ts';
import { createJobStatus, type JobStatus } from './job-status.ts';

/** A call that starts a job. */
interface JobCall {
  /** The scope of the idempotency key: the RPC's name. */
  scope: string;
  idempotencyKey: string;
  /** A digest of the request; see `requestHash`. */
  hash: string;
  /** Returns what to run. Called in the transaction that creates the job. */
  prepare(trx: Scoped): Promise<{ connector: Connector; request: ReconcileRequest; retryOf?: string }>;
}

export interface JobStarter {
  status: JobStatus;
  /**
   * Returns the job of the call: the job that its idempotency key created before, an equal job that is still waiting, or a new one.
   *
   * @throws CodedError FAILED_PRECONDITION if the connector is not active, INVALID_ARGUMENT if the request is too large, UNAVAILABLE if
   *   Temporal cannot be reached (then the job is not recorded, unless an earlier call recorded it), DEADLINE_EXCEEDED if Temporal did not
   *   confirm the start (then the job is recorded)
   */
  jobFor(call: JobCall): Promise<TriggerReconcileResponse>;
  /** Waits until no start of the job is in flight in this process, whether or not it succeeds. */
  settled(jobId: string): Promise<void>;
}

/** Jobs that are recorded but whose start Temporal has not confirmed, by tenant and id. Their workflows may not exist yet. */
export type Starting = Map<string, Promise<void>>;

/** Starts each job once, and returns the status of jobs. */
export function createJobStarter(deps: ServiceDeps, starting: Starting): JobStarter {
  const { db, jobs } = deps;
  const keyOf = (jobId: string) => `${db.tenant} ${jobId}`;
  const status = createJobStatus(deps, (jobId) => starting.has(keyOf(jobId)));

  return {
    status,

    settled: (jobId) => starting.get(keyOf(jobId))?.catch(() => undefined) ?? Promise.resolve(),

    async jobFor({ scope, idempotencyKey, hash, prepare }) {
      // Jobs that seemed to be waiting but have ended. No trigger joins them.
      const dead = new Set<string>();
      for (;;) {
        const excess = await deps.limits.excess('runningJobs');
        const { job, existing, joined } = await write(db, async (trx) => {
          const first = await findCreatedResource(trx, scope, idempotencyKey, hash);
          const known = first === undefined || dead.has(first) ? undefined : await store.findJob(trx, first);
          if (known) return { job: known, existing: true, joined: false };
          const { connector, request: asked, retryOf } = await prepare(trx);
          const request = { ...asked, ...namedTenant(db.tenant) };
          refuseInactive(connector);
          if (excess) throw excess;
          // A waiting job has not claimed the connector yet, so it will scan the current state of the upstream.
          const waiting = await equalWaiting(trx, connector, request, dead);
          const job = waiting ?? (await store.putJob(trx, queuedJob(db.tenant, connector, request, retryOf)));
          if (request.allowMissing) await store.allowMissing(trx, job.jobId);
          await recordCreatedResource(trx, scope, idempotencyKey, hash, job.jobId);
          return { job, existing: waiting !== undefined, joined: waiting !== undefined };
        });
        // Without a run id the job was not started yet: it is new, or an earlier call was interrupted.
        if (job.runId === '' && !isEnded(job.state)) await start(job, existing);
        if (!joined || !isEnded((await status.refresh(job.jobId)).job.state)) return { jobId: job.jobId, existing };
        dead.add(job.jobId);
      }
    },
  };

  async function equalWaiting(
    trx: Scoped,
    { connectorId }: Connector,
    request: ReconcileRequest,
    dead: ReadonlySet<string>,
  ): Promise<ReconcileJob | undefined> {
    const waiting = await store.waitingJobs(trx, connectorId, MAX_WAITING);
    return waiting.find(
      ({ jobId, requestJson }) =>
        !dead.has(jobId) && requestJson !== '' && isSameWork(JSON.parse(requestJson) as ReconcileRequest, request),
    );
  }

  /** Starts the workflow. Concurrent calls for the same job share one start. */
  function start(job: ReconcileJob, existing: boolean): Promise<void> {
    const key = keyOf(job.jobId);
    const running = starting.get(key) ?? startOnce(job, existing).finally(() => starting.delete(key));
    starting.set(key, running);
    return running;
  }

  /** @param existing an earlier call recorded the job and may have started it, so the record is kept if the start fails */
  async function startOnce(job: ReconcileJob, existing: boolean): Promise<void> {
    const connector = { id: job.connectorId, name: job.connectorName };
    const request = JSON.parse(job.requestJson) as ReconcileRequest;
    let runId: string;
    try {
      ({ runId } = await (await jobs()).start(job.jobId, request, connector, job.retryOfJobId || undefined));
    } catch (error) {
      // The job may be running. Its state is determined when it is next requested.
      if (error instanceof CodedError && error.code === 'DEADLINE_EXCEEDED') throw error;
      if (!existing) await write(db, (trx) => store.deleteJob(trx, job.jobId));
      if (error instanceof CodedError) throw error;
      throw new CodedError('UNAVAILABLE', `job ${job.jobId} could not be started: ${(error as Error).message}`, {
        cause: error,
      });
    }
    await write(db, async (trx) => {
      // The worker may have recorded more by now.
      const recorded = (await store.findJob(trx, job.jobId)) ?? job;
      await store.putJob(trx, { ...recorded, runId: recorded.runId || runId });
    });
  }
}

function inputJson(request: ReconcileRequest): string {
  const problem = tooLong(request);
  if (problem !== undefined) throw new CodedError('INVALID_ARGUMENT', problem);
  return JSON.stringify(request);
}

/** Number of waiting jobs per connector that are compared with a new request. */
const MAX_WAITING = 100;

function refuseInactive({ state, displayName }: Connector): void {
  if (state === ConnectorState.CONNECTOR_STATE_ACTIVE) return;
  const resume =
    state === ConnectorState.CONNECTOR_STATE_PAUSED
      ? `; resume it with reconciler connector resume ${shellWord(displayName)}`
      : '';
  throw new CodedError(
    'FAILED_PRECONDITION',
    `connector '${displayName}' is ${state.replace('CONNECTOR_STATE_', '')}: only an ACTIVE connector can run${resume}`,
  );
}

function queuedJob(tenant: string, connector: Connector, request: ReconcileRequest, retryOf = ''): ReconcileJob {
  return ReconcileJob.fromPartial({
    jobId: jobIdFor(tenant, connector.displayName),
    connectorId: connector.connectorId,
    connectorName: connector.displayName,
    state: JobState.JS_QUEUED,
    message: 'waiting for a worker',
    full: request.full ?? false,
    phase: 'queued',
    trigger: retryOf === '' ? JobTrigger.JOB_TRIGGER_MANUAL : JobTrigger.JOB_TRIGGER_RETRY,
    mode: captureModeToProto(request.mode),
    dryRun: request.dryRun ?? false,
    requestJson: inputJson(request),
    retryOfJobId: retryOf,
  });
}
