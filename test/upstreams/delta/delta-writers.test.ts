import { spawn } from 'node:child_process';
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { JobState } from '../../../src/generated/reconciler/v1/jobs.ts';
import { RunningStack } from '../../integration/stack/running-stack.ts';
import { CleanUp } from '../clean-up.ts';
import { spark } from '../servers/spark.ts';

const SEED = Number(process.env.RANDOM_SEEDS ?? 4);
const SCRIPT = fileURLToPath(new URL('../engines/keep_writing_delta.py', import.meta.url));

/** By path: size in bytes, physical rows, rows that a deletion vector deletes. */
type Files = Record<string, [number, number, number]>;
interface Truth {
  /** Those that the engine can read. */
  versions: Record<string, { operation: string; columns: string[]; files: Files }>;
  /** What a scan of the newest version counts. */
  rows: number;
}

/** Random numbers from 0 to below 1, the same in each run (a linear congruential generator). */
function* draws(seed: number): Generator<number, never> {
  for (let state = seed; ; ) {
    state = (state * 1_664_525 + 1_013_904_223) % 2 ** 32;
    yield state / 2 ** 32;
  }
}

async function startWriter(folder: string, cleanUp: CleanUp) {
  const { python, env } = await spark();
  const child = spawn(python, [SCRIPT], {
    env: { ...process.env, ...env, PYTHONDONTWRITEBYTECODE: '1' },
    cwd: tmpdir(),
  });
  const closed = new Promise((resolve) => child.on('close', resolve));
  cleanUp.defer(async () => {
    child.kill();
    await closed;
  });
  let errors = '';
  child.stderr.setEncoding('utf8').on('data', (text) => {
    errors = (errors + text).slice(-10_000);
  });
  child.stdin.on('error', () => {});
  const lines = createInterface({ input: child.stdout })[Symbol.asyncIterator]();
  const next = async (): Promise<{ left: number; truth?: Record<string, Truth> }> => {
    for (;;) {
      const { value, done } = await lines.next();
      if (done) throw new Error(`the writer has ended:\n${errors}`);
      // VACUUM prints, too.
      if (value.startsWith('{"left"')) return JSON.parse(value);
    }
  };
  child.stdin.write(`${JSON.stringify({ folder, seed: SEED })}\n`);
  await next();
  return (operations: number) => {
    child.stdin.write(`${operations}\n`);
    return next();
  };
}

