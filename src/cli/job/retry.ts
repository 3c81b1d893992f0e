import { randomUUID } from 'node:crypto';
import type { Command } from 'commander';
import { workflowLink } from '../../contract/workflow-link.ts';
import { TriggerReconcileResponse } from '../../generated/reconciler/v1/connectors.ts';
import { withCatalog, withDeadline } from '../catalog-session/context.ts';
import { retrying } from '../io/retrying.ts';
import { finishWith } from './finish.ts';
import { followJob } from './follow.ts';

const HELP = `
Just the tables and views that failed are tried again, as the job was asked for: full, columns, mode and snapshots. Where more than those
failed (a namespace, the job as a whole) all of it is. A dry run is tried again as a dry run.

Examples:
  $ reconciler job retry JOB
  $ reconciler job retry JOB --wait`;

export function addRetry(group: Command): void {
  group
    .command('retry')
    .description('Starts a job for what failed in one that has ended. With --wait: exit 1 unless it succeeds.')
    .argument('<job>', 'its id')
    .option('--wait', 'until the new job has ended, showing its progress')
    .addHelpText('after', HELP)
    .action(
      withCatalog(async (context, jobId: string, { wait }: { wait?: boolean }) => {
        const { clients, out, temporalUi } = context;
        // With a key a repeated call gives the same job, so it may be repeated.
        const request = { jobId, idempotencyKey: randomUUID() };
        const retry = () => clients.jobs.retryReconcileJob(request, withDeadline());
        const response = await (wait ? retrying(retry) : retry());
        if (temporalUi) out.note(`watch it: ${workflowLink(temporalUi, response.jobId)}`);
        if (wait) return finishWith(context, await followJob(context, response.jobId));
        await out.message(TriggerReconcileResponse, response, (one) => one.jobId);
        out.note(`wait for it: reconciler job watch ${response.jobId}`);
      }),
    );
}
