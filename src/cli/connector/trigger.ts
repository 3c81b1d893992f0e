import { randomUUID } from 'node:crypto';
import type { Command } from 'commander';
import { workflowLink } from '../../contract/workflow-link.ts';
import { TriggerReconcileResponse } from '../../generated/reconciler/v1/connectors.ts';
import { withCatalog, withDeadline } from '../catalog-session/context.ts';
import { connectorOf } from '../catalog-session/resolve.ts';
import { list } from '../io/options.ts';
import { retrying } from '../io/retrying.ts';
import { explainIfSlow, WAITS_FOR_TEMPORAL } from '../io/slow-call.ts';
import { finishWith } from '../job/finish.ts';
import { followJob } from '../job/follow.ts';
import { checkReportFile, reportOption } from '../job/report-file.ts';
import { addCaptureOptions, type CaptureFlags, captureModeFromFlag, snapshotsOf } from './capture-flags.ts';

const HELP = `
Only what changed since the last job is read. --snapshots, --branches and
--mode override the connector's settings for this job. While another job runs
on the connector, this one waits; if an equal job is already waiting, that job
is returned. Ctrl-C ends the waiting, not the job.

A dry run reads table metadata but no manifests, so it counts no file changes;
with --full it lists what would be verified.

Examples:
  $ reconciler connector trigger lake --wait
  $ reconciler connector trigger lake --wait --report lake.md
  $ reconciler connector trigger lake --namespace sales --table orders --wait
  $ reconciler connector trigger lake --full --wait --json
  $ reconciler connector trigger lake --dry-run --wait
  $ reconciler connector trigger lake --allow-missing --wait
  $ reconciler connector trigger lake --snapshots latest:3 --branches main
  $ reconciler connector trigger lake --mode metadata-only --wait
  $ reconciler connector trigger lake --mode capture-only --namespace sales \\
      --snapshots current --wait`;

interface TriggerOptions extends CaptureFlags {
  full?: boolean;
  wait?: boolean;
  report?: string;
  table?: string;
  namespace?: string[];
  columns?: string[];
  allowMissing?: boolean;
  dryRun?: boolean;
}

export function addTrigger(group: Command): void {
  const command = group
    .command('trigger')
    .description(
      'Starts a reconcile job. With --wait, prints the job when it has ended (for a dry run, the list of changes) and exits with 1 unless it succeeded.',
    )
    .argument('<connector>', 'name or id')
    .option('--full', 'verify every snapshot and repair differences')
    .option('--wait', 'show progress until the job has ended')
    .addOption(reportOption())
    .option('--namespace <list>', 'only tables with these destination namespaces, such as sales,"my ns".eu', list)
    .option('--table <name>', 'only the table with this destination name')
    .option('--columns <list>', 'only statistics of these columns', list)
    .option('--dry-run', 'change nothing; list what would be created, changed, marked missing or dropped')
    .option('--allow-missing', 'mark or drop what is missing upstream, even above --missing-max-share');
  addCaptureOptions(command)
    .addHelpText('after', HELP)
    .action(
      withCatalog(async (context, name: string, options: TriggerOptions) => {
        const { clients, out, temporalUi } = context;
        checkReportFile(options.report, options.wait);
        const { connectorId } = await connectorOf(clients, name);
        // The key makes the call safe to repeat: it returns the same job.
        const request = {
          connectorId,
          full: options.full,
          destinationNamespacePaths: options.namespace,
          destinationTableName: options.table,
          destinationColumns: options.columns,
          allowMissing: options.allowMissing,
          dryRun: options.dryRun,
          snapshots: snapshotsOf(options),
          mode: captureModeFromFlag(options),
          idempotencyKey: randomUUID(),
        };
        const trigger = () => clients.connectors.triggerReconcile(request, withDeadline());
        const response = await explainIfSlow(out, options.wait ? retrying(trigger) : trigger(), WAITS_FOR_TEMPORAL);
        if (response.existing) out.note('an equal job is already waiting; this is that job');
        if (temporalUi) out.note(`watch it: ${workflowLink(temporalUi, response.jobId)}`);
        if (options.wait) return finishWith(context, await followJob(context, response.jobId), options);
        await out.message(TriggerReconcileResponse, response, ({ jobId }) => jobId);
        out.note(`wait for it: reconciler job watch ${response.jobId}`);
      }),
    );
}
