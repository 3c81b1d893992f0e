/**
 * Delta tables: `npm run bench:delta`. A real stack ingests a table of 200,000 files in 20 versions, then one more version, then 1,000 small tables;
 * delta-rs reads the same table for comparison. The report goes to stderr, its numbers as JSON to stdout.
 */
import { cpSync, mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import Table from 'cli-table3';
import { ensureDeltaWarehouse, ensurePython, runScript } from './python/python.ts';
import { BenchStack, type Run } from './stack.ts';

const { values: options } = parseArgs({
  options: {
    files: { type: 'string', default: '200000' },
    versions: { type: 'string', default: '20' },
    tables: { type: 'string', default: '1000' },
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
const sizes = ['--files', options.files, '--versions', options.versions];
const one = await ensureDeltaWarehouse(python, cache, `delta-${files}-${options.versions}`, 'one', ...sizes);
const many = await ensureDeltaWarehouse(python, cache, `delta-tables-${tables}`, 'many', '--tables', options.tables);

/** Ingests the table, and then a version that is added to a copy of it. */
async function measureFiles() {
  const copy = mkdtempSync(join(cache, 'delta-copy-'));
  try {
    cpSync(one, copy, { recursive: true });
    await using stack = await BenchStack.start(cache);
    await stack.createConnector('bench', '--kind', 'delta', '--uri', `file://${copy}`);
    const first = await stack.reconcile('bench');
    const cpu = { worker: stack.cpuSeconds('worker'), catalog: stack.cpuSeconds('catalog') };
    const memory = { worker: stack.peakMemory('worker'), catalog: stack.peakMemory('catalog') };
    const peer = await runScript<Peer>(python, 'delta_read.py', join(copy, 'bench', 'files'));
    await runScript(python, 'make_delta.py', 'append', '--warehouse', copy);
    const next = await stack.reconcile('bench');
    if (Number(next.job.filesIngested) !== 5) throw new Error('the new version has not been ingested by itself');
    return { first: measured(first), next: measured(next), cpu, memory, peer };
  } finally {
    rmSync(copy, { recursive: true });
  }
}

async function measureTables() {
  await using stack = await BenchStack.start(cache);
  await stack.createConnector('bench', '--kind', 'delta', '--uri', `file://${many}`);
  const first = measured(await stack.reconcile('bench'));
  return { first, unchanged: measured(await stack.reconcile('bench')) };
}

const measured = ({ job, jobSeconds }: Run) => ({
  seconds: jobSeconds,
  bytesRead: Number(job.bytesRead),
  requests: Number(job.upstreamRequests),
});

const table = await measureFiles();
const small = await measureTables();
const filesPerSecond = Math.round(files / table.first.seconds);
const ratio = Math.round((filesPerSecond / table.peer.filesPerSecond) * 100) / 100;
const report = new Table({ head: ['measure', 'value', 'target'], style: { head: [], border: [] } });
report.push(
  ['files ingested per second', `${filesPerSecond} (${table.first.seconds} s)`, ''],
  ['files that delta-rs reads per second', `${table.peer.filesPerSecond} (${table.peer.seconds} s)`, ''],
  ['ratio to delta-rs', `${ratio}`, '>= 1, aim 2'],
  ['worker, catalog: CPU since the start', `${table.cpu.worker}, ${table.cpu.catalog} s`, ''],
  ['worker, catalog: peak memory', `${table.memory.worker}, ${table.memory.catalog} MiB`, '< 512'],
  ['one new version', `${table.next.seconds} s, ${table.next.requests} requests, ${table.next.bytesRead} bytes`, '< 1'],
  [`${tables} tables, first run`, `${Math.round(tables / small.first.seconds)}/s`, ''],
  [`${tables} tables, unchanged`, `${Math.round(tables / small.unchanged.seconds)}/s`, ''],
);
console.error(report.toString());
console.log(JSON.stringify({ ratio, filesPerSecond, table, small }));
