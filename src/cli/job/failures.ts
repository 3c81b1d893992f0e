import type { Command } from 'commander';
import { JobFailure } from '../../generated/reconciler/v1/jobs.ts';
import { withCatalog } from '../catalog-session/context.ts';
import { NONE, time } from '../io/format.ts';
import { limitOption } from '../io/options.ts';
import { pagesOf } from '../io/paging.ts';

const HELP = `
Examples:
  $ reconciler job failures JOB
  $ reconciler job failures JOB --json | jq -r .table`;

export function addFailures(group: Command): void {
  group
    .command('failures')
    .description('Lists the tables and views that failed in a job, with the cause.')
    .argument('<job>', 'job id')
    .addOption(limitOption())
    .addHelpText('after', HELP)
    .action(
      withCatalog(async ({ clients, out }, jobId: string, { limit }: { limit?: number }) => {
        const pages = pagesOf(async (page, call) => {
          const { failures, nextPageToken } = await clients.jobs.listJobFailures({ ...page, jobId }, call);
          return { items: failures, nextPageToken };
        }, limit);
        await out.list(
          JobFailure,
          pages,
          [
            { title: 'TABLE', value: (f) => f.table || NONE, min: 30 },
            { title: 'CODE', value: (f) => f.code, tone: () => 'bad' },
            { title: 'FAILED AT', value: (f) => time(f.failedAt), weight: 1 },
            { title: 'MESSAGE', value: (f) => f.message, below: true },
          ],
          { empty: 'no failures' },
        );
      }),
    );
}
