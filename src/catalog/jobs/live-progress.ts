import type { Progress } from '../../contract/job.ts';
import { countersOf, progressMessage } from '../../contract/progress-message.ts';
import type { JobDeps } from '../core/ports.ts';
import { underClaim } from '../store/database/claim-fence.ts';
import { write } from '../store/database/transaction.ts';
import { latestRun } from '../store/jobs/job-runs.ts';
import { raiseCounters } from '../store/jobs/jobs.ts';

/** How long all callers share an answer of a workflow: however many people watch a job, its worker is asked once in this time. */
const SHARED_MS = 3_000;
/** Number of jobs whose answers are kept. More than this many are hardly ever watched at the same time. */
const MAX_JOBS = 1_000;

export interface LiveProgress {
  /**
   * The progress of a running job, at most `SHARED_MS` old. If no worker answers, why it waits, if that is known. The counters are recorded before they are
   * returned, so that later answers never have lower ones, even if they come from the record.
   */
  of(jobId: string): Promise<Live>;
  /** Whether the progress of a job is shared at present. */
  has(jobId: string): boolean;
  /** Forgets a job that no longer runs. */
  forget(jobId: string): void;
}

/** What is known about a running job now. */
export interface Live {
  progress?: Progress;
  /** Why there is no progress: no worker takes the job's steps. */
  waiting?: string;
}

interface Shared {
  progress: Promise<Live>;
  /** Infinite while the query is in flight. */
  expiresAt: number;
}

const isFresh = ({ expiresAt }: Shared) => expiresAt > performance.now();

/** Queries the workflows of running jobs. */
export function createLiveProgress({ db, jobs, logger, observeJob }: JobDeps): LiveProgress {
  const known = new Map<string, Shared>();
  return {
    of(jobId) {
      const shared = known.get(jobId);
      if (shared && isFresh(shared)) return shared.progress;
      // The query serves all callers, and so is not bound to the claim of the first one.
      const fresh: Shared = {
        progress: underClaim(undefined, () => query(jobId)),
        expiresAt: Number.POSITIVE_INFINITY,
      };
      fresh.progress = fresh.progress.finally(() => {
        fresh.expiresAt = performance.now() + SHARED_MS;
      });
      // Added at the end, so that the first entry is the oldest.
      known.delete(jobId);
      known.set(jobId, fresh);
      if (known.size > MAX_JOBS) known.delete(known.keys().next().value as string);
      return fresh.progress;
    },

    has(jobId) {
      const shared = known.get(jobId);
      return shared !== undefined && isFresh(shared);
    },

    forget: (jobId) => void known.delete(jobId),
  };

  /** @throws CodedError UNAVAILABLE if Temporal does not answer */
  async function query(jobId: string): Promise<Live> {
    const run = await latestRun(db, jobId);
    const progress = await jobs()
      .then((control) => control.progress(jobId))
      .catch(() => undefined);
    if (progress) {
      await recordCounters(jobId, run, progress).catch((err) =>
        logger.warn({ job: jobId, err }, 'the live counters of a job cannot be recorded'),
      );
      return { progress };
    }
    return { waiting: await (await jobs()).untaken(jobId) };
  }

  /** @param run the job's run before the query: if it was reset meanwhile, the counters are those of its former run */
  async function recordCounters(jobId: string, run: string | undefined, progress: Progress): Promise<void> {
    const raised = await write(db, async (trx) => {
      if ((await latestRun(trx, jobId)) !== run) return undefined;
      return raiseCounters(trx, jobId, countersOf(progressMessage(progress)));
    });
    if (raised) observeJob(raised.before, raised.after);
  }
}
