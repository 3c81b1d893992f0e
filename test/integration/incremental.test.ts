import { cpSync, mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { countersOf } from '../../src/contract/progress-message.ts';
import { JobState, type ReconcileJob } from '../../src/generated/reconciler/v1/jobs.ts';
import { differences } from './contents/compare-truth.ts';
import { readTruth } from './contents/truth.ts';
import { ROOT, RunningStack } from './stack/running-stack.ts';

/** Tables in two states: `before` contains an earlier state of the tables in `wh`. */
const MADE = join(ROOT, 'test/fixtures/made/iceberg');
const NAMESPACE = 'inc';

describe('a second run after the upstream changed', () => {
  let stack: RunningStack;
  let warehouse: string;
  let connectorId: string;
  let first: ReconcileJob;
  let second: ReconcileJob;
  const before = readTruth(join(MADE, 'before-truth'));
  const after = [...readTruth(join(MADE, 'truth'))].filter(([name]) => name.startsWith(`${NAMESPACE}.`));

  beforeAll(async () => {
    warehouse = mkdtempSync(join(tmpdir(), 'reconciler-warehouse-'));
    stack = await RunningStack.start();
    cpSync(join(MADE, 'before'), warehouse, { recursive: true });
    connectorId = await stack.connect('inc', warehouse);
    first = await stack.trigger(connectorId);
  });
  afterAll(async () => {
    await stack?.[Symbol.asyncDispose]();
    rmSync(warehouse, { recursive: true, force: true });
  });

  it('has fixtures', () => expect(after.length).toBeGreaterThan(10));

  it.each([...before])('starts from %s as the engines reported it before the change', async (name, truth) => {
    expect(await differences(stack.catalog, await stack.tableId(`inc.${name}`), truth)).toEqual([]);
  });

  it('ingests only what changed', async () => {
    for (const table of readdirSync(join(warehouse, NAMESPACE)).filter((name) => name !== 'unchanged')) {
      rmSync(join(warehouse, NAMESPACE, table), { recursive: true });
      cpSync(join(MADE, 'wh', NAMESPACE, table), join(warehouse, NAMESPACE, table), {
        recursive: true,
        preserveTimestamps: true,
      });
    }
    second = await stack.trigger(connectorId);
    expect(second).toMatchObject({ state: JobState.JS_SUCCEEDED, counters: { errors: 0n, tablesUnchanged: 1n } });
    expect(countersOf(second).tablesChanged).toBe(countersOf(first).tablesChanged - 1n);
  });

  it.each(after)('leaves %s as the engines report it after the change', async (name, truth) => {
    expect(await differences(stack.catalog, await stack.tableId(`inc.${name}`), truth)).toEqual([]);
  });

  it('keeps expired snapshots and marks them', async () => {
    const tableId = await stack.tableId('inc.inc.expired');
    const all = await stack.catalog.snapshots.listSnapshots({ tableId, pageSize: 1000, showExpired: true });
    const expired = all.snapshots.filter(({ expiredAt }) => expiredAt);
    expect(expired.length).toBeGreaterThan(0);
    for (const { snapshotId } of expired) {
      const stats = await stack.catalog.statistics.getTableStats({ tableId, snapshotId });
      expect(stats.dataFileCount).toBeGreaterThan(0n);
    }
  });

  it('finds nothing to repair in a full rescan', async () => {
    const full = await stack.trigger(connectorId, { full: true });
    expect(full).toMatchObject({ state: JobState.JS_SUCCEEDED, counters: { errors: 0n, tablesChanged: 0n } });
    for (const [name, truth] of after) {
      expect(await differences(stack.catalog, await stack.tableId(`inc.${name}`), truth)).toEqual([]);
    }
  });
});
