import { countersOf } from '../../contract/progress-message.ts';
import { JobState, type ReconcileJob } from '../../generated/reconciler/v1/jobs.ts';
import type { Context } from '../catalog-session/context.ts';
import { EXIT, ExitCode } from '../io/errors.ts';
import { printChanges } from './changes.ts';
import { describeJob } from './describe.ts';
import { JobJson } from './job-json.ts';
import { writeReportFile } from './report-file.ts';

/**
 * Prints a job that has ended; for a dry run, prints the list of changes. Writes the report to a file, if one is named.
 *
 * @throws ExitCode 1 unless it succeeded.
 */
export async function finishWith(
  context: Pick<Context, 'clients' | 'out'>,
  job: ReconcileJob,
  { report }: { report?: string } = {},
): Promise<void> {
  const { out } = context;
  if (job.dryRun) {
    // The message says so if nothing would change.
    await printChanges(context, job.jobId);
    out.note(`\n${job.message}`);
  } else {
    await out.message(JobJson, job, describeJob);
  }
  if (report !== undefined) {
    await writeReportFile(report, context, job);
    out.note(`\nreport: ${report}`);
  }
  if (job.state === JobState.JS_SUCCEEDED) return;
  if (countersOf(job).errors > 0n) {
    out.note(`\nfailures: reconciler job failures ${job.jobId}\nretry:    reconciler job retry ${job.jobId}`);
  }
  throw new ExitCode(EXIT.FAILED);
}
