/**
 * The benchmark of many tables: `npm run bench:scale`, or fewer: `npm run bench:scale -- --tables 10000`.
 *
 * One connector with 100,000 made tables (test/synthetic), which cost nothing upstream, on a real stack: Temporal's dev server with a
 * database file, the catalog on SQLite, one worker. A first run, one that finds nothing changed, and one in which 1 % have a new snapshot
 * and some fail. Beside it, at 1,000 tables, the same worker with an activity or a child workflow a table, as is usual.
 * Reports on stderr, prints JSON on stdout.
 */

import { mkdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { parseArgs } from 'node:util';
import { DefaultLogger, NativeConnection, Runtime, Worker } from '@temporalio/worker';
import Table from 'cli-table3';
import { countersOf } from '../src/contract/progress-message.ts';
import { jobRuns } from '../test/synthetic/job-runs.ts';
import { type StackProcess, SyntheticStack } from '../test/synthetic/synthetic-stack.ts';
import { namespaceName, namespaceOf, type SyntheticUpstream, tableName } from '../test/synthetic/synthetic-upstream.ts';
import type { PeerInput } from './peers/one-a-table.ts';
import { cpuSeconds, forgetPeak, peakMemory } from './process-stats.ts';

const { values: options } = parseArgs({
  options: {
    tables: { type: 'string', default: '100000' },
    namespaces: { type: 'string', default: '200' },
    /** Tables that are done one by one. */
    peers: { type: 'string', default: '1000' },
    cache: { type: 'string', default: join(homedir(), '.cache', 'reconciler', 'bench') },
  },
});
const PROCESSES = ['worker', 'catalog', 'temporal'] as const satisfies StackProcess[];
const PEERS = { 'an activity a table': 'activityATable', 'a child workflow a table': 'childATable' };
/** As a connector has it that does not say. */
const PARALLEL = 8;

interface Measured {
  run: string;
  state: string;
  tables: number;
  /** Of a job. */
  changed?: number;
  errors?: number;
  seconds: number;
  tablesPerSecond: number;
  /** Continue-as-new makes several of one job. */
  runs: number;
  events: number;
  mostEventsOfARun: number;
  historyBytes: number;
  mostBytesOfARun: number;
  /** MiB. */
  peakMemory: Record<StackProcess, number>;
  cpuSeconds: Record<StackProcess, number>;
}

mkdirSync(options.cache, { recursive: true });
await using stack = await SyntheticStack.start({ parent: options.cache });
const tables = Number(options.tables);
const namespaces = Math.min(Number(options.namespaces), tables);
const results: Measured[] = [];

const made: SyntheticUpstream = { tables, namespaces };
const connectorId = await stack.connect('made', stack.upstream('made', made));
await reconcile('first', connectorId);
await reconcile('unchanged', connectorId);
const faults: SyntheticUpstream['faults'] = [
  { every: 40, code: 'DATA_LOSS' },
  { every: 50, from: 1, code: 'UNAVAILABLE', times: 2 },
];
stack.upstream('made', { ...made, faults, round: 1, changedShare: 0.01 });
await reconcile('1 % changed, some fail', connectorId);

const few = Number(options.peers);
if (few > 0) {
  stack.upstream('few', { tables: few, namespaces: 20 });
  const ours = await connect('ours');
  await reconcile('this project, first', ours);
  await reconcile('this project, unchanged', ours);
  await withPeers(async () => {
    for (const [name, workflow] of Object.entries(PEERS)) {
      const peer = await connect(workflow);
      await runPeer(`${name}, first`, workflow, peer);
      await runPeer(`${name}, unchanged`, workflow, peer);
    }
  });
}
report();

function connect(name: string): Promise<string> {
  return stack.connect(name, `file://${join(stack.folder, 'few.json')}`);
}

/** A job, measured. */
async function reconcile(run: string, connectorId: string): Promise<void> {
  await measure(run, async () => {
    const { jobId } = await stack.catalog.connectors.triggerReconcile({ connectorId });
    const job = await stack.ended(jobId);
    if (countersOf(job).tablesScanned === 0n) throw new Error(`${jobId} looked at no table: ${job.message}`);
    return {
      workflowId: jobId,
      state: job.state,
      tables: Number(countersOf(job).tablesScanned),
      changed: Number(countersOf(job).tablesChanged),
      errors: Number(countersOf(job).errors),
      seconds: (job.finishedAt!.getTime() - job.startedAt!.getTime()) / 1000,
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

type Outcome = Pick<Measured, 'state' | 'tables' | 'changed' | 'errors' | 'seconds'> & { workflowId: string };

async function measure(run: string, work: () => Promise<Outcome>): Promise<void> {
  console.error(`bench: ${run}`);
  for (const name of PROCESSES) forgetPeak(stack.pid(name));
  const before = ofEach((name) => cpuSeconds(stack.pid(name)));
  const { workflowId, ...outcome } = await work();
  const histories = { runs: 0, events: 0, mostEventsOfARun: 0, historyBytes: 0, mostBytesOfARun: 0 };
  const peaks = ofEach((name) => peakMemory(stack.pid(name)));
  const used = ofEach((name) => Math.round((cpuSeconds(stack.pid(name)) - before[name]) * 10) / 10);
  for await (const { events, bytes } of jobRuns(stack.temporal, workflowId)) {
    histories.runs += 1;
    histories.events += events.length;
    histories.mostEventsOfARun = Math.max(histories.mostEventsOfARun, events.length);
    histories.historyBytes += bytes;
    histories.mostBytesOfARun = Math.max(histories.mostBytesOfARun, bytes);
  }
  const tablesPerSecond = Math.round(outcome.tables / outcome.seconds);
  results.push({ run, ...outcome, tablesPerSecond, ...histories, peakMemory: peaks, cpuSeconds: used });
}

function ofEach(value: (name: StackProcess) => number): Record<StackProcess, number> {
  return Object.fromEntries(PROCESSES.map((name) => [name, value(name)])) as Record<StackProcess, number>;
}

/** With a worker of the peers' workflows, in this process. */
async function withPeers(work: () => Promise<void>): Promise<void> {
  Runtime.install({ logger: new DefaultLogger('ERROR') });
  const connection = await NativeConnection.connect({ address: stack.temporalAddress });
  const workflowsPath = join(import.meta.dirname, 'peers', 'one-a-table.ts');
  const worker = await Worker.create({ connection, taskQueue: 'peer', workflowsPath });
  await worker.runUntil(work);
  await connection.close();
}

function report(): void {
  const head = [
    'run',
    'tables',
    'changed\nerrors',
    's',
    'tables/s',
    'events\n(runs)',
    'most of a run',
    'peak MiB',
    'CPU s',
  ];
  const table = new Table({ head, style: { head: [], border: [] } });
  const each = (values: Record<StackProcess, number>) => PROCESSES.map((name) => `${name} ${values[name]}`).join('\n');
  for (const m of results) {
    table.push([
      m.run.replaceAll(', ', '\n'),
      m.tables,
      m.changed === undefined ? '' : `${m.changed}\n${m.errors}`,
      m.seconds.toFixed(1),
      m.tablesPerSecond,
      `${m.events}\n(${m.runs})`,
      `${m.mostEventsOfARun} events\n${Math.round(m.mostBytesOfARun / 1024)} KiB`,
      each(m.peakMemory),
      each(m.cpuSeconds),
    ]);
  }
  console.error(table.toString());
  console.log(JSON.stringify(results));
}
