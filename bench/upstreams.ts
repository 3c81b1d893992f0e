/**
 * The benchmark with REST catalogs and Glue: `npm run bench:upstreams`, or a small one in a minute or two: `… -- --quick`.
 *
 * Real servers on this machine contain many small tables. DataHub's Iceberg source with profiling reads them twice. Then a real stack does: a
 * first run just after its start, before its code is compiled; a first run of another connector, as on a stack that has been up for a while;
 * and an unchanged run. Two more runs of another stack go through proxies that count the requests to the upstream.
 * The report goes to stderr, its numbers as JSON to stdout.
 */
import { mkdirSync } from 'node:fs';
import { cpus, homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import Table from 'cli-table3';
import { CountingProxy, type Counts } from './counting-proxy.ts';
import { type DataHubRun, runDataHub } from './datahub.ts';
import { ensureManyTables, type ManyTables } from './many-tables.ts';
import { BenchStack, type Job, type StackProcess } from './stack.ts';
import { type Addresses, AWS_ENV, glueUpstream, restUpstream, type Upstream } from './upstream.ts';
import { warmRest } from './warm-rest.ts';

const SETUPS = ['rest-s3', 'rest-file', 'glue-s3', 'reference'] as const;

const { values: options } = parseArgs({
  options: {
    tables: { type: 'string', default: '1000' },
    /** 50 tables, to try the benchmark itself. */
    quick: { type: 'boolean', default: false },
    /** The setups to run, separated by commas. */
    only: { type: 'string', default: SETUPS.join(',') },
    cache: { type: 'string', default: join(homedir(), '.cache', 'reconciler', 'bench') },
  },
});

/** Duration of a run, and the processor time of each process of the stack and of everything else on this machine, mostly the servers. */
interface TimedRun {
  seconds: number;
  cpuSeconds: Record<StackProcess | 'others', number>;
  job: Job;
}

interface Measured {
  setup: string;
  tables: number;
  datahub: { first: DataHubRun; again: DataHubRun };
  ours: { cold: TimedRun; first: TimedRun; again: TimedRun };
  /** The requests of this project's runs to each server, from separate runs. */
  requests: { first: Record<string, Counts>; again: Record<string, Counts> };
  /** Conditional loads per second that the REST server serves if it does nothing else. */
  restAlone?: number;
}

async function measure(setup: string, many: ManyTables, upstream: Upstream, cache: string): Promise<Measured> {
  const { rest } = upstream.addresses;
  const restAlone = rest && (await warmRest(rest, many.tables));
  console.error(`bench: ${setup}: DataHub`);
  const [first, again] = await runDataHub(upstream.datahub, 2);
  for (const run of [first, again]) {
    if (run?.profiles !== many.tables.length) throw new Error(`DataHub profiled ${run?.profiles} tables`);
  }
  console.error(`bench: ${setup}: ours`);
  const ours = await runOurs(upstream, many, cache);
  console.error(`bench: ${setup}: ours, counted`);
  const requests = await countOurs(upstream, many, cache);
  const datahub = { first: first!, again: again! };
  return { setup, tables: many.tables.length, datahub, ours, requests, ...(restAlone && { restAlone }) };
}

/** Measures two connectors on a new stack. */
async function runOurs(upstream: Upstream, many: ManyTables, cache: string): Promise<Measured['ours']> {
  await using stack = await BenchStack.start(cache);
  const cold = await firstRun(stack, 'cold', upstream, upstream.addresses, many);
  const first = await firstRun(stack, 'first', upstream, upstream.addresses, many);
  return { cold, first, again: await unchangedRun(stack, 'first', many) };
}

async function firstRun(
  stack: BenchStack,
  connector: string,
  upstream: Upstream,
  addresses: Addresses,
  many: ManyTables,
): Promise<TimedRun> {
  await stack.createConnector(connector, ...upstream.connector(addresses));
  const run = await timed(stack, connector);
  expectCount(run.job, 'tablesChanged', many.tables.length);
  expectCount(run.job, 'filesIngested', many.tables.length * many.snapshots * many.files);
  return run;
}

async function unchangedRun(stack: BenchStack, connector: string, many: ManyTables): Promise<TimedRun> {
  const run = await timed(stack, connector);
  expectCount(run.job, 'tablesUnchanged', many.tables.length);
  return run;
}

async function countOurs(upstream: Upstream, many: ManyTables, cache: string): Promise<Measured['requests']> {
  const proxies = await Promise.all(
    Object.entries(upstream.addresses).map(async ([name, url]) => [name, await CountingProxy.start(url)] as const),
  );
  const take = () => Object.fromEntries(proxies.map(([name, proxy]) => [name, proxy.take()]));
  const addresses = Object.fromEntries(proxies.map(([name, { url }]) => [name, url]));
  try {
    await using stack = await BenchStack.start(cache);
    await firstRun(stack, 'counted', upstream, addresses, many);
    const first = take();
    await unchangedRun(stack, 'counted', many);
    return { first, again: take() };
  } finally {
    for (const [, proxy] of proxies) await proxy[Symbol.asyncDispose]();
  }
}

const PROCESSES: readonly StackProcess[] = ['worker', 'catalog', 'temporal'];

async function timed(stack: BenchStack, connector: string): Promise<TimedRun> {
  const cpu = () => ({ machine: busySeconds(), processes: PROCESSES.map((name) => stack.cpuSeconds(name)) });
  const before = cpu();
  const { job, jobSeconds } = await stack.reconcile(connector);
  const after = cpu();
  const ofStack = PROCESSES.map((_, i) => after.processes[i]! - before.processes[i]!);
  const others = after.machine - before.machine - ofStack.reduce((sum, seconds) => sum + seconds, 0);
  const [worker = 0, catalog = 0, temporal = 0] = ofStack;
  return { seconds: jobSeconds, cpuSeconds: { worker, catalog, temporal, others }, job };
}

/** Processor time of all processes on this machine, in seconds. */
function busySeconds(): number {
  const busy = cpus().map(({ times }) => times.user + times.nice + times.sys + times.irq);
  return busy.reduce((sum, ms) => sum + ms, 0) / 1000;
}

function expectCount(job: Job, field: 'tablesChanged' | 'tablesUnchanged' | 'filesIngested', expected: number): void {
  const found = Number(job[field]);
  if (found !== expected) throw new Error(`${job.jobId}: ${field} is ${found}, ${expected} expected`);
}

const RUNS = { cold: 'first,\nnew stack', first: 'first', again: 'unchanged' };

function report(all: Measured[]): void {
  const head = ['setup', 'run', 'DataHub', 'ours', 'ratio', 'our requests to the upstream', 'CPU seconds'];
  const table = new Table({ head, style: { head: [], border: [] } });
  for (const { setup, tables, datahub, ours, requests, restAlone } of all) {
    for (const run of ['cold', 'first', 'again'] as const) {
      const [peer, own] = [datahub[run === 'again' ? run : 'first'], ours[run]];
      const pace = (seconds: number) => `${(tables / seconds).toFixed(0)} tables/s\n${seconds.toFixed(2)} s`;
      table.push([
        `${setup}\n${tables} tables`,
        RUNS[run],
        pace(peer.seconds),
        pace(own.seconds) + (run === 'again' && restAlone ? `\nserver alone ${restAlone.toFixed(0)}/s` : ''),
        (peer.seconds / own.seconds).toFixed(1),
        [...Object.entries(run === 'cold' ? {} : requests[run]).map(countsText), jobText(own.job)].join('\n'),
        `DataHub ${peer.cpuSeconds.toFixed(1)}\n${cpuText(own.cpuSeconds)}`,
      ]);
    }
  }
  console.error(table.toString());
  console.error(
    'target: first >= 2 x DataHub, unchanged >= 10 x; Glue unchanged: one GetTables per 100 tables, and no table opened.\n' +
      'reference: the Java system took 4.4 s for the first run and 4.2 s for an unchanged one, on a machine of this size.',
  );
  console.log(JSON.stringify(all));
}

function countsText([server, counts]: [string, Counts]): string {
  const lines = Object.entries(counts).map(
    ([operation, { requests, bytes }]) => `${server}: ${requests} ${operation}, ${(bytes / 1024).toFixed(0)} KiB`,
  );
  return lines.join('\n') || `${server}: nothing`;
}

/** The counts of the job's own record, which are those of another run than the one counted by proxies. */
function jobText({ upstreamRequests, bytesRead }: Job): string {
  return `job record: ${upstreamRequests} requests, ${(Number(bytesRead) / 1024).toFixed(0)} KiB of metadata`;
}

function cpuText(cpuSeconds: TimedRun['cpuSeconds']): string {
  return Object.entries(cpuSeconds)
    .map(([name, seconds]) => `${name} ${seconds.toFixed(1)}`)
    .join('\n');
}

const tables = options.quick ? 50 : Number(options.tables);
const cache = resolve(options.cache);
mkdirSync(cache, { recursive: true });
Object.assign(process.env, AWS_ENV);
const only = options.only.split(',');
const small = { tables, snapshots: 1, files: 4 };

const results: Measured[] = [];
for (const setup of SETUPS.filter((name) => only.includes(name))) {
  const shape = setup === 'reference' ? { tables: 20, snapshots: 5, files: 10 } : small;
  const many = await ensureManyTables(cache, setup === 'rest-file' ? 'file' : 's3', shape);
  console.error(`bench: ${setup}: loading ${many.tables.length} tables`);
  await using upstream = await (setup === 'glue-s3' ? glueUpstream(many) : restUpstream(many));
  results.push(await measure(setup, many, upstream, cache));
}
report(results);
