import type { CatalogClients } from '../../catalog-client/connect.ts';
import { countersOf } from '../../contract/progress-message.ts';
import { durationSeconds } from '../../durations.ts';
import { JobChange, JobFailure, JobOutcome, type ReconcileJob } from '../../generated/reconciler/v1/jobs.ts';
import { escapeMarkdown } from '../../text.ts';
import { count, duration, NONE, word } from '../io/format.ts';
import { withDefaults } from '../io/json.ts';
import { pagesOf } from '../io/paging.ts';
import { jobDetails } from './describe.ts';
import { JobJson } from './job-json.ts';

export type ReportFormat = 'json' | 'markdown';

/** What happened to each table and view of a job, as text in pieces: one for each page that is read from the catalog service. */
export function reportOf(clients: CatalogClients, job: ReconcileJob, format: ReportFormat): AsyncGenerator<string> {
  return format === 'json' ? jsonReport(clients, job) : markdownReport(clients, job);
}

function sources(clients: CatalogClients, { jobId }: ReconcileJob) {
  return {
    outcomes: () =>
      pagesOf(async (page, call) => {
        const { outcomes, nextPageToken } = await clients.jobs.listJobOutcomes({ ...page, jobId }, call);
        return { items: outcomes, nextPageToken };
      }),
    changes: () =>
      pagesOf(async (page, call) => {
        const { changes, nextPageToken } = await clients.jobs.listJobChanges({ ...page, jobId }, call);
        return { items: changes, nextPageToken };
      }),
    failures: () =>
      pagesOf(async (page, call) => {
        const { failures, nextPageToken } = await clients.jobs.listJobFailures({ ...page, jobId }, call);
        return { items: failures, nextPageToken };
      }),
  };
}

/** One JSON object, with one line for the job and for each item of its lists. */
async function* jsonReport(clients: CatalogClients, job: ReconcileJob): AsyncGenerator<string> {
  const { outcomes, changes, failures } = sources(clients, job);
  yield `{"job":${JSON.stringify(withDefaults(JobJson.fields(job), JobJson.toJSON(job)))}`;
  yield* jsonList('tables', outcomes(), JobOutcome);
  if (job.dryRun) yield* jsonList('changes', changes(), JobChange);
  yield* jsonList('failures', failures(), JobFailure);
  yield '}\n';
}

async function* jsonList<T extends object>(
  name: string,
  pages: AsyncIterable<T[]>,
  type: { toJSON(item: T): unknown },
): AsyncGenerator<string> {
  yield `,\n"${name}":[`;
  let separator = '\n';
  for await (const page of pages) {
    let text = '';
    for (const item of page) {
      text += separator + JSON.stringify(withDefaults(item, type.toJSON(item)));
      separator = ',\n';
    }
    yield text;
  }
  yield ']';
}

interface MarkdownColumn<T> {
  title: string;
  value(item: T): string;
  align?: 'right';
}

const OUTCOMES: MarkdownColumn<JobOutcome>[] = [
  { title: 'name', value: (o) => o.name },
  { title: 'kind', value: (o) => word(o.kind, 'JOB_CHANGE_KIND_') },
  { title: 'result', value: (o) => word(o.result, 'JOB_RESULT_') },
  { title: 'worked', value: workedText, align: 'right' },
  { title: 'snapshots', value: (o) => count(o.snapshotsIngested), align: 'right' },
  { title: 'files', value: (o) => count(o.filesIngested), align: 'right' },
  { title: 'requests', value: (o) => count(o.upstreamRequests), align: 'right' },
  { title: 'destination', value: (o) => o.destination || NONE },
];

const CHANGES: MarkdownColumn<JobChange>[] = [
  { title: 'name', value: (c) => c.name },
  { title: 'kind', value: (c) => word(c.kind, 'JOB_CHANGE_KIND_') },
  { title: 'would', value: (c) => word(c.action, 'JOB_CHANGE_ACTION_') },
  { title: 'why', value: (c) => c.reason },
  { title: 'destination', value: (c) => c.destination || NONE },
];

const FAILURES: MarkdownColumn<JobFailure>[] = [
  { title: 'name', value: (f) => f.table || 'the job' },
  { title: 'code', value: (f) => f.code },
  { title: 'message', value: (f) => f.message },
];

function workedText({ duration: worked }: JobOutcome): string {
  const seconds = durationSeconds(worked);
  return seconds > 0 ? duration(seconds * 1000) : NONE;
}

async function* markdownReport(clients: CatalogClients, job: ReconcileJob): AsyncGenerator<string> {
  const { outcomes, changes, failures } = sources(clients, job);
  yield `# Job ${escapeMarkdown(job.jobId)}\n\n| | |\n| --- | --- |\n`;
  for (const [label, value] of jobDetails(job)) {
    if (value) yield `| ${label} | ${escapeMarkdown(value)} |\n`;
  }
  if (job.dryRun) yield* markdownTable('What would change', changes(), CHANGES, 'Nothing would change.');
  else yield* markdownTable('Changed', outcomes(), OUTCOMES, 'Nothing changed.');
  const { tablesUnchanged } = countersOf(job);
  if (tablesUnchanged > 0n) yield `\n${count(tablesUnchanged)} unchanged.\n`;
  yield* markdownTable('Failures', failures(), FAILURES, 'None.');
}

async function* markdownTable<T>(
  heading: string,
  pages: AsyncIterable<T[]>,
  columns: MarkdownColumn<T>[],
  empty: string,
): AsyncGenerator<string> {
  const line = (cells: string[]) => `| ${cells.join(' | ')} |\n`;
  yield `\n## ${heading}\n\n`;
  let any = false;
  for await (const page of pages) {
    if (page.length === 0) continue;
    const head = [columns.map(({ title }) => title), columns.map(({ align }) => (align ? '---:' : '---'))].map(line);
    const rows = page.map((item) => line(columns.map(({ value }) => escapeMarkdown(value(item)))));
    yield [...(any ? [] : head), ...rows].join('');
    any = true;
  }
  if (!any) yield `${empty}\n`;
}
