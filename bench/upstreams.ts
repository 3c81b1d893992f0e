/**
 * The benchmark behind REST catalogs and Glue: `npm run bench:upstreams`, or small in a minute or two: `… -- --quick`.
 *
 * Real servers of this machine hold many small tables. DataHub's Iceberg source with profiling reads them twice, then a real stack does: a
 * first run just after its start, when its code is not compiled yet; a first run of another connector, as a stack that is up for a while does
 * it; and one that finds nothing changed. Two more runs of another stack go through proxies that count what is asked upstream.
 * Reports on stderr, prints JSON on stdout.
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
    /** Of these alone, with commas between. */
    only: { type: 'string', default: SETUPS.join(',') },
    cache: { type: 'string', default: join(homedir(), '.cache', 'reconciler', 'bench') },
  },
});

/** Seconds, and of the processors what each process of the stack took and all else of this machine, the servers above all. */
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
  /** What ours asks of each server, in runs of its own. */
  asked: { first: Record<string, Counts>; again: Record<string, Counts> };
  /** Conditional loads that the REST server answers a second when they are all that it does. */
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
  const asked = await countOurs(upstream, many, cache);
  const datahub = { first: first!, again: again! };
  return { setup, tables: many.tables.length, datahub, ours, asked, ...(restAlone && { restAlone }) };
}

/** Two connectors of a stack of their own. */
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
  at: Addresses,
  many: ManyTables,
): Promise<TimedRun> {
  await stack.createConnector(connector, ...upstream.connector(at));
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

async function countOurs(upstream: Upstream, many: ManyTables, cache: string): Promise<Measured['asked']> {
  const proxies = await Promise.all(
    Object.entries(upstream.addresses).map(async ([name, url]) => [name, await CountingProxy.start(url)] as const),
  );
  const take = () => Object.fromEntries(proxies.map(([name, proxy]) => [name, proxy.take()]));
  const at = Object.fromEntries(proxies.map(([name, { url }]) => [name, url]));
  try {
    await using stack = await BenchStack.start(cache);
    await firstRun(stack, 'counted', upstream, at, many);
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
  const own = PROCESSES.map((_, i) => after.processes[i]! - before.processes[i]!);
  const others = after.machine - before.machine - own.reduce((sum, seconds) => sum + seconds, 0);
  const [worker = 0, catalog = 0, temporal = 0] = own;
  return { seconds: jobSeconds, cpuSeconds: { worker, catalog, temporal, others }, job };
}

/** Processor time of all processes of this machine. */
function busySeconds(): number {
  const busy = cpus().map(({ times }) => times.user + times.nice + times.sys + times.irq);
  return busy.reduce((sum, ms) => sum + ms, 0) / 1000;
}

function expectCount(job: Job, field: 'tablesChanged' | 'tablesUnchanged' | 'filesIngested', wanted: number): void {
  const found = Number(job[field] ?? 0);
  if (found !== wanted) throw new Error(`${job.jobId}: ${field} is ${found}, ${wanted} expected`);
}

const RUNS = { cold: 'first, stack\njust started', first: 'first', again: 'unchanged' };

function report(all: Measured[]): void {
  const head = ['setup', 'run', 'DataHub', 'ours', 'ratio', 'asked upstream, by ours', 'CPU seconds'];
  const table = new Table({ head, style: { head: [], border: [] } });
  for (const { setup, tables, datahub, ours, asked, restAlone } of all) {
    for (const run of ['cold', 'first', 'again'] as const) {
      const [theirs, mine] = [datahub[run === 'again' ? run : 'first'], ours[run]];
      const pace = (seconds: number) => `${(tables / seconds).toFixed(0)} tables/s\n${seconds.toFixed(2)} s`;
      table.push([
        `${setup}\n${tables} tables`,
        RUNS[run],
        pace(theirs.seconds),
        pace(mine.seconds) + (run === 'again' && restAlone ? `\nserver alone ${restAlone.toFixed(0)}/s` : ''),
        (theirs.seconds / mine.seconds).toFixed(1),
        [...Object.entries(run === 'cold' ? {} : asked[run]).map(countsText), jobText(mine.job)].join('\n'),
        `DataHub ${theirs.cpuSeconds.toFixed(1)}\n${cpuText(mine.cpuSeconds)}`,
      ]);
    }
  }
  console.error(table.toString());
  console.error(
    'wanted: first >= 2 x DataHub, unchanged >= 10 x; Glue unchanged: one GetTables for 100 tables and nothing opened.\n' +
      'reference: the Java system took 4.4 s at first and 4.2 s unchanged, on a machine of this size.',
  );
  console.log(JSON.stringify(all));
}

function countsText([server, counts]: [string, Counts]): string {
  const lines = Object.entries(counts).map(
    ([operation, { requests, bytes }]) => `${server}: ${requests} ${operation}, ${(bytes / 1024).toFixed(0)} KiB`,
  );
  return lines.join('\n') || `${server}: nothing`;
}

/** What the job's own record says; the runs that proxies counted were others. */
function jobText({ upstreamRequests = '0', bytesRead = '0' }: Job): string {
  return `by the job: ${upstreamRequests} requests, ${(Number(bytesRead) / 1024).toFixed(0)} KiB of metadata`;
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
