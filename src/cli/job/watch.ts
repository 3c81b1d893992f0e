import type { Command } from 'commander';
import { workflowLink } from '../../contract/workflow-link.ts';
import { withCatalog } from '../catalog-session/context.ts';
import { finishWith } from './finish.ts';
import { followJob } from './follow.ts';

const HELP = `
Ctrl-C ends the watching, not the job.

Examples:
  $ reconciler job watch JOB
  $ reconciler job watch JOB --json > job.json`;

export function addWatch(group: Command): void {
  group
    .command('watch')
    .description(
      'Shows the progress of a job (pace, time left, failures) until it ends. Exits with 1 unless it succeeded.',
    )
    .argument('<job>', 'job id')
    .addHelpText('after', HELP)
    .action(
      withCatalog(async (context, jobId: string) => {
        if (context.temporalUi) context.out.note(`in the Temporal UI: ${workflowLink(context.temporalUi, jobId)}`);
        await finishWith(context, await followJob(context, jobId));
      }),
    );
}
