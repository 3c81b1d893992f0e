import { cpSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { MissingAction } from '../../src/generated/reconciler/v1/connectors.ts';
import { JobState } from '../../src/generated/reconciler/v1/jobs.ts';
import { differences } from './contents/compare-truth.ts';
import { readTruth } from './contents/truth.ts';
import { ROOT, RunningStack } from './stack/running-stack.ts';

/** Tables in two states: `before` contains an earlier state of the tables in `wh`, with snapshots that have expired since. */
const MADE = join(ROOT, 'test/fixtures/made/iceberg');
const after = [...readTruth(join(MADE, 'truth'))].filter(([name]) => name.startsWith('inc.'));

let stack: RunningStack;
let folder: string;
beforeAll(async () => {
  folder = mkdtempSync(join(tmpdir(), 'reconciler-gone-'));
  stack = await RunningStack.start();
});
afterAll(async () => {
  await stack?.[Symbol.asyncDispose]();
  rmSync(folder, { recursive: true, force: true });
});

/** Creates a connector that has ingested the earlier state of its warehouse, and changes the warehouse to the later state. */
async function changedWarehouse(name: string, missing: object): Promise<{ connectorId: string; warehouse: string }> {
  const warehouse = join(folder, name);
  cpSync(join(MADE, 'before'), warehouse, { recursive: true });
  const connectorId = await stack.connect(name, warehouse, { policy: { missing } });
  expect(await stack.trigger(connectorId)).toMatchObject({ state: JobState.JS_SUCCEEDED });
  for (const table of readdirSync(join(warehouse, 'inc')).filter((table) => table !== 'unchanged')) {
    rmSync(join(warehouse, 'inc', table), { recursive: true });
    cpSync(join(MADE, 'wh/inc', table), join(warehouse, 'inc', table), { recursive: true, preserveTimestamps: true });
  }
  return { connectorId, warehouse };
}

async function allDifferences(name: string): Promise<Record<string, string[]>> {
  const found: Record<string, string[]> = {};
  for (const [table, truth] of after) {
    const differing = await differences(stack.catalog, await stack.tableId(`${name}.${table}`), truth);
    if (differing.length > 0) found[table] = differing;
  }
  return found;
}

const expiredOf = async (text: string) => {
  const tableId = await stack.tableId(text);
  const { snapshots } = await stack.catalog.snapshots.listSnapshots({ tableId, showExpired: true, pageSize: 1000 });
  return snapshots.filter(({ expiredAt }) => expiredAt).length;
};

describe('an object that is missing upstream', () => {
  it('is kept, and so are expired snapshots, if the policy is KEEP', async () => {
    const missing = { action: MissingAction.MISSING_ACTION_KEEP };
    const { connectorId, warehouse } = await changedWarehouse('kept', missing);
    rmSync(join(warehouse, 'inc/unchanged'), { recursive: true });
    expect(await stack.trigger(connectorId)).toMatchObject({
      state: JobState.JS_SUCCEEDED,
      counters: { tablesMissing: 0n },
    });
    expect(await expiredOf('kept.inc.expired')).toBe(0);
    // The table has more snapshots than upstream, and no other difference.
    expect(await allDifferences('kept')).toEqual({ 'inc.expired': [expect.stringMatching(/^snapshots: got /)] });
    expect(await stack.trigger(connectorId)).toMatchObject({ counters: { tablesChanged: 0n, tablesMissing: 0n } });
    expect(await stack.trigger(connectorId, { full: true })).toMatchObject({
      counters: { tablesChanged: 0n, errors: 0n },
    });
  });

  it('is dropped after the delay if the policy is DROP, and the rest matches what the engines report', async () => {
    const missing = { action: MissingAction.MISSING_ACTION_DROP, dropAfter: { seconds: 3600n } };
    const { connectorId, warehouse } = await changedWarehouse('dropped', missing);
    expect(await stack.trigger(connectorId)).toMatchObject({
      state: JobState.JS_SUCCEEDED,
      counters: { snapshotsDropped: 0n },
    });
    const expired = await expiredOf('dropped.inc.expired');
    expect(expired).toBeGreaterThan(0);

    await stack.cli('connector', 'update', 'dropped', '--drop-after', '0');
    // Nothing has changed upstream in the meantime.
    const { code, stdout } = await stack.cli('connector', 'trigger', 'dropped', '--wait');
    expect(stdout).toMatch(/^message +Nothing changed: \d+ tables; dropped \d+ expired snapshots$/m);
    expect(stdout).toMatch(/^dropped +0 tables, 0 views, \d+ expired snapshots$/m);
    expect(code).toBe(0);
    expect(await expiredOf('dropped.inc.expired')).toBe(0);
    expect(await allDifferences('dropped')).toEqual({});
    // Snapshots that were based on the dropped ones are read completely, and there is nothing to repair.
    const full = await stack.trigger(connectorId, { full: true });
    expect(full).toMatchObject({
      state: JobState.JS_SUCCEEDED,
      counters: { errors: 0n, tablesChanged: 0n, snapshotsDropped: 0n },
    });
    expect(await allDifferences('dropped')).toEqual({});

    // Half of the tables are missing at once: none is dropped, and the error states how many are missing.
    const tables = readdirSync(join(warehouse, 'inc'));
    const missingTables = tables.filter((_, i) => i % 2 === 0);
    for (const table of missingTables) renameSync(join(warehouse, 'inc', table), join(folder, table));
    const refused = await stack.trigger(connectorId);
    expect(refused).toMatchObject({
      state: JobState.JS_FAILED,
      counters: { errors: 1n, tablesMissing: 0n, tablesDropped: 0n },
    });
    const [failure] = await stack.failures(refused.jobId);
    expect(failure).toMatchObject({ table: '', code: 'FAILED_PRECONDITION' });
    expect(failure?.message).toContain(
      `${missingTables.length} of ${tables.length} tables are gone upstream, inc.${missingTables[0]} first`,
    );
    expect(await allDifferences('dropped')).toEqual({});

    const allowed = await stack.cli('connector', 'trigger', 'dropped', '--allow-missing', '--wait', '--json');
    const count = String(missingTables.length);
    expect(JSON.parse(allowed.stdout)).toMatchObject({
      state: 'JS_SUCCEEDED',
      tablesMissing: count,
      tablesDropped: count,
    });
    await expect(stack.tableId(`dropped.inc.${missingTables[0]}`)).rejects.toThrow(/NOT_FOUND/);

    for (const table of missingTables) renameSync(join(folder, table), join(warehouse, 'inc', table));
    expect(await stack.trigger(connectorId)).toMatchObject({
      counters: { tablesChanged: BigInt(missingTables.length), errors: 0n },
    });
    expect(await allDifferences('dropped')).toEqual({});
  });
});
