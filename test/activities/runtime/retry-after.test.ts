import { afterAll, beforeAll, expect, it, jest } from '@jest/globals';
import { ingestTables } from '../../../src/activities/ingest-tables.ts';
import type { ActivityDeps } from '../../../src/activities/runtime/deps.ts';
import { UPSTREAM_ATTEMPTS } from '../../../src/activities/runtime/failures.ts';
import { scanTables } from '../../../src/activities/scan-tables.ts';
import type { PackHeartbeat } from '../../../src/contract/activities.ts';
import type { TableRef } from '../../../src/contract/upstream-names.ts';
import { CodedError } from '../../../src/errors.ts';
import { connectorSpec, TestCatalog } from '../../catalog/harness.ts';
import { fakeOnly } from '../../jest/fake-timers.ts';
import { activityDeps } from '../activity-deps.ts';
import { MemoryUpstream } from '../memory-upstream.ts';
import { attempt, jobRecord, run, STEP } from '../run-activity.ts';

let catalog: TestCatalog;
beforeAll(async () => {
  catalog = await TestCatalog.start();
});
afterAll(() => catalog[Symbol.asyncDispose]());

const RETRY_AFTER = { code: 'RESOURCE_EXHAUSTED', retryAfterMs: 30_000 };

/** Asks for a later retry of every table, except for the first ones. */
class Throttling extends MemoryUpstream {
  readonly opened: string[] = [];
  left = 0;

  override async openTable(table: TableRef) {
    this.opened.push(table.name);
    if (this.left-- > 0) return super.openTable(table);
    throw new CodedError('RESOURCE_EXHAUSTED', 'too many requests', { retryAfterMs: RETRY_AFTER.retryAfterMs });
  }
}

const tables = Array.from({ length: 20 }, (_, i) => ({ namespace: ['n'], name: `t${i}` }));

async function connected(upstream: MemoryUpstream) {
  const { connectorId } = await catalog.clients.connectors.createConnector({ connector: connectorSpec() });
  return { connectorId, deps: activityDeps(catalog, upstream) };
}

/** Runs an attempt, by its number, at the tables as a pack. */
async function pack(
  upstream: MemoryUpstream,
  number = 1,
  heartbeatDetails?: unknown,
  fields: Partial<ActivityDeps> = {},
) {
  const { connectorId, deps } = await connected(upstream);
  const input = { ...STEP, connectorId, tables, full: false, split: false };
  const work = () => ingestTables({ ...deps, ...fields }, input);
  const { outcome, last } = await attempt(work, { attempt: number, heartbeatDetails });
  return { outcome: outcome.status === 'fulfilled' ? outcome.value : outcome.reason, last };
}

it('a pack stops at a table for which the upstream asks for a later retry, and continues there then', async () => {
  const upstream = new Throttling();
  upstream.left = 2;
  const first = await pack(upstream);
  expect(first.outcome).toMatchObject(RETRY_AFTER);
  expect(upstream.opened).toEqual(['t0', 't1', 't2']);
  upstream.left = 5;
  const second = await pack(upstream, 2, first.last);
  expect(second.outcome).toMatchObject(RETRY_AFTER);
  expect(upstream.opened.slice(3)).toEqual(['t2', 't3', 't4', 't5', 't6', 't7']);
  // In the last attempt the table fails, like all others here, and the tables after it are tried.
  upstream.opened.length = 0;
  const last = await pack(upstream, UPSTREAM_ATTEMPTS, second.last);
  expect(upstream.opened).toEqual(tables.slice(7).map(({ name }) => name));
  expect(last.outcome).toEqual({ counts: {}, done: 20, again: tables.map((_, table) => ({ table })) });
});

it.each([
  ['that no retry can resolve', 2, new CodedError('UNAUTHENTICATED', 'the token is rejected')],
  ['in the last attempt', UPSTREAM_ATTEMPTS, new CodedError('UNAVAILABLE', 'not now')],
])('a pack returns what earlier attempts have done if it fails with an error %s', async (_, attempt, error) => {
  const upstream = new Throttling();
  upstream.left = 2;
  const { last } = await pack(upstream);
  const failing = (at: number, details?: unknown) =>
    pack(upstream, at, details, { openConnector: () => Promise.reject(error) });
  expect((await failing(attempt, last)).outcome).toEqual((last as PackHeartbeat).outcome);
  // With nothing done, each of its tables reports the error by itself.
  expect((await failing(attempt)).outcome).toBe(error);
  if (error.code === 'UNAVAILABLE') expect((await failing(attempt - 1, last)).outcome).toBe(error);
});

it('a page of tables stops, too, when the upstream asks for a later retry', async () => {
  class Known extends MemoryUpstream {
    requests = 0;
    override async fingerprint(): Promise<string> {
      this.requests += 1;
      throw new CodedError('RESOURCE_EXHAUSTED', 'too many requests', { retryAfterMs: RETRY_AFTER.retryAfterMs });
    }
  }
  const upstream = new Known();
  upstream.namespaces.push(['n']);
  upstream.tables.push(...tables);
  const { connectorId, deps } = await connected(upstream);
  const { bindings } = catalog.clients;
  // As if all were there already.
  const lookupBindings: typeof bindings.lookupBindings = async ({ names }) => ({
    bindings: names!.map(({ namespacePath, name }, i) => ({
      ...{ objectId: `table${i}`, fingerprint: 'f', coverage: '', missing: false },
      ...{ namespacePath: namespacePath!, name: name! },
    })),
  });
  const clients = { ...catalog.clients, bindings: { ...bindings, lookupBindings } };
  const input = { ...STEP, connectorId, full: false, record: jobRecord(connectorId) };
  const scan = (number: number) => run(() => scanTables({ ...deps, catalog: clients }, input), { attempt: number });
  await expect(scan(1)).rejects.toMatchObject(RETRY_AFTER);
  expect(upstream.requests).toBeLessThanOrEqual(8);
  // In the last attempt each table counts as changed, to fail by itself with its own message.
  expect((await scan(UPSTREAM_ATTEMPTS)).changed).toHaveLength(tables.length);
});

it('a table that hangs neither delays the others of its pack nor discards those that are done', async () => {
  fakeOnly(['setTimeout', 'clearTimeout'], { advanceTimers: true });
  try {
    class Hanging extends MemoryUpstream {
      override openTable(table: TableRef) {
        if (table.name !== 't1') return super.openTable(table);
        jest.advanceTimersByTime(60_000);
        return new Promise<never>(() => {});
      }
    }
    const { outcome } = await pack(new Hanging());
    expect(outcome).toEqual({ counts: {}, done: 2, again: [{ table: 0 }, { table: 1 }] });
  } finally {
    jest.useRealTimers();
  }
}, 60_000);
