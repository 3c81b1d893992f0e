/**
 * Delta tables: `npm run bench:delta`. A real stack ingests a table of 200,000 files in 20 versions, then one more version, then 1,000 small tables, all
 * versions of a table of 20,000 versions, and a table whose checkpoint has a million files; delta-rs reads the same tables for comparison.
 * `--only files|tables|versions|checkpoint` measures one of them. The report goes to stderr, its numbers as JSON to stdout.
 */
import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import Table from 'cli-table3';
import { ensureDeltaLog, ensureDeltaWarehouse, ensurePython, runScript } from './python/python.ts';
import { BenchStack, type Run } from './stack.ts';

const { values: options } = parseArgs({
  options: {
    files: { type: 'string', default: '200000' },
    versions: { type: 'string', default: '20' },
    tables: { type: 'string', default: '1000' },
    'long-versions': { type: 'string', default: '20000' },
    'checkpoint-files': { type: 'string', default: '1000000' },
    only: { type: 'string' },
    cache: { type: 'string', default: join(homedir(), '.cache', 'reconciler', 'bench') },
  },
});

interface Peer {
  files: number;
  openSeconds: number;
  seconds: number;
  filesPerSecond: number;
}

const [files, tables] = [Number(options.files), Number(options.tables)];
const cache = resolve(options.cache);
mkdirSync(cache, { recursive: true });
const python = ensurePython(cache);
const longVersions = Number(options['long-versions']);
const checkpointFiles = Number(options['checkpoint-files']);
const report = new Table({ head: ['measure', 'value', 'target'], style: { head: [], border: [] } });

/** Ingests a table, and then a version that is added to a copy of it. */
async function measureTable(warehouse: string, append: string, ...source: string[]) {
  const copy = mkdtempSync(join(cache, 'delta-copy-'));
  try {
    cpSync(warehouse, copy, { recursive: true, preserveTimestamps: true });
    await using stack = await BenchStack.start(cache);
    await stack.createConnector('bench', '--kind', 'delta', '--uri', `file://${copy}`, ...source);
    const first = await stack.reconcile('bench');
    const cpu = { worker: stack.cpuSeconds('worker'), catalog: stack.cpuSeconds('catalog') };
    const memory = { worker: stack.peakMemory('worker'), catalog: stack.peakMemory('catalog') };
    const peer = await runScript<Peer>(python, 'delta_read.py', join(copy, 'bench', 'files'));
    await runScript(python, append, 'append', '--warehouse', copy);
    const next = await stack.reconcile('bench');
    if (Number(next.job.filesIngested) !== 5) throw new Error('the new version has not been ingested by itself');
    return { first: measured(first), next: measured(next), cpu, memory, peer };
  } finally {
    rmSync(copy, { recursive: true });
  }
}

async function measureTables(warehouse: string) {
  await using stack = await BenchStack.start(cache);
  await stack.createConnector('bench', '--kind', 'delta', '--uri', `file://${warehouse}`);
  const first = measured(await stack.reconcile('bench'));
  return { first, unchanged: measured(await stack.reconcile('bench')) };
}

const measured = ({ job, jobSeconds }: Run) => ({
  seconds: jobSeconds,
  files: Number(job.filesIngested),
  snapshots: Number(job.snapshotsIngested),
  bytesRead: Number(job.bytesRead),
  requests: Number(job.upstreamRequests),
});

/** The rows of the report that all tables have. @returns the ratio to delta-rs */
function describe(what: string, { first, next, cpu, memory, peer }: Awaited<ReturnType<typeof measureTable>>): number {
  const filesPerSecond = Math.round(first.files / first.seconds);
  const ratio = Math.round((filesPerSecond / peer.filesPerSecond) * 100) / 100;
  report.push(
    [`${what}: files ingested per second`, `${filesPerSecond} (${first.seconds} s, ${first.snapshots} versions)`, ''],
    ['files that delta-rs reads per second', `${peer.filesPerSecond} (${peer.seconds} s)`, ''],
    ['ratio to delta-rs', `${ratio}`, '>= 1, aim 2'],
    ['first run', `${first.requests} requests, ${first.bytesRead} bytes`, ''],
    ['worker, catalog: CPU since the start', `${cpu.worker}, ${cpu.catalog} s`, ''],
    ['worker, catalog: peak memory', `${memory.worker}, ${memory.catalog} MiB`, '< 512'],
    ['one new version', `${next.seconds} s, ${next.requests} requests, ${next.bytesRead} bytes`, '< 1'],
  );
  return ratio;
}

const results: Record<string, object> = {};
const measures = (name: string) => options.only === undefined || options.only === name;

if (measures('files')) {
  const sizes = ['--files', options.files, '--versions', options.versions];
  const made = await ensureDeltaWarehouse(python, cache, `delta-${files}-${options.versions}`, 'one', ...sizes);
  const table = await measureTable(made, 'make_delta.py');
  results.files = { ratio: describe(`${files} files`, table), ...table };
}
if (measures('tables')) {
  const made = await ensureDeltaWarehouse(python, cache, `delta-tables-${tables}`, 'many', '--tables', options.tables);
  const small = await measureTables(made);
  results.tables = small;
  report.push(
    [`${tables} tables, first run`, `${Math.round(tables / small.first.seconds)}/s`, ''],
    [`${tables} tables, unchanged`, `${Math.round(tables / small.unchanged.seconds)}/s`, ''],
  );
}
if (measures('versions')) {
  const made = await ensureDeltaLog(
    python,
    cache,
    `delta-log-${longVersions}`,
    'versions',
    '--versions',
    `${longVersions}`,
  );
  const table = await measureTable(made, 'make_delta_log.py', '--snapshots', 'all');
  results.versions = { ratio: describe(`${longVersions} versions`, table), ...table };
}
if (measures('checkpoint')) {
  const name = `delta-checkpoint-${checkpointFiles}`;
  const made = await ensureDeltaLog(python, cache, name, 'checkpoint', '--files', `${checkpointFiles}`);
  const table = await measureTable(made, 'make_delta_log.py');
  results.checkpoint = { ratio: describe(`checkpoint of ${checkpointFiles} files`, table), ...table };
}
console.error(report.toString());
console.log(JSON.stringify(results));
