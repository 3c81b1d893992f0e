import type { Command } from 'commander';
import { countersOf } from '../../contract/progress-message.ts';
import { withCatalog } from '../catalog-session/context.ts';
import { connectorOf } from '../catalog-session/resolve.ts';
import { count, time } from '../io/format.ts';
import { limitOption } from '../io/options.ts';
import { pagesOf } from '../io/paging.ts';
import { errorsTone, ranFor, stateTone, stateWord } from './describe.ts';
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
            { title: 'JOB', value: (j) => j.jobId, min: 37 },
            { title: 'CONNECTOR', value: (j) => j.connectorName || j.connectorId, weight: 4, min: 12 },
            { title: 'STATE', value: stateWord, tone: stateTone },
            { title: 'CREATED', value: (j) => time(j.createdAt), weight: 8 },
            { title: 'RAN FOR', value: ranFor, weight: 6, align: 'right' },
            { title: 'CHANGED', value: (j) => count(countersOf(j).tablesChanged), weight: 7, align: 'right' },
            { title: 'ERRORS', value: (j) => count(countersOf(j).errors), weight: 9, align: 'right', tone: errorsTone },
            { title: 'MESSAGE', value: (j) => j.message, below: true },
          ],
          { empty: 'no jobs yet; start one with `reconciler connector trigger`' },
        );
      }),
    );
}
