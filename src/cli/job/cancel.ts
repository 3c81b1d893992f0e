import type { Command } from 'commander';
import { isEnded } from '../../contract/progress-message.ts';
import { withCatalog, withDeadline } from '../catalog-session/context.ts';
import { describeJob } from './describe.ts';
import { followJob } from './follow.ts';
import { JobJson } from './job-json.ts';

const HELP = `
It ends as JS_CANCELLED within seconds; what came in stays. A job that has ended stays as it is.

Examples:
  $ reconciler job cancel JOB
  $ reconciler job cancel JOB --wait`;

export function addCancel(group: Command): void {
  group
    .command('cancel')
    .description('Asks a job to stop.')
    .argument('<job>', 'its id')
    .option('--wait', 'until it has ended')
    .addHelpText('after', HELP)
    .action(
      withCatalog(async (context, jobId: string, { wait }: { wait?: boolean }) => {
        const asked = await context.clients.jobs.cancelReconcileJob({ jobId }, withDeadline());
        const job = wait && !isEnded(asked.state) ? await followJob(context, jobId) : asked;
        await context.out.message(JobJson, job, describeJob);
      }),
    );
}
