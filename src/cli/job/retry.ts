import { randomUUID } from 'node:crypto';
import type { Command } from 'commander';
import { workflowLink } from '../../contract/workflow-link.ts';
import { RetryReconcileJobResponse } from '../../generated/reconciler/v1/jobs.ts';
import { withCatalog, withDeadline } from '../catalog-session/context.ts';
import { retrying } from '../io/retrying.ts';
import { explainIfSlow, WAITS_FOR_TEMPORAL } from '../io/slow-call.ts';
import { finishWith } from './finish.ts';
import { followJob } from './follow.ts';
import { checkReportFile, reportOption } from './report-file.ts';

const HELP = `
Only the tables and views that failed are retried, with the options of the
original job: full, columns, mode and snapshots. If more than single tables
and views failed (a namespace, or the whole job), everything is retried. The
retry of a dry run is a dry run.

Examples:
  $ reconciler job retry JOB
  $ reconciler job retry JOB --wait
  $ reconciler job retry JOB --wait --report retry.md`;

export function addRetry(group: Command): void {
  group
    .command('retry')
    .description(
      'Starts a job for what failed in a job that has ended. With --wait, exits with 1 unless the new job succeeds.',
    )
    .argument('<job>', 'job id')
    .option('--wait', 'show progress until the new job has ended')
    .addOption(reportOption())
    .addHelpText('after', HELP)
    .action(
      withCatalog(async (context, jobId: string, { wait, report }: { wait?: boolean; report?: string }) => {
        checkReportFile(report, wait);
        const { clients, out, temporalUi } = context;
        // The key makes the call safe to repeat: it returns the same job.
        const request = { jobId, idempotencyKey: randomUUID() };
        const retry = () => clients.jobs.retryReconcileJob(request, withDeadline());
        const response = await explainIfSlow(out, wait ? retrying(retry) : retry(), WAITS_FOR_TEMPORAL);
        if (temporalUi) out.note(`watch it: ${workflowLink(temporalUi, response.jobId)}`);
        if (wait) return finishWith(context, await followJob(context, response.jobId), { report });
        await out.message(RetryReconcileJobResponse, response, ({ jobId }) => jobId);
        out.note(`wait for it: reconciler job watch ${response.jobId}`);
      }),
    );
}
