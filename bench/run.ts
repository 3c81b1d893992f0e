/**
 * The benchmarks: `npm run bench`, or small ones in a minute: `npm run bench -- --quick`.
 *
 * A real stack ingests a table of many files, through gRPC into SQLite on disk; pyiceberg reads the same manifests for comparison. Then the
 * stack ingests many small tables. Tables and pyiceberg are kept in a cache directory. The report goes to stderr, its numbers as JSON to
 * stdout.
 */
import { mkdirSync } from 'node:fs';
import { homedir } from 'node:os';
import { join, resolve } from 'node:path';
import { parseArgs } from 'node:util';
import Table from 'cli-table3';
import { type DatabaseWrites, emptyLog, writesSince } from './database-writes.ts';
import { historyEvents } from './history-events.ts';
import { ensurePython, ensureWarehouse, runScript } from './python/python.ts';
import { BenchStack, type Run } from './stack.ts';

const { values: options } = parseArgs({
  options: {
    files: { type: 'string', default: '200000' },
    snapshots: { type: 'string', default: '20' },
    tables: { type: 'string', default: '1000' },
    /** Small sizes that take a minute, to try the benchmark itself. */
    quick: { type: 'boolean', default: false },
    cache: { type: 'string', default: join(homedir(), '.cache', 'reconciler', 'bench') },
  },
});

interface PeerResult {
  manifests: number;
  manifestBytes: number;
  manifestListBytes: number;
  entries: number;
  seconds: number;
  entriesPerSecond: number;
}

interface FilesResult {
  files: number;
  jobSeconds: number;
  cliSeconds: number;
  filesPerSecond: number;
  bytesRead: number;
  workerMiB?: number;
  catalogMiB?: number;
  unchangedSeconds: number;
  unchangedCliSeconds: number;
  unchangedWrites: DatabaseWrites;
}

/** Measures the first run and an unchanged run for one table of `files` files. */
async function measureFiles(warehouse: string, files: number, cache: string): Promise<FilesResult> {
  await using stack = await BenchStack.start(cache);
  await stack.createConnector('bench', '--kind', 'iceberg', '--uri', `file://${warehouse}`);
  const first = await stack.reconcile('bench');
  const memory = { workerMiB: stack.peakMemory('worker'), catalogMiB: stack.peakMemory('catalog') };
  emptyLog(stack.database);
  const again = await stack.reconcile('bench');
  if (Number(again.job.tablesChanged) !== 0) throw new Error('the second run found a change');
  return {
    files,
    ...timesOf(first),
    filesPerSecond: Math.round(files / first.jobSeconds),
    bytesRead: Number(first.job.bytesRead),
    ...memory,
    unchangedSeconds: again.jobSeconds,
    unchangedCliSeconds: round(again.cliSeconds),
    unchangedWrites: writesSince(stack.database),
  };
}

/** Measures a table whose files were all added by one snapshot, ingested in groups by `workers` worker processes. */
async function measureGroups(warehouse: string, files: number, workers: number, cache: string) {
  await using stack = await BenchStack.start(cache);
  for (let i = 1; i < workers; i++) await stack.addWorker();
  await stack.createConnector('bench', '--kind', 'iceberg', '--uri', `file://${warehouse}`);
  const run = await stack.reconcile('bench');
  return {
    files,
    ...timesOf(run),
    filesPerSecond: Math.round(files / run.jobSeconds),
    ...(await historyEvents(stack.temporal, run.job.jobId)),
    workerMiB: stack.peakMemory('worker'),
    catalogMiB: stack.peakMemory('catalog'),
    catalogCpu: round(stack.cpuSeconds('catalog')),
  };
}

/** Measures the first run and an unchanged run for many tables of one snapshot. */
async function measureTables(warehouse: string, tables: number, cache: string) {
  await using stack = await BenchStack.start(cache);
  await stack.createConnector('bench', '--kind', 'iceberg', '--uri', `file://${warehouse}`);
  const measurementsOf = async (run: Run) => ({
    ...timesOf(run),
    tablesPerSecond: Math.round(tables / run.jobSeconds),
    ...(await historyEvents(stack.temporal, run.job.jobId)),
  });
  const first = await measurementsOf(await stack.reconcile('bench'));
  emptyLog(stack.database);
  const run = await stack.reconcile('bench');
  const writes = writesSince(stack.database);
  const memory = { workerMiB: stack.peakMemory('worker'), catalogMiB: stack.peakMemory('catalog') };
  return { tables, first, unchanged: { ...(await measurementsOf(run)), writes }, ...memory };
}

const timesOf = (run: Run) => ({ jobSeconds: run.jobSeconds, cliSeconds: round(run.cliSeconds) });
const round = (value: number) => Math.round(value * 1000) / 1000;

