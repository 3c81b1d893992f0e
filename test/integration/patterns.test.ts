import { join } from 'node:path';
import { afterAll, beforeAll, expect, it, jest } from '@jest/globals';
import { countersOf } from '../../src/contract/progress-message.ts';
import { JobState } from '../../src/generated/reconciler/v1/jobs.ts';
import { ROOT, RunningStack } from './stack/running-stack.ts';

/** Namespaces `fx` (19 tables) and `bad` (3 tables; two of them cannot be read). */
const WAREHOUSE = join(ROOT, 'test/fixtures/iceberg/wh');
jest.setTimeout(120_000);
let stack: RunningStack;

beforeAll(async () => {
  stack = await RunningStack.start();
});
afterAll(() => stack?.[Symbol.asyncDispose]());

const set = (connectorId: string, source: object) =>
  stack.catalog.connectors.updateConnector({ connector: { connectorId, source }, updateMask: ['source'] });

it('a run ingests the tables that the patterns include, and tables that are filtered later do not count as missing', async () => {
  const connectorId = await stack.connect('patterns', WAREHOUSE, {
    source: { excludeNamespaces: ['b*'], includeTables: ['fx.**'] },
  });
  const first = await stack.trigger(connectorId);
  expect(first).toMatchObject({
    state: JobState.JS_SUCCEEDED,
    counters: { tablesScanned: 19n, tablesFiltered: 0n, namespacesFiltered: 1n, errors: 0n },
  });

  await set(connectorId, { includeTables: ['fx.orders'] });
  const narrower = await stack.trigger(connectorId);
  expect(narrower).toMatchObject({
    state: JobState.JS_SUCCEEDED,
    counters: { tablesScanned: 1n, tablesFiltered: 18n, namespacesFiltered: 1n },
  });
  expect(narrower).toMatchObject({ counters: { tablesUnchanged: 1n, tablesMissing: 0n } });

  await set(connectorId, {});
  const all = await stack.trigger(connectorId);
  expect(all).toMatchObject({
    state: JobState.JS_FAILED,
    counters: { errors: 2n, tablesUnchanged: 19n, tablesFiltered: 0n, namespacesFiltered: 0n },
  });
  expect(countersOf(all).tablesMissing).toBe(0n);

  const scoped = await stack.trigger(connectorId, {
    destinationNamespacePaths: ['fx'],
    destinationTableName: 'orders',
  });
  expect(scoped).toMatchObject({
    state: JobState.JS_SUCCEEDED,
    counters: { tablesScanned: 1n, tablesFiltered: 18n, namespacesFiltered: 1n },
  });
});
