import { cpSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it, jest } from '@jest/globals';
import { differences } from './contents/compare-truth.ts';
import { readTruth, type Truth } from './contents/truth.ts';
import { ROOT, RunningStack } from './stack/running-stack.ts';

const FIXTURES = join(ROOT, 'test/fixtures/iceberg');
// The test runs eleven commands and seven jobs.
jest.setTimeout(240_000);

const TABLE = 'fx.many_snapshots';
let stack: RunningStack;
let warehouse: string;
let truth: Truth;

beforeAll(async () => {
  truth = readTruth(join(FIXTURES, 'truth')).get(TABLE) as Truth;
  warehouse = mkdtempSync(join(tmpdir(), 'reconciler-modes-'));
  for (const table of ['many_snapshots', 'orders', 'v3_dv', 'v1_basic', 'refs']) {
    cpSync(join(FIXTURES, 'wh/fx', table), join(warehouse, 'fx', table), { recursive: true });
  }
  stack = await RunningStack.start();
});
afterAll(async () => {
  await stack?.[Symbol.asyncDispose]();
  rmSync(warehouse, { recursive: true, force: true });
});

it('the CLI ingests metadata first and files later', async () => {
  await stack.connect('modes', warehouse);
  const job = async (...options: string[]) => {
    const { code, stdout } = await stack.cli('connector', 'trigger', 'modes', '--wait', '--json', ...options);
    return { code, ...JSON.parse(stdout) };
  };
  const table = `modes.${TABLE}`;
  const current = String(truth.current_snapshot_id);

  const early = await job('--mode', 'capture-only');
  expect(early).toMatchObject({ code: 1, state: 'JS_FAILED', tablesFiltered: '5' });
  expect(early.message).toContain('The catalog has none of the 5 upstream tables');

  const metadata = await job('--mode', 'metadata-only', '--snapshots', 'latest:2');
  expect(metadata).toMatchObject({
    code: 0,
    mode: 'CAPTURE_MODE_METADATA_ONLY',
    tablesChanged: '5',
    filesIngested: '0',
  });
  const plan = await stack.cli('plan', 'get', table);
  expect(plan.code).toBe(1);
  expect(plan.stderr).toContain(`snapshot ${current} of table`);
  expect(plan.stderr).toContain('--mode capture-only');
  const list = await stack.cli('snapshot', 'list', table);
  expect(list.stdout.match(/not captured/g)).toHaveLength(2);

  // A capture-only job ignores missing tables.
  rmSync(join(warehouse, 'fx/orders'), { recursive: true });
  const capture = await job('--mode', 'capture-only', '--snapshots', 'current');
  expect(capture).toMatchObject({ code: 0, tablesScanned: '4', tablesChanged: '4', tablesMissing: '0' });
  expect((await stack.cli('plan', 'get', table)).code).toBe(0);
  const again = await job('--mode', 'capture-only', '--snapshots', 'current');
  expect(again).toMatchObject({
    code: 0,
    tablesChanged: '0',
    tablesUnchanged: '4',
    snapshotsIngested: '0',
  });

  const all = await job();
  expect(all).toMatchObject({ code: 0, tablesChanged: '4', tablesMissing: '1' });
  expect(await differences(stack.catalog, await stack.tableId(table), truth)).toEqual([]);
  expect(await job()).toMatchObject({ code: 0, tablesChanged: '0', tablesUnchanged: '4' });
});

it('an incomplete selection is rejected, also in a workflow that is started by hand', async () => {
  const handle = await stack.temporal.workflow.start('reconcile', {
    ...{ workflowId: 'by-hand', taskQueue: 'reconciler' },
    args: [{ connector: 'modes', snapshots: { kind: 'LATEST_N' } }],
  });
  await expect(handle.result()).rejects.toMatchObject({
    cause: { type: 'RECONCILE_FAILED', message: expect.stringContaining("the key 'snapshots.latest' is missing") },
  });
  expect(await stack.failures('by-hand')).toMatchObject([
    { table: '', code: 'INVALID_ARGUMENT', message: expect.stringContaining("the key 'snapshots.latest' is missing") },
  ]);
});