function report(
  peer: PeerResult,
  half: FilesResult,
  full: FilesResult,
  groups: Awaited<ReturnType<typeof measureGroups>>[],
  many: Awaited<ReturnType<typeof measureTables>>,
) {
  const table = new Table({ head: ['measure', 'value', 'target'], style: { head: [], border: [] } });
  const ratio = round(full.filesPerSecond / peer.entriesPerSecond);
  const bytes = round(full.bytesRead / peer.manifestBytes);
  table.push(
    ['files ingested per second', `${full.filesPerSecond} (${full.files} in ${full.jobSeconds} s)`, ''],
    ['the same, by the time of the command', `${Math.round(full.files / full.cliSeconds)} (${full.cliSeconds} s)`, ''],
    ['entries that pyiceberg reads per second', `${peer.entriesPerSecond} (${peer.seconds} s)`, ''],
    ['ratio to pyiceberg', `${ratio}`, '>= 1, aim 2'],
    ...groups.map((group, i) => [
      `in one snapshot, ${i + 1} worker${i > 0 ? 's' : ''}`,
      `${group.filesPerSecond} (${group.jobSeconds} s, ${group.events} events)`,
      '',
    ]),
    ['metadata read / manifest bytes', `${bytes} (${full.bytesRead} / ${peer.manifestBytes})`, '<= 1.05'],
    ['worker, peak memory', `${full.workerMiB} MiB (${half.files} files: ${half.workerMiB})`, '< 400'],
    ['catalog, peak memory', `${full.catalogMiB} MiB (${half.files} files: ${half.catalogMiB})`, '< 400'],
    ['unchanged run', `${full.unchangedSeconds} s (command ${full.unchangedCliSeconds} s)`, '< 1'],
    ['unchanged run, pages written', written(full.unchangedWrites), "the job's and its connector's"],
    [`${many.tables} tables`, `${many.first.tablesPerSecond}/s, ${many.first.events} history events`, ''],
    ['unchanged', `${many.unchanged.tablesPerSecond}/s, ${many.unchanged.events} history events`, ''],
    ['unchanged, pages written', written(many.unchanged.writes), "the job's and its connector's"],
    ['worker, catalog memory', `${many.workerMiB}, ${many.catalogMiB} MiB`, '< 400'],
  );
  console.error(table.toString());
  console.log(JSON.stringify({ ratio, bytesRatio: bytes, peer, half, full, groups, many }));
}

function written({ transactions, pages }: DatabaseWrites): string {
  const tables = Object.entries(pages).map(([name, count]) => `${name} ${count}`);
  return `${transactions} transactions\n${tables.join('\n')}`;
}

const files = options.quick ? 4000 : Number(options.files);
const snapshots = options.quick ? 4 : Number(options.snapshots);
const tables = options.quick ? 20 : Number(options.tables);
const cache = resolve(options.cache);
mkdirSync(cache, { recursive: true });
const python = ensurePython(cache);

const warehouseOf = (count: number, appends: number) =>
  ensureWarehouse(
    python,
    cache,
    `files-${count}-${appends}`,
    'one',
    '--files',
    `${count}`,
    '--snapshots',
    `${appends}`,
  );
/** All files in one snapshot, with 10,000 files per manifest, as engines write them. */
const manifests = Math.max(2, Math.round(files / 10_000));
const oneSnapshotWarehouseOf = () =>
  ensureWarehouse(
    python,
    cache,
    `groups-${files}-1-${manifests}`,
    'one',
    ...['--files', `${files}`, '--snapshots', '1', '--manifests', `${manifests}`],
  );
const fullWarehouse = await warehouseOf(files, snapshots);
const halfWarehouse = await warehouseOf(files / 2, snapshots / 2);
const manyWarehouse = await ensureWarehouse(python, cache, `tables-${tables}`, 'many', '--tables', `${tables}`);

console.error(`bench: ${files / 2} files`);
const half = await measureFiles(halfWarehouse, files / 2, cache);
console.error(`bench: ${files} files`);
const full = await measureFiles(fullWarehouse, files, cache);
console.error(`bench: ${files} files in one snapshot`);
const oneSnapshotWarehouse = await oneSnapshotWarehouseOf();
const groups = [
  await measureGroups(oneSnapshotWarehouse, files, 1, cache),
  await measureGroups(oneSnapshotWarehouse, files, 2, cache),
];
console.error('bench: pyiceberg');
const peer = await runScript<PeerResult>(python, 'pyiceberg_read.py', join(fullWarehouse, 'bench', 'files'));
console.error(`bench: ${tables} tables`);
report(peer, half, full, groups, await measureTables(manyWarehouse, tables, cache));
