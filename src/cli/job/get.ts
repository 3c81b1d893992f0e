import type { Command } from 'commander';
import { workflowLink } from '../../contract/workflow-link.ts';
import { withCatalog, withDeadline } from '../catalog-session/context.ts';
import { describeJob } from './describe.ts';
import { JobJson } from './job-json.ts';

const HELP = `
The counters of a running job are live. If no worker answers, they are the
last recorded ones.

Examples:
  $ reconciler job get JOB
  $ reconciler job get JOB --json | jq -r .state
  $ reconciler job get JOB --json | jq -r .tablesChanged`;

export function addGet(group: Command): void {
  group
    .command('get')
    .description('Shows one job.')
    .argument('<job>', 'job id')
    .addHelpText('after', HELP)
    .action(
      withCatalog(async ({ clients, out, temporalUi }, jobId: string) => {
        await out.message(JobJson, await clients.connectors.getReconcileJob({ jobId }, withDeadline()), describeJob);
        if (temporalUi) out.note(`\n${workflowLink(temporalUi, jobId)}`);
      }),
    );
}
