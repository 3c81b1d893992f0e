import type { Progress } from '../../contract/job.ts';
import type { WorkflowStatus } from '../../contract/job-control.ts';
import { countersOf, failureMessage, isEnded } from '../../contract/progress-message.ts';
import { CodedError } from '../../errors.ts';
import { JobState, type ReconcileJob } from '../../generated/reconciler/v1/jobs.ts';
import { TemporalUnreachable } from '../../temporal/temporal-errors.ts';
import type { JobDeps } from '../core/ports.ts';
import { evaluateAlert } from '../store/connectors/alerts.ts';
import { releaseClaim } from '../store/connectors/claims.ts';
import { findConnector } from '../store/connectors/connectors.ts';
import { write } from '../store/database/transaction.ts';
import { latestRun } from '../store/jobs/job-runs.ts';
import { findJob, getJob, putFailures, putJob } from '../store/jobs/jobs.ts';
import { createLiveProgress } from './live-progress.ts';
import { sendPendingAlert } from './pending-alert.ts';
import { wakeNext } from './wake.ts';

/**
 * A job that was recorded less than this time ago may not be in Temporal yet: another catalog service, or this one before a restart, may
 * have recorded the job but not yet started it.
 */
const START_GRACE_MS = 60_000;

/**
 * The outcome of a job whose workflow is closed in Temporal although the record has not ended. Normally a workflow records its end before it
 * closes.
 */
const OUTCOME_OF_CLOSED_WORKFLOW: Record<Exclude<WorkflowStatus, 'RUNNING'>, { state: JobState; message: string }> = {
  // The database may have lost its last transactions in a power failure, or been restored from a backup.
  COMPLETED: {
    state: JobState.JS_SUCCEEDED,
    message: 'succeeded; its last record was lost, so its counters are incomplete',
  },
  CANCELED: { state: JobState.JS_CANCELLED, message: 'cancelled before it recorded its end' },
  FAILED: {
    state: JobState.JS_FAILED,
    message: 'its workflow failed before it recorded its end; see it in the Temporal UI',
  },
  TERMINATED: { state: JobState.JS_FAILED, message: 'its workflow was terminated in Temporal' },
  TIMED_OUT: { state: JobState.JS_FAILED, message: 'its workflow timed out in Temporal' },
};

const CANCELLED_UNSTARTED = { state: JobState.JS_CANCELLED, message: 'cancelled before it was started' };

const UNKNOWN = {
  state: JobState.JS_FAILED,
  message: 'its workflow does not exist in Temporal: it was never started, or was deleted',
};

export interface JobStatus {
  /** A job as it is now, with live counters while it runs; that it no longer runs may be known some seconds late. */
  status(jobId: string): Promise<ReconcileJob>;
  /** Updates a job's record from Temporal, and returns it with the workflow's status: undefined if unknown, or if the job has ended. */
  refresh(jobId: string): Promise<{ job: ReconcileJob; workflowStatus?: WorkflowStatus }>;
  /**
   * Ends a job that is to be cancelled if Temporal does not know it: it was recorded, but not started. Should its start still arrive, the claim is
   * refused.
   *
   * @param job the record when its cancellation was requested
   * @returns undefined if the job was started
   */
  cancelUnstarted(job: ReconcileJob): Promise<ReconcileJob | undefined>;
}

/**
 * Returns the state of jobs. A job is marked as ended if its workflow closed in Temporal without recording its end. If Temporal cannot be
 * reached, the stored record is returned.
 */
