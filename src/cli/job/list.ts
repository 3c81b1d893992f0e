import { type Command, InvalidArgumentError, Option } from 'commander';
import { countersOf } from '../../contract/progress-message.ts';
import { type JobState, jobStateFromJSON, type ReconcileJob } from '../../generated/reconciler/v1/jobs.ts';
import { withCatalog } from '../catalog-session/context.ts';
import { count, time } from '../io/format.ts';
import { limitOption, list, since } from '../io/options.ts';
import { pagesOf } from '../io/paging.ts';
import type { Column } from '../io/table-printer.ts';
import { connectorOfJobs } from './connector-of-jobs.ts';
import { errorsTone, ranFor, stateTone, stateWord } from './describe.ts';
import { JobJson } from './job-json.ts';

const HELP = `
Examples:
  $ reconciler job list --limit 10
  $ reconciler job list --connector lake --state failed,cancelled --since 7d
  $ reconciler job list --state running --json | jq -r .jobId`;

const STATES = ['queued', 'running', 'succeeded', 'failed', 'cancelled'];

interface ListOptions {
  connector?: string;
  state?: JobState[];
  since?: Date;
  limit?: number;
}

function states(text: string, before: JobState[] = []): JobState[] {
  const names = list(text.toLowerCase());
  if (!names.every((name) => STATES.includes(name)))
    throw new InvalidArgumentError(`is not one of ${STATES.join(', ')}, or several of them, separated by commas`);
  return [...before, ...names.map((name) => jobStateFromJSON(`JS_${name.toUpperCase()}`))];
}

export const JOB_COLUMNS: Column<ReconcileJob>[] = [
  // Never shortened: other commands need the whole id.
  { title: 'JOB', value: (j) => j.jobId },
  { title: 'CONNECTOR', value: (j) => j.connectorName || j.connectorId, weight: 4, min: 12 },
  { title: 'STATE', value: stateWord, tone: stateTone },
  { title: 'CREATED', value: (j) => time(j.createdAt), weight: 8 },
  { title: 'RAN FOR', value: ranFor, weight: 6, align: 'right' },
  { title: 'CHANGED', value: (j) => count(countersOf(j).tablesChanged), weight: 7, align: 'right' },
  { title: 'ERRORS', value: (j) => count(countersOf(j).errors), weight: 9, align: 'right', tone: errorsTone },
  { title: 'MESSAGE', value: (j) => j.message, below: true },
];

export function addList(group: Command): void {
  group
    .command('list')
    .description('Lists jobs, newest first.')
    .option('--connector <connector>', 'only jobs of this connector (name or id), which may be deleted')
    .addOption(new Option('--state <list>', `only jobs in these states: ${STATES.join(', ')}`).argParser(states))
    .addOption(new Option('--since <time>', 'only jobs created since then: 2h, 7d or an ISO time').argParser(since))
    .addOption(limitOption())
    .addHelpText('after', HELP)
    .action(
      withCatalog(async ({ clients, out }, { connector, state, since: createdAfter, limit }: ListOptions) => {
        const connectorId = connector === undefined ? '' : await connectorOfJobs(clients, connector);
        const filter = { connectorId, states: state, createdAfter };
        const pages = pagesOf(async (page, call) => {
          const { jobs, nextPageToken } = await clients.jobs.listReconcileJobs({ ...page, ...filter }, call);
          return { items: jobs, nextPageToken };
        }, limit);
        await out.list(JobJson, pages, JOB_COLUMNS, {
          empty: state || createdAfter ? 'no such jobs' : 'no jobs yet; start one with `reconciler connector trigger`',
        });
      }),
    );
}
