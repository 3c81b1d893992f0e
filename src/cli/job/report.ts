import { type Command, Option } from 'commander';
import { withCatalog, withDeadline } from '../catalog-session/context.ts';
import { write } from '../io/output.ts';
import { type ReportFormat, reportOf } from './report-text.ts';

const HELP = `
Tables that were created, changed, marked missing or dropped are listed, each
with how long workers worked on it, and what they read; then the failures.
Unchanged tables are only counted. For a dry run, the report has what would
change. The report of a running job has what was recorded so far.

Examples:
  $ reconciler job report JOB
  $ reconciler job report JOB --format json | jq '.tables[].name'
  $ reconciler connector trigger lake --wait --report lake.md`;

export function addReport(group: Command): void {
  group
    .command('report')
    .description('Prints what a job did to each table.')
    .argument('<job>', 'job id')
    .addOption(
      new Option('--format <format>', 'of the report (default: markdown; with --json, json)').choices([
        'markdown',
        'json',
      ]),
    )
    .addHelpText('after', HELP)
    .action(
      withCatalog(async ({ clients, out }, jobId: string, options: { format?: ReportFormat }) => {
        const job = await clients.connectors.getReconcileJob({ jobId }, withDeadline());
        const format = options.format ?? (out.json ? 'json' : 'markdown');
        for await (const text of reportOf(clients, job, format)) await write(text);
      }),
    );
}
