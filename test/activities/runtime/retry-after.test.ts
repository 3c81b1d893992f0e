import { afterAll, beforeAll, expect, it, jest } from '@jest/globals';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { ingestTables } from '../../../src/activities/ingest-tables.ts';
import type { ActivityDeps } from '../../../src/activities/runtime/deps.ts';
import { UPSTREAM_ATTEMPTS } from '../../../src/activities/runtime/failures.ts';
import { scanTables } from '../../../src/activities/scan-tables.ts';
import type { IngestHeartbeat, ScanPage, TableOutcome } from '../../../src/contract/activities.ts';
import { newProgress } from '../../../src/contract/job.ts';
import type { TableRef } from '../../../src/contract/upstream-names.ts';
import { CodedError } from '../../../src/errors.ts';
import { connectorSpec, TestCatalog } from '../../catalog/harness.ts';
import { fakeOnly } from '../../jest/fake-timers.ts';
import { activityDeps } from '../activity-deps.ts';
import { MemoryUpstream } from '../memory-upstream.ts';

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

async function pack(
  upstream: MemoryUpstream,
  attempt = 1,
  heartbeatDetails?: unknown,
  fields: Partial<ActivityDeps> = {},
) {
  const { connectorId, deps } = await connected(upstream);
  const env = new MockActivityEnvironment({ attempt, heartbeatDetails }, { logger: new DefaultLogger('ERROR') });
  let last: unknown;
  env.on('heartbeat', (details) => {
    last = details;
  });
  const input = { connectorId, tables, full: false, split: false };
  const outcome = await env.run(() => ingestTables({ ...deps, ...fields }, input)).catch((error: unknown) => error);
  return { outcome, last };
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
  // In the last attempt the table fails, and the others are ingested.
  const last = (await pack(upstream, UPSTREAM_ATTEMPTS, second.last)).outcome as TableOutcome[];
  expect(last.map(({ failure }) => failure?.code)).toEqual([
    ...Array(7).fill('UNIMPLEMENTED'),
    ...Array(13).fill('RESOURCE_EXHAUSTED'),
  ]);
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
  expect((await failing(attempt, last)).outcome).toEqual((last as IngestHeartbeat).done);
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
  const record = {
    ...{ jobId: 'throttled', runId: 'r', connectorId, connectorName: 'c', full: false, message: '' },
    ...{ progress: newProgress(), failures: [], request: { connector: 'c' } },
  };
  const scan = async (attempt: number) => {
    const env = new MockActivityEnvironment({ attempt }, { logger: new DefaultLogger('ERROR') });
    const page = await env.run(() => scanTables({ ...deps, catalog: clients }, { connectorId, full: false, record }));
    return page as ScanPage;
  };
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
    expect(outcome).toMatchObject([
      { failure: { code: 'UNIMPLEMENTED' } },
      { failure: { code: 'DEADLINE_EXCEEDED', message: expect.stringContaining('nothing progressed') } },
    ]);
  } finally {
    jest.useRealTimers();
  }
}, 60_000);
