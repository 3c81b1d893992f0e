/**
 * The benchmark of many tables: `npm run bench:scale`, or fewer: `npm run bench:scale -- --tables 10000`.
 *
 * One connector with 100,000 synthetic tables (test/synthetic), whose upstream costs nothing, on a real stack: Temporal's dev server with a
 * database file, the catalog on SQLite, and one worker. It measures a first run, an unchanged run, and a run in which 1 % of the tables have a
 * new snapshot and some fail; and a scheduled, unchanged run of a connector with five tables. For comparison, the same worker runs one
 * activity or one child workflow per table, with 1,000 tables. The report goes to stderr, its numbers as JSON to stdout.
 */
import { mkdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { DefaultLogger, NativeConnection, Runtime, Worker } from '@temporalio/worker';
import { countersOf } from '../src/contract/progress-message.ts';
import { jobRuns } from '../test/synthetic/job-runs.ts';
import { type StackProcess, SyntheticStack } from '../test/synthetic/synthetic-stack.ts';
import { namespaceName, namespaceOf, type SyntheticUpstream, tableName } from '../test/synthetic/synthetic-upstream.ts';
import { type Actions, actionsIn, addActions } from './actions.ts';
import { countHeartbeats } from './heartbeats.ts';
import type { PeerInput } from './peers/one-per-table.ts';
import { cpuSeconds, forgetPeak, peakMemory } from './process-stats.ts';
import { PauseMeter } from './scale/pause-meter.ts';
import { type Measured, report } from './scale/report.ts';
import { scheduledJob } from './scale/scheduled-job.ts';

const { values: options } = parseArgs({
  options: {
    tables: { type: 'string', default: '100000' },
    namespaces: { type: 'string', default: '200' },
    /** Number of tables for the comparison with the peers; 0 for none. */
    peers: { type: 'string', default: '1000' },
    /** Number of tables that take long to open. They follow each other in one namespace, so that they are in one pack. */
    slow: { type: 'string', default: '0' },
    cache: { type: 'string', default: join(homedir(), '.cache', 'reconciler', 'bench') },
  },
});
const PROCESSES = ['worker', 'catalog', 'temporal'] as const satisfies StackProcess[];
const PEERS = { 'an activity per table': 'activityPerTable', 'a child workflow per table': 'childPerTable' };
/** The default of a connector's `max_parallel`. */
const PARALLEL = 8;
/** How long a slow table takes to open: less than the stall after which an activity's watchdog fails it. */
const SLOW_MS = 25_000;
/** Tables of the small connector that is run by a schedule. */
const FEW = 5;

mkdirSync(options.cache, { recursive: true });
await using stack = await SyntheticStack.start({ parent: options.cache });
const tables = Number(options.tables);
const namespaces = Math.min(Number(options.namespaces), tables);
const results: Measured[] = [];

/** The last tables of the namespace in the middle: while they are read, a large job reaches the end of its history. */
const middle = Math.floor(namespaces / 2);
const slowFrom = middle + (Math.ceil((tables - middle) / namespaces) - Number(options.slow)) * namespaces;
const slow: SyntheticUpstream['faults'] = [{ every: namespaces, from: slowFrom, delayMs: SLOW_MS }];
const upstream: SyntheticUpstream = { tables, namespaces, ...(Number(options.slow) > 0 && { faults: slow }) };
const connectorId = await stack.connect('made', stack.upstream('made', upstream));
await reconcile('first', connectorId);
await reconcile('unchanged', connectorId);
const faults: SyntheticUpstream['faults'] = [
  ...(upstream.faults ?? []),
  { every: 40, code: 'DATA_LOSS' },
  { every: 50, from: 1, code: 'UNAVAILABLE', times: 2 },
];
stack.upstream('made', { ...upstream, faults, round: 1, changedShare: 0.01 });
await reconcile('1 % changed, some fail', connectorId);

const small = await stack.connect('small', stack.upstream('small', { tables: FEW, namespaces: 1 }));
await reconcile('small connector, first', small);
await measureJob('small connector, scheduled, unchanged', () => scheduledJob(stack, small));

const few = Number(options.peers);
if (few > 0) {
  stack.upstream('few', { tables: few, namespaces: 20 });
  const ownConnector = await connect('ours');
  await reconcile('this project, first', ownConnector);
  await reconcile('this project, unchanged', ownConnector);
  await withPeers(async () => {
    for (const [name, workflow] of Object.entries(PEERS)) {
      const peer = await connect(workflow);
      await runPeer(`${name}, first`, workflow, peer);
      await runPeer(`${name}, unchanged`, workflow, peer);
    }
  });
}
report(results);

function connect(name: string): Promise<string> {
  return stack.connect(name, `file://${join(stack.folder, 'few.json')}`);
}

/** Runs and measures a job. */
function reconcile(run: string, connectorId: string): Promise<void> {
  return measureJob(run, async () => (await stack.catalog.connectors.triggerReconcile({ connectorId })).jobId);
}

/** @param start starts a job and returns its id */
async function measureJob(run: string, start: () => Promise<string>): Promise<void> {
  await measure(run, async () => {
    const jobId = await start();
    const pauses = new PauseMeter();
    const job = await stack.ended(jobId, (state) => pauses.observe(state));
    if (countersOf(job).tablesScanned === 0n) throw new Error(`${jobId} scanned no table: ${job.message}`);
    return {
      workflowId: jobId,
      state: job.state,
      tables: Number(countersOf(job).tablesScanned),
      changed: Number(countersOf(job).tablesChanged),
      errors: Number(countersOf(job).errors),
      seconds: (job.finishedAt!.getTime() - job.startedAt!.getTime()) / 1000,
      longestPause: pauses.longest,
      longestPauseOfScan: pauses.longestOfScan,
    };
  });
}

async function runPeer(run: string, workflow: string, connectorId: string): Promise<void> {
  const upstream = { tables: few, namespaces: 20 };
  const input: PeerInput = {
    connectorId,
    parallel: PARALLEL,
    tables: Array.from({ length: few }, (_, table) => ({
      namespace: [namespaceName(namespaceOf(table, upstream))],
      name: tableName(table),
    })),
  };
  await measure(run, async () => {
    const start = performance.now();
    const workflowId = `${workflow}-${crypto.randomUUID()}`;
    await stack.temporal.workflow.execute(workflow, { workflowId, taskQueue: 'peer', args: [input] });
    const seconds = (performance.now() - start) / 1000;
    return { workflowId, state: 'COMPLETED', tables: few, seconds };
  });
}

type Outcome = { workflowId: string } & Pick<
  Measured,
  'state' | 'tables' | 'changed' | 'errors' | 'seconds' | 'longestPause' | 'longestPauseOfScan'
>;

async function measure(run: string, work: () => Promise<Outcome>): Promise<void> {
  console.error(`bench: ${run}`);
  for (const name of PROCESSES) forgetPeak(stack.pid(name));
  const cpuBefore = perProcess((name) => cpuSeconds(stack.pid(name)));
  const heartbeatsBefore = await countHeartbeats(stack.temporalMetricsAddress);
  const { workflowId, ...outcome } = await work();
  const heartbeats = (await countHeartbeats(stack.temporalMetricsAddress)) - heartbeatsBefore;
  const actions: Actions = {};
  const histories = { runs: 0, events: 0, mostEventsOfARun: 0, historyBytes: 0, mostBytesOfARun: 0 };
  const peaks = perProcess((name) => peakMemory(stack.pid(name)));
  const used = perProcess((name) => Math.round((cpuSeconds(stack.pid(name)) - cpuBefore[name]) * 10) / 10);
  for await (const { events, bytes } of jobRuns(stack.temporal, workflowId)) {
    histories.runs += 1;
    histories.events += events.length;
    histories.mostEventsOfARun = Math.max(histories.mostEventsOfARun, events.length);
    histories.historyBytes += bytes;
    histories.mostBytesOfARun = Math.max(histories.mostBytesOfARun, bytes);
    addActions(actions, actionsIn(events));
  }
  addActions(actions, { record_activity_heartbeat: heartbeats });
  const tablesPerSecond = Math.round(outcome.tables / outcome.seconds);
  results.push({ run, ...outcome, tablesPerSecond, ...histories, actions, peakMemory: peaks, cpuSeconds: used });
}

function perProcess(value: (name: StackProcess) => number): Record<StackProcess, number> {
  return Object.fromEntries(PROCESSES.map((name) => [name, value(name)])) as Record<StackProcess, number>;
}

/** Runs `work` with a worker for the peers' workflows in this process. */
async function withPeers(work: () => Promise<void>): Promise<void> {
  Runtime.install({ logger: new DefaultLogger('ERROR') });
  const connection = await NativeConnection.connect({ address: stack.temporalAddress });
  const workflowsPath = join(import.meta.dirname, 'peers', 'one-per-table.ts');
  const worker = await Worker.create({ connection, taskQueue: 'peer', workflowsPath });
  await worker.runUntil(work);
  await connection.close();
}
