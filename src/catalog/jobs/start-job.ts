import type { Kysely } from 'kysely';
import { captureModeToProto } from '../../contract/capture-options-proto.ts';
import type { ReconcileRequest } from '../../contract/job.ts';
import { isEnded } from '../../contract/progress-message.ts';
import { CodedError } from '../../errors.ts';
import {
  type Connector,
  ConnectorState,
  type TriggerReconcileResponse,
} from '../../generated/reconciler/v1/connectors.ts';
import { JobState, JobTrigger, ReconcileJob } from '../../generated/reconciler/v1/jobs.ts';
import { shellWord } from '../../names.ts';
import type { ServiceDeps } from '../core/ports.ts';
import { findCreatedResource, recordCreatedResource } from '../store/database/idempotency.ts';
import type { Schema } from '../store/database/schema.ts';
import * as store from '../store/jobs/jobs.ts';
import { jobIdFor } from './job-id.ts';
import { sameAsked } from './job-request.ts';
import { createJobStatus, type JobStatus } from './job-status.ts';

/** A call that asks for a job. */
interface JobCall {
  /** Of idempotency keys: the RPC's name. */
  scope: string;
  idempotencyKey: string;
  /** Of the request. */
  hash: string;
  /** What is to run. Called in the transaction that decides. */
  wanted(trx: Kysely<Schema>): Promise<{ connector: Connector; request: ReconcileRequest; retryOf?: string }>;
}

export interface JobStarter {
  status: JobStatus;
  /**
   * A job for the call: the one that its key gave before, an equal one that still waits, or a new one.
   *
   * @throws CodedError FAILED_PRECONDITION where the connector is not active, INVALID_ARGUMENT where too much is asked for, UNAVAILABLE
   *   where Temporal cannot be reached (then there is no record, unless a call before made it), DEADLINE_EXCEEDED where it did not say
   *   whether it started the job (then there is)
   */
  jobFor(call: JobCall): Promise<TriggerReconcileResponse>;
}

/** Starts jobs, each once, and gives how they stand. */
export function createJobStarter(deps: ServiceDeps): JobStarter {
  const { db, jobs } = deps;
  // Jobs between their record and Temporal's answer: their workflow may not be there yet.
  const starting = new Map<string, Promise<void>>();
  const status = createJobStatus(deps, (jobId) => starting.has(jobId));

  return {
    status,

    async jobFor({ scope, idempotencyKey, hash, wanted }) {
      // Waiting jobs that were found dead: they answer for no trigger.
      const dead = new Set<string>();
      for (;;) {
        const { job, existing, joined } = await db.transaction().execute(async (trx) => {
          const first = await findCreatedResource(trx, scope, idempotencyKey, hash);
          const known = first === undefined || dead.has(first) ? undefined : await store.findJob(trx, first);
          if (known) return { job: known, existing: true, joined: false };
          const { connector, request, retryOf } = await wanted(trx);
          refuseInactive(connector);
          // It scans only after its claim, a transaction of this database: what the upstream has now, it will see.
          const waiting = await equalWaiting(trx, connector, request, dead);
          const job = waiting ?? (await store.putJob(trx, queuedJob(connector, request, retryOf)));
          await recordCreatedResource(trx, scope, idempotencyKey, hash, job.jobId);
          return { job, existing: waiting !== undefined, joined: waiting !== undefined };
        });
        // A record without a run id was not started yet: by this call, or by one that was cut off.
        if (job.runId === '' && !isEnded(job.state)) await start(job, existing);
        if (!joined || !isEnded((await status.refresh(job.jobId)).job.state)) return { jobId: job.jobId, existing };
        dead.add(job.jobId);
      }
    },
  };

  async function equalWaiting(
    trx: Kysely<Schema>,
    { connectorId }: Connector,
    request: ReconcileRequest,
    dead: ReadonlySet<string>,
  ): Promise<ReconcileJob | undefined> {
    const waiting = await store.waitingJobs(trx, connectorId, MAX_WAITING);
    return waiting.find(
      ({ jobId, requestJson }) =>
        !dead.has(jobId) && requestJson !== '' && sameAsked(JSON.parse(requestJson) as ReconcileRequest, request),
    );
  }

  /** Starts the workflow once, however many calls ask for it. */
  function start(job: ReconcileJob, existing: boolean): Promise<void> {
    const running = starting.get(job.jobId) ?? startOnce(job, existing).finally(() => starting.delete(job.jobId));
    starting.set(job.jobId, running);
    return running;
  }

  /** @param existing another call, which was cut off, may have started it: its record stays */
  async function startOnce(job: ReconcileJob, existing: boolean): Promise<void> {
    const named = { id: job.connectorId, name: job.connectorName };
    let runId: string;
    try {
      ({ runId } = await (await jobs()).start(job.jobId, JSON.parse(job.requestJson) as ReconcileRequest, named));
    } catch (error) {
      // It may run: what became of it is found out when somebody asks for it.
      if (error instanceof CodedError && error.code === 'DEADLINE_EXCEEDED') throw error;
      if (!existing) await db.transaction().execute((trx) => store.deleteJob(trx, job.jobId));
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

/** Each activity of the job has what was asked for in its input, and Temporal bounds them all together. */
const MAX_REQUEST_BYTES = 64 * 1024;

function inputOf(request: ReconcileRequest): string {
  const json = JSON.stringify(request);
  const bytes = Buffer.byteLength(json);
  if (bytes <= MAX_REQUEST_BYTES) return json;
  throw new CodedError(
    'INVALID_ARGUMENT',
    `what is asked for has ${bytes} bytes as JSON, a job takes at most ${MAX_REQUEST_BYTES}: name fewer namespaces, columns, snapshots or ` +
      "branches, or set them in the connector's source",
  );
}

/** Of a connector, looked at for an equal one. */
const MAX_WAITING = 100;

function refuseInactive({ state, displayName }: Connector): void {
  if (state === ConnectorState.CONNECTOR_STATE_ACTIVE) return;
  const resume =
    state === ConnectorState.CONNECTOR_STATE_PAUSED
      ? `; resume it with reconciler connector resume ${shellWord(displayName)}`
      : '';
  throw new CodedError(
    'FAILED_PRECONDITION',
    `connector '${displayName}' is ${state.replace('CONNECTOR_STATE_', '')}: only an ACTIVE one can run${resume}`,
  );
}

function queuedJob(connector: Connector, request: ReconcileRequest, retryOf = ''): ReconcileJob {
  return ReconcileJob.fromPartial({
    jobId: jobIdFor(connector.displayName),
    connectorId: connector.connectorId,
    connectorName: connector.displayName,
    state: JobState.JS_QUEUED,
    message: 'waits for a worker',
    fullRescan: request.full ?? false,
    phase: 'queued',
    trigger: retryOf === '' ? JobTrigger.JOB_TRIGGER_MANUAL : JobTrigger.JOB_TRIGGER_RETRY,
    mode: captureModeToProto(request.mode),
    dryRun: request.dryRun ?? false,
    requestJson: inputOf(request),
    retryOfJobId: retryOf,
  });
}
