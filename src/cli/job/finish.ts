import { JobState, ReconcileJob } from '../../generated/reconciler/v1/jobs.ts';
import type { Context } from '../context.ts';
import { EXIT, ExitCode } from '../errors.ts';
import { describeJob } from './describe.ts';

/**
 * Prints a job that has ended.
 *
 * @throws ExitCode 1 unless it succeeded.
 */
export async function finishWith({ out }: Pick<Context, 'out'>, job: ReconcileJob): Promise<void> {
  await out.message(ReconcileJob, job, describeJob);
  if (job.state === JobState.JS_SUCCEEDED) return;
  if (job.errors > 0n) {
    out.note(`\nwhat failed: reconciler job failures ${job.jobId}\ntry that again: reconciler job retry ${job.jobId}`);
  }
  throw new ExitCode(EXIT.FAILED);
}
