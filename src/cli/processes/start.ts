import { existsSync } from 'node:fs';
import { resolve } from 'node:path';
import { fileURLToPath, pathToFileURL } from 'node:url';
import type { Command } from 'commander';
import { ClientError, Status } from 'nice-grpc';
import { type CatalogClients, connectCatalog } from '../../catalog-client/connect.ts';
import { dataDirToken } from '../../catalog-client/tokens/open-token-source.ts';
import { readConfig } from '../../config.ts';
import { countersOf } from '../../contract/progress-message.ts';
import { workflowLink } from '../../contract/workflow-link.ts';
import { ConnectorKind } from '../../generated/reconciler/v1/connectors.ts';
import { JobState, type ReconcileJob } from '../../generated/reconciler/v1/jobs.ts';
import { readRunningStack, uiOfStack } from '../../stack/stack-file.ts';
import { shellWord } from '../../text.ts';
import { withDeadline } from '../catalog-session/context.ts';
import { connectorOf } from '../catalog-session/resolve.ts';
import { asTyped } from '../io/as-typed.ts';
import { CallError, EXIT, ExitCode, UsageError } from '../io/errors.ts';
import { printable } from '../io/format.ts';
import { untilStopped } from '../io/signals.ts';
import { TablePrinter } from '../io/table-printer.ts';
import { ranFor } from '../job/describe.ts';
import { pollJob } from '../job/follow.ts';
import { progressView } from '../job/progress-view.ts';
import { SUMMARY_COLUMNS, summarize, type TableSummary } from './start-summary.ts';
import { startFor } from './up.ts';

/** Name of the connector and of the catalog that it fills. */
const DEMO = 'samples';
const LAKEHOUSE = fileURLToPath(new URL('../../../samples/lakehouse', import.meta.url));

const HELP = `
This is what \`npm start\` runs: it starts the stack, reconciles
samples/lakehouse, shows the result and stops. A second run finds that nothing
changed. If a stack is already running on the same data directory, it is used
and left running.

Examples:
  $ npm start
  $ reconciler start --data-dir /tmp/demo`;

/** A running stack: started here, or found running. */
interface Running {
  address: string;
  uiUrl: string;
  stop(): Promise<void>;
}

export function define(command: Command): void {
  command
    .option('--data-dir <folder>', 'data directory (default: RECONCILER_DATA_DIR, otherwise ./.reconciler)')
    .addHelpText('after', HELP)
    .action(async ({ dataDir }: { dataDir?: string }) => {
      if (!existsSync(LAKEHOUSE))
        throw new UsageError(`${LAKEHOUSE} does not exist`, 'run the demo in a checkout of the project');
      const stop = untilStopped();
      const folder = resolve(dataDir ?? readConfig().dataDir);
      const stack = await runningStack(folder, stop.signal);
      const clients = connectCatalog(stack.address, dataDirToken(folder, stack.address));
      try {
        const { job, richest } = await demo(clients, stack, stop.signal);
        if (job.state !== JobState.JS_SUCCEEDED) throw new ExitCode(EXIT.FAILED);
        console.log(asTyped(nextSteps(folder, stack, job, richest).join('\n')));
      } catch (error) {
        if (stop.signal.aborted) throw new ExitCode(130);
        throw error instanceof ClientError ? new CallError(error, stack.address) : error;
      } finally {
        clients.close();
        await stack.stop();
        stop.dispose();
      }
    });
}

async function runningStack(dataDir: string, signal: AbortSignal): Promise<Running> {
  const up = readRunningStack(dataDir);
  if (up) {
    console.log(`using the running stack: ${up.address}`);
    return { ...up, stop: async () => {} };
  }
  console.log('starting Temporal, the catalog service and a worker');
  try {
    return await startFor({ dataDir }, signal);
  } catch (error) {
    throw signal.aborted ? new ExitCode(130) : error;
  }
}

interface Demonstrated {
  job: ReconcileJob;
  /** Name of the table with the most snapshots. */
  richest: string;
}

/** Reconciles the sample lakehouse and prints what the catalog then holds. */
async function demo(clients: CatalogClients, stack: Running, signal: AbortSignal): Promise<Demonstrated> {
  const connectorId = await demoConnector(clients);
  console.log(`reconciling ${LAKEHOUSE}`);
  signal.throwIfAborted();
  const { jobId } = await clients.connectors.triggerReconcile({ connectorId }, withDeadline());
  const view = progressView(process.stderr);
  const job = await pollJob(clients, jobId, view, signal).finally(() => view.end());
  const succeeded = job.state === JobState.JS_SUCCEEDED;
  console.log(`${succeeded ? 'done' : 'failed'} in ${ranFor(job)}: ${printable(job.message)}\n`);
  const tables = await summarize(clients, DEMO);
  process.stdout.write(new TablePrinter<TableSummary>(SUMMARY_COLUMNS, process.stdout).render(tables));
  if (succeeded && countersOf(job).tablesChanged === 0n) {
    console.log('\nNothing changed since the last run, so no table was read again.');
  }
  if (!succeeded) console.error(`\nworkflow: ${workflowLink(uiOfStack(stack), jobId)}`);
  const [most] = tables.sort((a, b) => b.snapshots - a.snapshots);
  return { job, richest: most ? [DEMO, most.namespace, most.table].join('.') : DEMO };
}

/** Creates the connector at the first run; updates its URI if the checkout was moved since. */
async function demoConnector(clients: CatalogClients): Promise<string> {
  const uri = pathToFileURL(LAKEHOUSE).href;
  const kind = ConnectorKind.CONNECTOR_KIND_ICEBERG;
  try {
    const connector = { displayName: DEMO, kind, uri, destination: { catalogName: DEMO } };
    return (await clients.connectors.createConnector({ connector }, withDeadline())).connectorId;
  } catch (error) {
    if (!(error instanceof ClientError) || error.code !== Status.ALREADY_EXISTS) throw error;
  }
  const { connectorId, uri: before } = await connectorOf(clients, DEMO);
  if (before !== uri) {
    await clients.connectors.updateConnector({ connector: { connectorId, uri }, updateMask: ['uri'] }, withDeadline());
  }
  return connectorId;
}

function nextSteps(dataDir: string, stack: Running, { jobId }: ReconcileJob, table: string): string[] {
  const option = dataDir === resolve('.reconciler') ? '' : ` --data-dir ${shellWord(dataDir)}`;
  const commands = ['snapshot list', 'stats columns', 'plan get'].map((command) => `  reconciler ${command} ${table}`);
  return [
    '\nRun the same stack until Ctrl-C:',
    `  reconciler up${option}`,
    'Then explore the data in another terminal:',
    // It leads to the address and to the token.
    ...(option === '' ? [] : [`  export RECONCILER_DATA_DIR=${shellWord(dataDir)}`]),
    ...commands,
    'This run in the Temporal UI:',
    `  ${workflowLink(uiOfStack(stack), jobId)}`,
  ];
}
