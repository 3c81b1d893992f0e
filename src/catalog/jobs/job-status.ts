import type { Progress } from '../../contract/job.ts';
import type { WorkflowStatus } from '../../contract/job-control.ts';
import { countersOf, failureMessage, isEnded, progressMessage } from '../../contract/progress-message.ts';
import { JobState, type ReconcileJob } from '../../generated/reconciler/v1/jobs.ts';
import type { ServiceDeps } from '../core/ports.ts';
import { evaluateAlert, unclaimAlert } from '../store/connectors/alerts.ts';
import { findConnector, releaseClaim } from '../store/connectors/connectors.ts';
import { getJob, putFailures, putJob } from '../store/jobs/jobs.ts';

/**
 * A job that was recorded this short a while ago may not be in Temporal yet: another catalog service, or one before a
 * restart, can be between the record and the start.
 */
const START_GRACE_MS = 60_000;

/** What became of a workflow that is closed in Temporal, and of whose end there is no record: that comes before the workflow closes. */
const OUTCOME_OF_CLOSED_WORKFLOW: Record<Exclude<WorkflowStatus, 'RUNNING'>, { state: JobState; message: string }> = {
  // A power cut takes the database's last transactions, and a backup knows less.
  COMPLETED: {
    state: JobState.JS_SUCCEEDED,
    message: 'succeeded; its last record was lost, and its last counts with it',
  },
  CANCELED: { state: JobState.JS_CANCELLED, message: 'cancelled before it recorded its end' },
  FAILED: {
    state: JobState.JS_FAILED,
    message: 'its workflow failed before it recorded its end; see it in the Temporal UI',
  },
  TERMINATED: { state: JobState.JS_FAILED, message: 'its workflow was terminated in Temporal' },
  TIMED_OUT: { state: JobState.JS_FAILED, message: 'its workflow timed out in Temporal' },
};

const UNKNOWN = {
  state: JobState.JS_FAILED,
  message: 'Temporal does not know its workflow any more: it was never started, or was deleted',
};

export interface JobStatus {
  /** A job as it is now, with live counters while it runs. */
  status(jobId: string): Promise<ReconcileJob>;
  /** A job's record, and how its workflow stands; undefined where that is not known, or of no account any more. */
  refresh(jobId: string): Promise<{ job: ReconcileJob; standing?: WorkflowStatus }>;
}

/**
 * Tells of jobs. One that Temporal knows to have ended without a word is brought to its end. Where Temporal cannot be asked, the record
 * answers.
 */
export function createJobStatus(
  { db, jobs, logger, observeJob }: Pick<ServiceDeps, 'db' | 'jobs' | 'logger' | 'observeJob'>,
  isStarting: (jobId: string) => boolean,
): JobStatus {
  return {
    refresh,

    async status(jobId) {
      const { job, standing } = await refresh(jobId);
      if (standing !== 'RUNNING') return job;
      const progress = await jobs()
        .then((control) => control.progress(jobId))
        .catch(() => undefined);
      return withHolder(progress ? withProgress(await getJob(db, jobId), progress) : job);
    },
  };

  async function refresh(jobId: string): Promise<{ job: ReconcileJob; standing?: WorkflowStatus }> {
    const job = await getJob(db, jobId);
    if (isEnded(job.state) || isStarting(jobId)) return { job };
    let standing: WorkflowStatus | undefined;
    try {
      standing = await (await jobs()).describe(jobId);
    } catch (error) {
      logger.warn({ job: jobId, err: error }, 'Temporal cannot be asked about a job');
      return { job };
    }
    if (standing === 'RUNNING') return { job, standing };
    if (standing === undefined && job.runId === '' && Date.now() - (job.createdAt?.getTime() ?? 0) < START_GRACE_MS) {
      return { job };
    }
    return {
      job: await markEnded(jobId, standing === undefined ? UNKNOWN : OUTCOME_OF_CLOSED_WORKFLOW[standing]),
      standing,
    };
  }

  /** One that waits says for which job. */
  async function withHolder(job: ReconcileJob): Promise<ReconcileJob> {
    if (job.state !== JobState.JS_QUEUED) return job;
    const holder = (await findConnector(db, job.connectorId))?.runningJobId ?? '';
    if (holder === '' || holder === job.jobId) return job;
    return { ...job, message: `waits for job ${holder}, which has the connector` };
  }

  async function markEnded(jobId: string, lost: { state: JobState; message: string }): Promise<ReconcileJob> {
    const failed = lost.state === JobState.JS_FAILED;
    // It did not get to all that it was asked for.
    const failures = failed ? [failureMessage({ table: '', code: 'ABORTED', ...lost, failedAtMs: Date.now() })] : [];
    const [before, after, alert] = await db.transaction().execute(async (trx) => {
      const job = await getJob(trx, jobId);
      if (isEnded(job.state)) return [job, job];
      await releaseClaim(trx, jobId);
      await putFailures(trx, jobId, failures);
      const before = countersOf(job);
      const counters = { ...before, errors: before.errors + BigInt(failures.length) };
      const ended = await putJob(trx, { ...job, ...lost, counters, paused: false });
      return [job, ended, await evaluateAlert(trx, ended)];
    });
    observeJob(before, after, before === after ? [] : failures);
    // No workflow is left that would send it.
    if (alert) {
      await jobs()
        .then((control) => control.alert(alert))
        .catch((err) => {
          logger.warn({ job: jobId, err }, 'no alert is sent of a job: the next one that fails is told of');
          return unclaimAlert(db, after.connectorId, alert);
        });
    }
    return after;
  }
}

function withProgress(job: ReconcileJob, progress: Progress): ReconcileJob {
  if (isEnded(job.state)) return job;
  const doing =
    progress.inFlight.length > 0 ? `${progress.phase}: ${progress.inFlight.slice(0, 5).join(', ')}` : progress.phase;
  return {
    ...job,
    // It has ended only once its record says so, with its message.
    state: progress.state === 'JS_QUEUED' ? JobState.JS_QUEUED : JobState.JS_RUNNING,
    message: progress.state === 'JS_QUEUED' ? job.message : doing,
    ...progressMessage(progress),
  };
}
