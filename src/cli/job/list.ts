import type { Command } from 'commander';
import { countersOf } from '../../contract/progress-message.ts';
import { withCatalog } from '../catalog-session/context.ts';
import { connectorOf } from '../catalog-session/resolve.ts';
import { count, time } from '../io/format.ts';
import { limitOption } from '../io/options.ts';
import { pagesOf } from '../io/paging.ts';
import { ranFor, stateWord } from './describe.ts';
import { JobJson } from './job-json.ts';

const HELP = `
Examples:
  $ reconciler job list --limit 10
  $ reconciler job list --connector lake --json \\
      | jq -r 'select(.state == "JS_FAILED") | .jobId'`;

export function addList(group: Command): void {
  group
    .command('list')
    .description('Lists jobs, newest first.')
    .option('--connector <connector>', 'only jobs of this connector (name or id)')
    .addOption(limitOption())
    .addHelpText('after', HELP)
    .action(
      withCatalog(async ({ clients, out }, { connector, limit }: { connector?: string; limit?: number }) => {
        const connectorId = connector === undefined ? '' : (await connectorOf(clients, connector)).connectorId;
        const pages = pagesOf(async (page, call) => {
          const { jobs, nextPageToken } = await clients.jobs.listReconcileJobs({ ...page, connectorId }, call);
          return { items: jobs, nextPageToken };
        }, limit);
        await out.list(
          JobJson,
          pages,
          [
            { title: 'JOB', value: (j) => j.jobId },
            { title: 'CONNECTOR', value: (j) => j.connectorName || j.connectorId },
            { title: 'STATE', value: stateWord },
            { title: 'CREATED', value: (j) => time(j.createdAt) },
            { title: 'RAN FOR', value: ranFor, align: 'right' },
            { title: 'CHANGED', value: (j) => count(countersOf(j).tablesChanged), align: 'right' },
            { title: 'ERRORS', value: (j) => count(countersOf(j).errors), align: 'right' },
            { title: 'MESSAGE', value: (j) => j.message, flexible: true },
          ],
          { empty: 'no jobs yet; start one with `reconciler connector trigger`' },
        );
      }),
    );
}