export function createJobStatus(deps: JobDeps, isStarting: (jobId: string) => boolean): JobStatus {
  const { db, jobs, logger, observeJob } = deps;
  const live = createLiveProgress(deps);
  // Since when Temporal has not answered; undefined if it answered last.
  let awaySince: Date | undefined;
  return {
    refresh,

    async cancelUnstarted(job) {
      const { jobId } = job;
      // A job that has claimed was started, though its workflow may have been deleted since.
      if ((await latestRun(db, jobId)) !== undefined) return undefined;
      if ((await (await jobs()).describe(jobId)) !== undefined) return undefined;
      // A start that failed has deleted its record.
      if (!(await findJob(db, jobId))) return { ...job, ...CANCELLED_UNSTARTED };
      return markEnded(jobId, undefined, CANCELLED_UNSTARTED);
    },

    async status(jobId) {
      const { job, workflowStatus } = live.has(jobId)
        ? { job: await getJob(db, jobId), workflowStatus: 'RUNNING' }
        : await refresh(jobId);
      if (workflowStatus !== 'RUNNING' || isEnded(job.state)) {
        live.forget(jobId);
        return awaySince && !isEnded(job.state) && !isStarting(jobId) ? away(job, awaySince) : job;
      }
      try {
        const { progress, waiting } = await live.of(jobId);
        awaySince = undefined;
        if (waiting !== undefined) return withHolder({ ...job, ...waitingText(job, waiting) });
        return withHolder(progress ? withProgress(await getJob(db, jobId), progress) : job);
      } catch (error) {
        if (!isUnavailable(error)) return withHolder(job);
        awaySince ??= new Date();
        return away(job, awaySince);
      }
    },
  };

  async function refresh(jobId: string): Promise<{ job: ReconcileJob; workflowStatus?: WorkflowStatus }> {
    const job = await getJob(db, jobId);
    if (isEnded(job.state) || isStarting(jobId)) return { job };
    const run = await latestRun(db, jobId);
    let workflowStatus: WorkflowStatus | undefined;
    try {
      workflowStatus = await (await jobs()).describe(jobId);
      awaySince = undefined;
    } catch (error) {
      if (isUnavailable(error)) awaySince ??= new Date();
      if (!(error instanceof TemporalUnreachable))
        logger.warn({ job: jobId, err: error }, 'the status of a job cannot be read from Temporal');
      return { job };
    }
    if (workflowStatus === 'RUNNING') return { job, workflowStatus };
    // A time in the future was recorded before the clock was set back, nobody knows how long ago.
    const age = Math.abs(Date.now() - (job.createdAt?.getTime() ?? 0));
    if (workflowStatus === undefined && job.runId === '' && age < START_GRACE_MS) return { job };
    const outcome = workflowStatus === undefined ? UNKNOWN : OUTCOME_OF_CLOSED_WORKFLOW[workflowStatus];
    return { job: await markEnded(jobId, run, outcome), workflowStatus };
  }

  /** The message of a waiting job names the job that holds the claim on the connector. */
  async function withHolder(job: ReconcileJob): Promise<ReconcileJob> {
    if (job.state !== JobState.JS_QUEUED) return job;
    const holder = (await findConnector(db, job.connectorId))?.runningJobId ?? '';
    if (holder === '' || holder === job.jobId) return job;
    return { ...job, message: `waiting for job ${holder}, which has the connector` };
  }

  /** @param run the job's latest run before its status was read: if it was reset since then, it runs again */
  async function markEnded(
    jobId: string,
    run: string | undefined,
    outcome: { state: JobState; message: string },
  ): Promise<ReconcileJob> {
    const failed = outcome.state === JobState.JS_FAILED;
    // The job did not complete its work.
    const failures = failed ? [failureMessage({ table: '', code: 'ABORTED', ...outcome, failedAtMs: Date.now() })] : [];
    const [before, after, alert] = await write(db, async (trx) => {
      const job = await getJob(trx, jobId);
      if (isEnded(job.state) || (await latestRun(trx, jobId)) !== run) return [job, job];
      await releaseClaim(trx, jobId);
      await putFailures(trx, jobId, failures);
      const before = countersOf(job);
      const counters = { ...before, errors: before.errors + BigInt(failures.length) };
      const ended = await putJob(trx, { ...job, ...outcome, counters, paused: false });
      return [job, ended, await evaluateAlert(trx, ended)];
    });
    observeJob(before, after, before === after ? [] : failures);
    wakeNext(deps, after.connectorId);
    // The workflow is closed, so it cannot send the alert.
    if (alert) await sendPendingAlert(deps, after.connectorId);
    return after;
  }
}

const isUnavailable = (error: unknown) => error instanceof CodedError && error.code === 'UNAVAILABLE';

/** The fields in which a job that does not progress states why. */
const waitingText = ({ state, phase }: ReconcileJob, text: string) => ({
  message: text,
  phase: state === JobState.JS_QUEUED ? phase : text,
});

/** The record as it was when Temporal answered last. */
function away(job: ReconcileJob, since: Date): ReconcileJob {
  const at = since.toISOString().slice(11, 19);
  return {
    ...job,
    ...waitingText(job, `Temporal cannot be reached since ${at} UTC; the job continues when it answers again`),
  };
}

/** The record with what its workflow reports. Its counters are the recorded ones, which are at least as high. */
function withProgress(job: ReconcileJob, progress: Progress): ReconcileJob {
  if (isEnded(job.state)) return job;
  const isQueued = progress.state === 'JS_QUEUED';
  // The job has claimed its connector since its workflow was asked.
  if (isQueued && job.state === JobState.JS_RUNNING) return job;
  const activity =
    progress.inFlight.length > 0 ? `${progress.phase}: ${progress.inFlight.slice(0, 5).join(', ')}` : progress.phase;
  return {
    ...job,
    // The job has ended only when its record has, which also has the message.
    state: isQueued ? JobState.JS_QUEUED : JobState.JS_RUNNING,
    message: isQueued ? job.message : activity,
    phase: progress.phase,
    paused: progress.paused ?? false,
  };
}
