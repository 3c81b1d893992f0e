import type { WorkflowStanding } from '../clients/job-control.ts';
import { progressMessage } from '../clients/progress-message.ts';
import { JobState, type ReconcileJob } from '../generated/reconciler/v1/jobs.ts';
import type { Progress } from '../workflows/contract.ts';
import type { ServiceDeps } from './deps.ts';
import { setRunningJob } from './store/connectors.ts';
import { getJob, hasEnded, putJob } from './store/jobs.ts';

/**
 * A job that was recorded this short a while ago may not be in Temporal yet: another catalog service, or one before a
 * restart, can be between the record and the start.
 */
const START_GRACE_MS = 30_000;

/** What became of a workflow that is closed in Temporal but did not record its end. */
const LOST: Record<Exclude<WorkflowStanding, 'RUNNING' | 'COMPLETED'>, { state: JobState; message: string }> = {
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

/**
 * Gives a job as it is now: with live counters while it runs, and brought to its end where Temporal knows that it has ended
 * without a word. Where Temporal cannot be asked, the record answers.
 */
export function createJobStatus({ db, jobs, logger, observeJob }: ServiceDeps, isStarting: (jobId: string) => boolean) {
  return async function jobStatus(jobId: string): Promise<ReconcileJob> {
    const job = await getJob(db, jobId);
    if (hasEnded(job.state) || isStarting(jobId)) return job;
    let standing: WorkflowStanding | undefined;
    let progress: Progress | undefined;
    try {
      const control = await jobs();
      standing = await control.describe(jobId);
      if (standing === 'RUNNING') progress = await control.progress(jobId);
    } catch (error) {
      logger.warn({ job: jobId, err: error }, 'Temporal cannot be asked about a job');
      return job;
    }
    if (standing === 'RUNNING') return progress ? withProgress(await getJob(db, jobId), progress) : job;
    // Completed: the record came before, or is about to.
    if (standing === 'COMPLETED') return getJob(db, jobId);
    if (standing === undefined && Date.now() - (job.createdAt?.getTime() ?? 0) < START_GRACE_MS) return job;
    return bringToEnd(jobId, standing === undefined ? UNKNOWN : LOST[standing]);
  };

  async function bringToEnd(jobId: string, lost: { state: JobState; message: string }): Promise<ReconcileJob> {
    const [before, after] = await db.transaction().execute(async (trx) => {
      const job = await getJob(trx, jobId);
      if (hasEnded(job.state)) return [job, job];
      const holds = await trx
        .selectFrom('connectors')
        .select('connector_id')
        .where('running_job_id', '=', jobId)
        .executeTakeFirst();
      if (holds) await setRunningJob(trx, holds.connector_id, '');
      return [job, await putJob(trx, { ...job, state: lost.state, message: lost.message })];
    });
    observeJob(before, after);
    return after;
  }
}

function withProgress(job: ReconcileJob, progress: Progress): ReconcileJob {
  if (hasEnded(job.state)) return job;
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
