import type { Command } from 'commander';
import { isEnded } from '../../contract/progress-message.ts';
import { withCatalog, withDeadline } from '../catalog-session/context.ts';
import { describeJob } from './describe.ts';
import { followJob } from './follow.ts';
import { JobJson } from './job-json.ts';

const HELP = `
The job ends as JS_CANCELLED within seconds. What it has ingested stays. A job
that has ended is not changed.

Examples:
  $ reconciler job cancel JOB
  $ reconciler job cancel JOB --wait`;

export function addCancel(group: Command): void {
  group
    .command('cancel')
    .description('Cancels a job.')
    .argument('<job>', 'job id')
    .option('--wait', 'wait until the job has ended')
    .addHelpText('after', HELP)
    .action(
      withCatalog(async (context, jobId: string, { wait }: { wait?: boolean }) => {
        const cancelled = await context.clients.jobs.cancelReconcileJob({ jobId }, withDeadline());
        const job = wait && !isEnded(cancelled.state) ? await followJob(context, jobId) : cancelled;
        await context.out.message(JobJson, job, describeJob);
      }),
    );
}
