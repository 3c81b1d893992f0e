import { randomUUID } from 'node:crypto';
import type { Command } from 'commander';
import { workflowLink } from '../../contract/workflow-link.ts';
import { TriggerReconcileResponse } from '../../generated/reconciler/v1/connectors.ts';
import { withCatalog, withDeadline } from '../catalog-session/context.ts';
import { connectorOf } from '../catalog-session/resolve.ts';
import { list } from '../io/options.ts';
import { retrying } from '../io/retrying.ts';
import { finishWith } from '../job/finish.ts';
import { followJob } from '../job/follow.ts';
import { addTakingOptions, type CaptureFlags, captureModeFromFlag, snapshotsOf } from './capture-flags.ts';

const HELP = `
Only what changed since the last job is read. --snapshots, --branches and --mode go before what the connector says. While another job
has the connector this one waits; a trigger equal to one that waits gives that job. Ctrl-C while it waits stops the waiting, not the job.
A dry run reads no files: it counts no file changes, and of a full rescan says what would be verified.

Examples:
  $ reconciler connector trigger lake --wait
  $ reconciler connector trigger lake --namespace sales --table orders --wait
  $ reconciler connector trigger lake --full --wait --json
  $ reconciler connector trigger lake --dry-run --wait          # what would it do, and why? (later: reconciler job changes JOB)
  $ reconciler connector trigger lake --allow-missing --wait    # many tables were dropped upstream, on purpose
  $ reconciler connector trigger lake --snapshots latest:3 --branches main --wait
  $ reconciler connector trigger lake --mode metadata-only --wait
  $ reconciler connector trigger lake --mode capture-only --namespace sales --snapshots current --wait`;

interface TriggerOptions extends CaptureFlags {
  full?: boolean;
  wait?: boolean;
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
      'Starts a reconcile job. With --wait: exit 1 unless it succeeds, and the job as it ended on stdout; of a dry run, its list.',
    )
    .argument('<connector>', 'name or id')
    .option('--full', 'verify every snapshot and repair what differs')
    .option('--wait', 'until the job has ended, showing its progress')
    .option('--namespace <list>', 'only tables that go into these namespaces, such as sales,"my ns".eu', list)
    .option('--table <name>', 'only the table with this name in the destination')
    .option('--columns <list>', 'only statistics of these columns', list)
    .option('--dry-run', 'change nothing, and list what would be made, changed, marked missing or dropped')
    .option('--allow-missing', 'mark or drop what is gone upstream, however much that is');
  addTakingOptions(command)
    .addHelpText('after', HELP)
    .action(
      withCatalog(async (context, name: string, options: TriggerOptions) => {
        const { clients, out, temporalUi } = context;
        const { connectorId } = await connectorOf(clients, name);
        // With a key a repeated call gives the same job, so it may be repeated.
        const request = {
          connectorId,
          fullRescan: options.full,
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
        const response = await (options.wait ? retrying(trigger) : trigger());
        if (response.existing) out.note('an equal job waits already: that one will do it');
        if (temporalUi) out.note(`watch it: ${workflowLink(temporalUi, response.jobId)}`);
        if (options.wait) return finishWith(context, await followJob(context, response.jobId));
        await out.message(TriggerReconcileResponse, response, ({ jobId }) => jobId);
        out.note(`wait for it: reconciler job watch ${response.jobId}`);
      }),
    );
}