describe('while Spark and delta-rs append, overwrite, delete, merge, optimise, restore, vacuum, clean and evolve', () => {
  const cleanUp = new CleanUp();
  const states: JobState[] = [];
  const failures: string[] = [];
  let stack: RunningStack;
  let truth: Record<string, Truth> = {};
  let [busy, once] = ['', ''];

  beforeAll(async () => {
    const folder = mkdtempSync(join(tmpdir(), 'reconciler-delta-'));
    cleanUp.defer(() => rmSync(folder, { recursive: true, force: true }));
    const [write, started] = await Promise.all([startWriter(join(folder, 'db'), cleanUp), RunningStack.start()]);
    stack = cleanUp.use(started);
    const connect = (name: string) => stack.connect(name, folder, { kind: 'CONNECTOR_KIND_DELTA' });
    busy = await connect('busy');
    const random = draws(SEED);
    for (let left = 1; left > 0; ) {
      const writing = write(1 + Math.floor(random.next().value * 5));
      // Begins while the writers work, and may end after them.
      const job = await stack.trigger(busy, { full: random.next().value < 0.2 });
      states.push(job.state);
      for (const { table, code, message } of await stack.failures(job.jobId))
        failures.push(`${table}: ${code} ${message}`);
      const written = await writing;
      left = written.left;
      truth = written.truth ?? {};
    }
    once = await connect('once');
  });
  afterAll(() => cleanUp[Symbol.asyncDispose]());

  it('runs continue', () => {
    expect(states.length).toBeGreaterThan(5);
    expect(states).toContain(JobState.JS_SUCCEEDED);
    // The log is cleaned during a run: its table may change while it is read.
    for (const failure of failures) expect(failure).toMatch(/: ABORTED /);
  });

  it.each([
    ['one more run', () => busy],
    ['a first run of another connector', () => once],
  ])('%s makes the catalog equal to what the engines read', async (_, connectorId) => {
    const job = await stack.trigger(connectorId());
    expect(await stack.failures(job.jobId)).toEqual([]);
    expect(job.state).toBe(JobState.JS_SUCCEEDED);
    expect(Object.keys(truth).sort()).toEqual(['both', 'rs', 'spark']);
    for (const [name, { versions, rows }] of Object.entries(truth)) {
      const tableId = await stack.tableId(`${connectorId() === busy ? 'busy' : 'once'}.db.${name}`);
      expect([name, await contents(tableId)]).toEqual([name, versions]);
      const newest = BigInt(Math.max(...Object.keys(versions).map(Number)));
      const { liveRowCount } = await stack.catalog.statistics.getTableStats({ tableId, snapshotId: newest });
      expect([name, liveRowCount]).toEqual([name, BigInt(rows)]);
    }
  });

  it('a full rescan has nothing to repair, and both have the same statistics', async () => {
    const both = async (name: string) => [
      await statistics(await stack.tableId(`busy.db.${name}`)),
      await statistics(await stack.tableId(`once.db.${name}`)),
    ];
    const before = await Promise.all(Object.keys(truth).map(both));
    for (const [incremental, first] of before) {
      expect(Object.keys(first ?? {}).length).toBeGreaterThan(2);
      expect(incremental).toEqual(first);
    }
    const full = await stack.trigger(once, { full: true });
    expect(full).toMatchObject({ state: JobState.JS_SUCCEEDED, counters: { errors: 0n, tablesChanged: 0n } });
    // Commits have other times than when they were ingested, because their files were made older for Spark to clean the log.
    expect(await stack.trigger(busy, { full: true })).toMatchObject({ state: JobState.JS_SUCCEEDED });
    expect(await Promise.all(Object.keys(truth).map(both))).toEqual(before);
  });

  async function snapshotsOf(tableId: string) {
    const { snapshots } = await stack.catalog.snapshots.listSnapshots({ tableId, pageSize: 1000 });
    return snapshots;
  }

  /** What the catalog has of each version, as the engines state it. */
  async function contents(tableId: string): Promise<Truth['versions']> {
    const found: Truth['versions'] = {};
    for (const { snapshotId, operation, schemaId } of await snapshotsOf(tableId)) {
      const files: Files = {};
      const { files: planned } = await stack.catalog.plans.getPlan({ tableId, snapshotId, pageSize: 1000 });
      for (const { file, deleteFiles } of planned) {
        const deleted = deleteFiles.reduce((sum, { recordCount }) => sum + Number(recordCount), 0);
        const path = file?.filePath.replace(/^file:\/+/, '/') ?? '';
        files[path] = [Number(file?.fileSizeInBytes), Number(file?.recordCount), deleted];
      }
      const { json } = await stack.catalog.tables.getTableSchema({ tableId, schemaId });
      const columns = JSON.parse(json).fields.map(({ name }: { name: string }) => name);
      found[String(snapshotId)] = { operation, columns, files };
    }
    return found;
  }

  /** By version, the statistics of the table, its columns and its files, as texts. */
  async function statistics(tableId: string) {
    const found: Record<string, unknown> = {};
    for (const { snapshotId } of await snapshotsOf(tableId)) {
      const { rowCount, liveRowCount } = await stack.catalog.statistics.getTableStats({ tableId, snapshotId });
      const { columns } = await stack.catalog.statistics.listColumnStats({ tableId, snapshotId, pageSize: 1000 });
      const files: string[] = [];
      for await (const chunk of stack.catalog.statistics.streamFileColumnStats({ tableId, snapshotId }))
        for (const { filePath, partition, columns } of chunk.files) {
          const values = partition.map(({ name, type, text }) => [name, type, text]);
          files.push(JSON.stringify([filePath, values, textsOf(columns)]));
        }
      found[String(snapshotId)] = [`${rowCount} ${liveRowCount}`, textsOf(columns), files.sort()];
    }
    return found;
  }
});

interface ColumnTexts {
  columnName: string;
  logicalType: string;
  valueCount?: bigint | undefined;
  nullCount?: bigint | undefined;
  min?: string | undefined;
  max?: string | undefined;
}

/** Columns have their ids in the order in which a run found them: the log may have been cleaned in between. */
function textsOf(columns: readonly ColumnTexts[]): string[] {
  const text = ({ columnName, logicalType, valueCount, nullCount, min, max }: ColumnTexts) =>
    [columnName, logicalType, valueCount, nullCount, min, max].join(' | ');
  return columns.map(text).sort();
}
