/**
 * The soak benchmark: `npm run bench:soak`, or a shorter one: `npm run bench:soak -- --minutes 2`.
 *
 * Twenty connectors with synthetic upstreams (test/synthetic) run every five seconds on a real stack, for ten minutes. The upstreams change
 * all the time and have faults: tables that are corrupt, fail twice, are throttled or are slow, and namespaces that sometimes may not be
 * listed. Memory, handles, open workflows and databases are sampled. The report states what grows after the warm-up, which is the first
 * third. The benchmark fails if a job does not end, if a job without faults fails, or if handles or workflows are left over. The report goes
 * to stderr, its numbers as JSON to stdout.
 */
import { mkdirSync, readdirSync, statSync } from 'node:fs';
import { homedir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import Table from 'cli-table3';
import { jobStateToJSON } from '../src/generated/reconciler/v1/jobs.ts';
import { type StackProcess, SyntheticStack } from '../test/synthetic/synthetic-stack.ts';
import type { SyntheticUpstream } from '../test/synthetic/synthetic-upstream.ts';
import { cpuSeconds, openHandles, residentMemory } from './process-stats.ts';

const { values: options } = parseArgs({
  options: {
    minutes: { type: 'string', default: '10' },
    connectors: { type: 'string', default: '20' },
    /** In seconds. */
    interval: { type: 'string', default: '5' },
    tables: { type: 'string', default: '100' },
    cache: { type: 'string', default: join(homedir(), '.cache', 'reconciler', 'bench') },
  },
});
const minutes = Number(options.minutes);
const intervalSeconds = Number(options.interval);
const PROCESSES = ['worker', 'catalog', 'temporal'] as const satisfies StackProcess[];
/** Number of samples over the whole time. */
const SAMPLES = 60;
/** Growth that counts, as a share of the median. Memory fluctuates by less over the measured time. */
const MIN_GROWTH = 0.1;

/** Values by name, all sampled at the same time. */
interface Sample {
  minute: number;
  values: Record<string, number>;
}

mkdirSync(options.cache, { recursive: true });
// Quoted, because the path may contain spaces.
const nodeOptions = `--require ${JSON.stringify(join(import.meta.dirname, 'collect-garbage.cjs'))}`;
await using stack = await SyntheticStack.start({ parent: options.cache, nodeOptions });
const connectorIds: string[] = [];
for (let i = 0; i < Number(options.connectors); i++) {
  const uri = stack.upstream(`soak-${i}`, upstreamOf(i, 0));
  const policy = { enabled: true, interval: { seconds: BigInt(intervalSeconds) } };
  connectorIds.push(await stack.connect(`soak-${i}`, uri, { policy }));
}
const began = performance.now();
const samples: Sample[] = [];
const minute = () => (performance.now() - began) / 60_000;
for (let round = 1; minute() < minutes; round++) {
  for (const i of connectorIds.keys()) stack.upstream(`soak-${i}`, upstreamOf(i, round));
  if (minute() >= (samples.length * minutes) / SAMPLES) samples.push(await sample());
  await sleep(Math.min(1000, (minutes * 60_000) / SAMPLES));
}
samples.push(await sample());
for (const connectorId of connectorIds) {
  const connector = { connectorId, policy: { enabled: false } };
  await stack.catalog.connectors.updateConnector({ connector, updateMask: ['policy.enabled'] });
}
while ((await openWorkflows()) > 0 && minute() < minutes + 5) await sleep(1000);
const last = await sample();
const jobs = await jobsByState();
report();

/** Every second connector has none, so that some jobs succeed. */
function hasFaults(connector: number): boolean {
  return connector % 2 === 1;
}

/** A table gets a new snapshot about every ten rounds. */
function upstreamOf(connector: number, round: number): SyntheticUpstream {
  const upstream = { tables: Number(options.tables), namespaces: 5, files: 3, round, changedShare: 0.1 };
  if (!hasFaults(connector)) return upstream;
  const faults: SyntheticUpstream['faults'] = [
    { every: 40, from: 7, code: 'DATA_LOSS' },
    { every: 20, from: 3, code: 'UNAVAILABLE', times: 2 },
    { every: 30, from: 5, code: 'RESOURCE_EXHAUSTED', times: 1, retryAfterMs: 500 },
    { every: 10, from: 1, delayMs: 50 },
  ];
  return { ...upstream, faults, refused: Math.floor(round / 20) % 3 === connector % 3 ? [4] : [] };
}

async function sample(): Promise<Sample> {
  const values: Sample['values'] = {};
  for (const name of ['worker', 'catalog'] as const) process.kill(stack.pid(name), 'SIGUSR2');
  await sleep(500);
  for (const name of PROCESSES) {
    const pid = stack.pid(name);
    values[`${name}: memory MiB`] = residentMemory(pid);
    values[`${name}: open handles`] = openHandles(pid);
    values[`${name}: CPU s`] = Math.round(cpuSeconds(pid));
  }
  // The rest of the catalog's memory is SQLite's cache, which fills up to 64 MiB as the database grows, and memory that the allocator keeps.
  values["catalog: V8's heap MiB"] = await heapUsed();
  values['open workflows'] = await openWorkflows();
  values['catalog.db MiB'] = sizeOf('catalog.db');
  values['temporal.db MiB'] = sizeOf('temporal.db');
  return { minute: minute(), values };
}

/** The catalog's heap in use, in MiB, read just after a garbage collection. */
async function heapUsed(): Promise<number> {
  const metrics = await (await fetch(`http://${stack.metricsAddress}/metrics`)).text();
  return Math.round(Number(/^nodejs_heap_size_used_bytes (\S+)$/m.exec(metrics)?.[1]) / 1024 / 1024);
}

/** Number of running jobs. Schedules, which are workflows too, are not counted. */
async function openWorkflows(): Promise<number> {
  const { count } = await stack.temporal.workflow.count("ExecutionStatus = 'Running' AND WorkflowType = 'reconcile'");
  return count;
}

/** Size in MiB, including SQLite's temporary files beside the database. */
function sizeOf(database: string): number {
  const files = readdirSync(stack.folder).filter((name) => name.startsWith(database));
  const sizes = files.map((name) => statSync(join(stack.folder, name), { throwIfNoEntry: false })?.size ?? 0);
  return Math.round(sizes.reduce((sum, size) => sum + size, 0) / 1024 / 1024);
}

type JobsByState = Record<string, number>;

/** Jobs by their states. Those over upstreams with faults fail, since some tables are always corrupt, and take longer, so that they are fewer. */
async function jobsByState(): Promise<{ withoutFaults: JobsByState; withFaults: JobsByState }> {
  const counts = { withoutFaults: {} as JobsByState, withFaults: {} as JobsByState };
  let pageToken = '';
  do {
    const page = await stack.catalog.jobs.listReconcileJobs({ pageSize: 1000, pageToken });
    for (const { connectorId, state } of page.jobs) {
      const states = hasFaults(connectorIds.indexOf(connectorId)) ? counts.withFaults : counts.withoutFaults;
      const name = jobStateToJSON(state);
      states[name] = (states[name] ?? 0) + 1;
    }
    pageToken = page.nextPageToken;
  } while (pageToken);
  return counts;
}

/** Growth per minute: the median of the slopes between all pairs (Theil–Sen), which single samples do not affect. */
function slope(points: { minute: number; value: number }[]): number {
  const slopes = points.flatMap((a, i) => points.slice(i + 1).map((b) => (b.value - a.value) / (b.minute - a.minute)));
  return slopes.sort((a, b) => a - b)[Math.floor(slopes.length / 2)] ?? Number.NaN;
}

function report(): void {
  const warm = samples.filter(({ minute }) => minute >= minutes / 3);
  const measured = Object.keys(last.values).map((name) => {
    const values = warm.map(({ values }) => values[name]!);
    const median = [...values].sort((a, b) => a - b)[Math.floor(values.length / 2)]!;
    const aMinute = slope(warm.map(({ minute, values }) => ({ minute, value: values[name]! })));
    const range = Math.max(...values) - Math.min(...values);
    // Processor time and databases are expected to grow.
    const bounded = !/CPU|\.db/.test(name);
    const grows = bounded && (aMinute * (minutes * 2)) / 3 > Math.max(MIN_GROWTH * median, 3);
    return { name, first: samples[0]!.values[name]!, median, range, last: last.values[name]!, aMinute, bounded, grows };
  });
  const head = ['', 'at start', 'median after warm-up', 'range', 'at rest', 'per minute', ''];
  const table = new Table({ head, style: { head: [], border: [] } });
  for (const { name, first, median, range, last, aMinute, bounded, grows } of measured) {
    const verdict = !bounded ? '' : grows ? 'GROWS' : 'steady';
    table.push([name, first, median, range, last, aMinute.toFixed(2), verdict]);
  }
  const unfinished = Object.values(jobs).some(({ JS_QUEUED = 0, JS_RUNNING = 0 }) => JS_QUEUED + JS_RUNNING > 0);
  const { JS_SUCCEEDED: succeeded = 0, ...otherwise } = jobs.withoutFaults;
  const open = last.values['open workflows'];
  console.error(table.toString());
  console.error(`jobs: ${JSON.stringify(jobs)}; open workflows at the end: ${open}`);
  console.log(JSON.stringify({ minutes, connectors: connectorIds.length, jobs, measured, samples }));
  if (unfinished || open !== 0) process.exitCode = 1;
  if (measured.some(({ name, grows }) => grows && !name.includes('memory'))) process.exitCode = 1;
  if (succeeded === 0 || Object.keys(otherwise).length > 0) process.exitCode = 1;
}
