import { cpSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { countersOf } from '../../src/contract/progress-message.ts';
import { MissingAction } from '../../src/generated/reconciler/v1/connectors.ts';
import { type JobChange, JobState } from '../../src/generated/reconciler/v1/jobs.ts';
import { changeText, dryRun, dryThenReal } from './contents/dry-run-pairs.ts';
import { ROOT, RunningStack } from './stack/running-stack.ts';

/** Tables in two states: `before` contains an earlier state of the tables in `wh`. */
const MADE = join(ROOT, 'test/fixtures/made/iceberg');
jest.setTimeout(180_000);

let stack: RunningStack;
let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'reconciler-dry-run-'));
  stack = await RunningStack.start();
}, 120_000);
afterAll(async () => {
  await stack?.[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

/** Creates a warehouse with the earlier state of the tables in each of the namespaces. */
function warehouseOf(name: string, ...namespaces: string[]): string {
  const warehouse = join(folder, name);
  for (const namespace of namespaces) {
    cpSync(join(MADE, 'before/inc'), join(warehouse, namespace), { recursive: true, preserveTimestamps: true });
  }
  return warehouse;
}

/** Returns the snapshot ids of each table in the catalog that is not missing. */
async function snapshotsOf(namespace: string): Promise<Record<string, string[]>> {
  const found: Record<string, string[]> = {};
  const { namespaceId } = await stack.catalog.directory.resolve({ name: { $case: 'text', value: namespace } });
  const { tables } = await stack.catalog.tables.listTables({ namespaceId, pageSize: 1000 });
  for (const { tableId, name, upstream } of tables) {
    if (upstream?.missingSince) continue;
    const { snapshots } = await stack.catalog.snapshots.listSnapshots({ tableId, pageSize: 1000, showExpired: true });
    found[name] = snapshots.map(({ snapshotId }) => String(snapshotId));
  }
  return found;
}

const heads = (changes: JobChange[]) => changes.map((change) => changeText(change).split(':')[0]);
/** Sums the numbers that the pattern finds in the reasons of the changes. */
const sumOf = (changes: JobChange[], pattern: RegExp) =>
  changes.reduce((sum, { reason }) => sum + Number(pattern.exec(reason)?.[1] ?? 0), 0);

describe('a dry run of a connector that drops missing tables', () => {
  let warehouse: string;
  let connectorId: string;
  beforeAll(async () => {
    warehouse = warehouseOf('lake', 'inc');
    const missing = { action: MissingAction.MISSING_ACTION_DROP, dropAfter: { seconds: 0n }, maxShare: 0.5 };
    connectorId = await stack.connect('lake', warehouse, { policy: { missing } });
  });

  it('lists everything that a first run creates', async () => {
    const tables = readdirSync(join(warehouse, 'inc'));
    const { job, changes } = await dryThenReal(stack, connectorId);
    expect(job).toMatchObject({
      state: JobState.JS_SUCCEEDED,
      counters: { tablesChanged: BigInt(tables.length), errors: 0n },
    });
    expect(job.message).toBe(`Dry run: ${tables.length} tables would change`);
    expect(changes.slice(0, 2).map(changeText)).toEqual([
      'CATALOG CREATE lake: does not exist yet',
      'NAMESPACE CREATE inc: not in the catalog yet',
    ]);
    expect(heads(changes.slice(2))).toEqual(tables.map((name) => `TABLE CREATE inc.${name}`).sort());
    expect(Object.keys(await snapshotsOf('lake.inc')).sort()).toEqual(tables.sort());
  });

  it('lists nothing if nothing has changed', async () => {
    const { job, changes } = await dryThenReal(stack, connectorId);
    expect(job.message).toBe('Dry run: nothing would change');
    expect(changes).toEqual([]);
    const { code, stdout, stderr } = await stack.cli('connector', 'trigger', 'lake', '--dry-run', '--wait');
    expect([code, stdout]).toEqual([0, '']);
    expect(stderr).toContain('Dry run: nothing would change');
    const listed = await stack.cli('job', 'list', '--connector', 'lake', '--limit', '1');
    expect(listed.stdout).toContain('succeeded (dry run)');
    expect((await stack.cli('job', 'get', job.jobId)).stdout).toMatch(/^mode +incremental, dry run: writes nothing$/m);
  });

  it('lists changed, renamed and dropped tables, with the number of new and expired snapshots', async () => {
    const before = await snapshotsOf('lake.inc');
    for (const table of readdirSync(join(warehouse, 'inc')).filter((name) => name !== 'unchanged')) {
      rmSync(join(warehouse, 'inc', table), { recursive: true });
      cpSync(join(MADE, 'wh/inc', table), join(warehouse, 'inc', table), { recursive: true, preserveTimestamps: true });
    }
    renameSync(join(warehouse, 'inc/unchanged'), join(warehouse, 'inc/renamed'));
    const { code, stdout } = await stack.cli('connector', 'trigger', 'lake', '--dry-run', '--wait', '--json');
    expect(code).toBe(0);
    const printed = stdout.trim().split('\n');

    const { job, changes } = await dryThenReal(stack, connectorId);
    expect(job).toMatchObject({
      state: JobState.JS_SUCCEEDED,
      counters: { errors: 0n, tablesMissing: 1n, tablesDropped: 1n },
    });
    expect(printed.map((line) => JSON.parse(line)).map(({ name, reason }) => [name, reason])).toEqual(
      changes.map(({ name, reason }) => [name, reason]),
    );
    const after = await snapshotsOf('lake.inc');
    expect(heads(changes)).toContain('TABLE CREATE inc.renamed');
    expect(heads(changes)).toContain('TABLE DROP inc.unchanged');
    expect(Object.keys(after).filter((name) => !before[name])).toEqual(['renamed']);
    expect(Object.keys(before).filter((name) => !after[name])).toEqual(['unchanged']);
    for (const [name, snapshots] of Object.entries(after)) {
      const change = changes.filter(({ name: changed }) => changed === `inc.${name}`);
      const fresh = snapshots.filter((id) => !before[name]?.includes(id)).length;
      const recreated = name === 'remade';
      expect(change.some(({ reason }) => reason.includes('was dropped and created again'))).toBe(recreated);
      const removed = (before[name] ?? []).filter((id) => !snapshots.includes(id)).length;
      const expired = recreated ? 0 : removed;
      const reported = { fresh: sumOf(change, /(\d+) (?:new )?snapshot/), expired: sumOf(change, /(\d+) expired/) };
      expect({ name, ...reported }).toEqual({ name, fresh, expired });
    }
  });

  it('lists the tables that a full rescan verifies', async () => {
    const { job, changes } = await dryThenReal(stack, connectorId, { full: true });
    expect(job).toMatchObject({ state: JobState.JS_SUCCEEDED, counters: { tablesChanged: 0n } });
    for (const change of changes)
      expect(changeText(change)).toMatch(/^TABLE VERIFY inc\.\S+: \d+ snapshots? to verify$/);
    expect(changes.length).toBeGreaterThan(5);
  });

  it('fails if too many tables are missing at once, and lists them if that is allowed', async () => {
    const missing = readdirSync(join(warehouse, 'inc')).slice(1);
    for (const name of missing) renameSync(join(warehouse, 'inc', name), join(folder, name));
    const failing = await dryThenReal(stack, connectorId);
    expect(failing.job).toMatchObject({ state: JobState.JS_FAILED, counters: { tablesMissing: 0n } });
    expect(failing.changes).toEqual([]);
    expect(failing.failures[0]).toMatchObject({ code: 'FAILED_PRECONDITION' });
    expect(failing.failures[0]?.message).toContain('--allow-missing');
    const allowed = await dryThenReal(stack, connectorId, { allowMissing: true });
    expect(heads(allowed.changes)).toEqual(missing.map((name) => `TABLE DROP inc.${name}`).sort());
    expect(allowed.job.message).toBe(
      `Dry run: ${missing.length} tables would be missing, ${missing.length} tables would be dropped`,
    );
  });
});

describe('a dry run of a connector that marks missing tables', () => {
  let warehouse: string;
  let connectorId: string;
  beforeAll(async () => {
    warehouse = warehouseOf('marked', 'inc');
    connectorId = await stack.connect('marked', warehouse);
    await stack.trigger(connectorId);
  });

  it('lists tables that are marked as missing, and tables that reappear', async () => {
    renameSync(join(warehouse, 'inc/filled'), join(folder, 'away'));
    const missing = await dryThenReal(stack, connectorId);
    expect(missing.changes.map(changeText)).toEqual([
      'TABLE MARK_MISSING inc.filled: its namespace no longer lists it',
    ]);
    expect(missing.job).toMatchObject({ counters: { tablesMissing: 1n, tablesDropped: 0n } });
    renameSync(join(folder, 'away'), join(warehouse, 'inc/filled'));
    const back = await dryThenReal(stack, connectorId);
    expect(back.changes.map(changeText)).toEqual(['TABLE UPDATE inc.filled: exists upstream again']);
    expect(back.job).toMatchObject({ counters: { tablesMissing: 0n, tablesChanged: 1n } });
  });

  it('lists tables that move with the destination', async () => {
    const destination = { catalogName: 'marked', namespacePath: ['moved'] };
    await stack.catalog.connectors.updateConnector({
      connector: { connectorId, destination },
      updateMask: ['destination'],
    });
    const { job, changes } = await dryThenReal(stack, connectorId);
    const [namespace, ...tables] = changes.map(changeText);
    expect(namespace).toBe('NAMESPACE CREATE moved: not in the catalog yet');
    expect(tables.length).toBe(readdirSync(join(warehouse, 'inc')).length);
    for (const table of tables) expect(table).toMatch(/^TABLE UPDATE inc\.(\w+): moves from inc\.\1$/);
    expect(job).toMatchObject({ counters: { tablesChanged: BigInt(tables.length), tablesMissing: 0n } });
    expect(changes.at(-1)?.destination).toBe('marked.moved.upgraded');
  });

  it('lists only snapshots in metadata-only mode, and files in capture-only mode', async () => {
    const other = await stack.connect('modes', warehouse);
    const first = await dryThenReal(stack, other, { mode: 'CAPTURE_MODE_METADATA_ONLY' });
    expect(countersOf(first.job).snapshotsIngested).toBeGreaterThan(10n);
    const full = await dryThenReal(stack, other, { mode: 'CAPTURE_MODE_METADATA_ONLY', full: true });
    expect(full.job).toMatchObject({ counters: { snapshotsIngested: 0n, tablesChanged: 0n } });
    const captured = await dryThenReal(stack, other, { mode: 'CAPTURE_MODE_CAPTURE_ONLY' });
    expect(countersOf(captured.job).snapshotsIngested).toBe(countersOf(first.job).snapshotsIngested);
    expect(sumOf(captured.changes, /^files of (\d+)/)).toBe(Number(countersOf(captured.job).snapshotsIngested));
  });
});

it('a dry run fails for the same tables as the run: for contested names, names of other connectors, and missing columns', async () => {
  const warehouse = warehouseOf('two', 'eu', 'us');
  const tables = readdirSync(join(warehouse, 'eu'));
  const destination = { catalogName: 'two', namespacePath: ['all'] };
  const connectorId = await stack.connect('two', warehouse, { destination });
  const dry = await dryRun(stack, connectorId);
  expect(dry.job).toMatchObject({ state: JobState.JS_FAILED, counters: { errors: BigInt(tables.length) } });
  expect(dry.job.message).toContain(`Partial failure (${tables.length})`);
  expect(dry.changes.filter(({ kind }) => kind === 'JOB_CHANGE_KIND_TABLE')).toHaveLength(tables.length);
  for (const { table, code, message } of dry.failures) {
    const [namespace, name] = table.split('.');
    const first = `${namespace === 'eu' ? 'us' : 'eu'}.${name}`;
    expect(code).toBe('ALREADY_EXISTS');
    expect(message).toContain(`table 'all.${name}' belongs to '${first}' of connector 'two'`);
    expect(dry.changes.some((change) => change.name === first)).toBe(true);
  }
  // The order of the two tables differs from run to run.
  const real = await stack.trigger(connectorId);
  const { tablesChanged, snapshotsIngested, errors } = countersOf(dry.job);
  expect(real).toMatchObject({ state: JobState.JS_FAILED, counters: { tablesChanged, snapshotsIngested, errors } });
  for (const { code, message } of await stack.failures(real.jobId)) {
    expect(code).toBe('ALREADY_EXISTS');
    expect(message).toMatch(/^table 'all\.\w+' belongs to '(eu|us)\.\w+' of connector 'two'/);
  }

  // The names now belong to another connector.
  const third = await stack.connect('three', warehouse, { destination, source: { namespacePath: ['eu'] } });
  const contested = await dryThenReal(stack, third);
  expect(contested.job).toMatchObject({
    state: JobState.JS_FAILED,
    counters: { errors: BigInt(tables.length), tablesChanged: 0n },
  });
  expect(contested.changes).toEqual([]);

  const fourth = await stack.connect('four', warehouse, { source: { namespacePath: ['eu'], columns: ['no_such'] } });
  const columns = await dryThenReal(stack, fourth);
  expect(columns.job).toMatchObject({ state: JobState.JS_FAILED, counters: { errors: BigInt(tables.length) } });
});
