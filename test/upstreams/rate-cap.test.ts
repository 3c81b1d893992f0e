import { mkdtempSync, readdirSync, readFileSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { countersOf } from '../../src/contract/progress-message.ts';
import { JobState } from '../../src/generated/reconciler/v1/jobs.ts';
import { dumpCatalog } from '../integration/contents/dump.ts';
import { QueueWorkers } from '../integration/stack/queue-workers.ts';
import { ROOT, RunningStack } from '../integration/stack/running-stack.ts';
import { mostInWindow } from '../most-in-window.ts';
import { CleanUp } from './clean-up.ts';
import { type Fault, type FaultProxy, startFaultProxy } from './fault-proxy.ts';
import { fixtureTables, publishFixtures } from './publish-fixtures.ts';
import { connectorS3 } from './s3/s3-properties.ts';
import { startIcebergRest } from './servers/iceberg-rest.ts';
import { type Moto, startMoto } from './servers/moto.ts';

/** Requests per second. A run of this upstream makes about a hundred. */
const CAP = 10;
const WINDOW_MS = 5_000;
/** Requests of one batch of the catalog, and those that each of two workers may send late or hold back. */
const TOLERANCE = 1.1;

const cleanUp = new CleanUp();
let stack: RunningStack;
let moto: Moto;
let proxy: FaultProxy;

// So few that they are not packed: each table is an activity of its own, and both workers get some.
beforeAll(async () => {
  moto = cleanUp.use(await startMoto());
  await moto.createBucket('lake');
  const folder = join(ROOT, 'test/fixtures/iceberg/wh/fx');
  for (const path of readdirSync(folder, { recursive: true, encoding: 'utf8' })) {
    if (!statSync(join(folder, path)).isFile()) continue;
    const body = readFileSync(join(folder, path));
    await moto.putObject('lake', `wh/fx/${path}`, body);
  }
  proxy = cleanUp.use(await startFaultProxy(moto.url));
  stack = cleanUp.use(await RunningStack.start(moto.env));
  cleanUp.use(await QueueWorkers.start(stack, { queue: 'capped', workers: 2, env: moto.env }));
});
afterAll(() => cleanUp[Symbol.asyncDispose]());
beforeEach(() => {
  proxy.rules = [];
  proxy.requests.splice(0);
});

const connect = (name: string, policy: object = {}, more: object = {}) =>
  stack.connect(name, '', {
    uri: 's3://lake/wh',
    properties: { ...connectorS3(moto), 's3.endpoint': proxy.url },
    policy: { taskQueue: 'capped', ...policy },
    ...more,
  });

/** The largest number of requests within five seconds since the last call, and their total number. */
function takeRequests(): { most: number; all: number } {
  const times = proxy.requests.splice(0).map(({ atMs }) => atMs);
  return { most: mostInWindow(times, WINDOW_MS), all: times.length };
}

async function workersOf(jobId: string): Promise<Set<string>> {
  const { events } = await stack.temporal.workflow.getHandle(jobId).fetchHistory();
  const ingests = (events ?? []).filter(({ activityTaskScheduledEventAttributes: a }) =>
    /^ingest/.test(a?.activityType?.name ?? ''),
  );
  const ids = new Set(ingests.map(({ eventId }) => String(eventId)));
  const started = (events ?? []).map(({ activityTaskStartedEventAttributes: a }) => a);
  return new Set(started.flatMap((a) => (a && ids.has(String(a.scheduledEventId)) ? [a.identity!] : [])));
}

describe('a limit of requests per second', () => {
  it('is kept by two workers together, and they ingest the same content', async () => {
    const free = await stack.trigger(await connect('free'));
    expect(free).toMatchObject({ state: JobState.JS_SUCCEEDED });
    const uncapped = takeRequests();
    // Otherwise the limit would have no effect.
    expect(uncapped.most).toBeGreaterThan(CAP * (WINDOW_MS / 1000) * TOLERANCE);

    const job = await stack.trigger(await connect('slow', { maxRequestsPerSecond: CAP }));
    expect(job).toMatchObject({
      state: JobState.JS_SUCCEEDED,
      counters: { errors: 0n, filesIngested: countersOf(free).filesIngested },
    });
    const capped = takeRequests();
    // A slower run may list more pages and open the upstream once more.
    expect(capped.all).toBeGreaterThanOrEqual(uncapped.all);
    expect(capped.most).toBeLessThanOrEqual(CAP * (WINDOW_MS / 1000) * TOLERANCE);
    expect((await workersOf(job.jobId)).size).toBe(2);
    expect(await dumpCatalog(stack.catalog, 'slow')).toEqual(await dumpCatalog(stack.catalog, 'free'));
  }, 300_000);

  it('does not delay a cancellation, even at one request in several minutes', async () => {
    const connectorId = await connect('crawl', { maxRequestsPerSecond: 0.01 });
    const { jobId } = await stack.catalog.connectors.triggerReconcile({ connectorId });
    while (proxy.requests.length < 1) await new Promise((resolve) => setTimeout(resolve, 50));
    await stack.catalog.jobs.cancelReconcileJob({ jobId });
    expect(await stack.ended(jobId)).toMatchObject({ state: JobState.JS_CANCELLED });
    expect(proxy.requests.length).toBe(1);
  });

  it('applies to requests to a REST catalog, but not to local files', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'reconciler-cap-'));
    cleanUp.defer(() => rmSync(folder, { recursive: true }));
    await using rest = await startIcebergRest({ warehouse: `file://${folder}/warehouse` });
    const tables = fixtureTables().filter(({ path }) => ['orders', 'v2_cow', 'schema_evo'].includes(path.at(-1)!));
    await publishFixtures(rest.url, { folder }, tables);
    await using catalog = await startFaultProxy(rest.url);
    const more = { uri: catalog.url, properties: {} };
    const job = await stack.trigger(await connect('rest', { maxRequestsPerSecond: 2 }, more));
    expect(job).toMatchObject({ state: JobState.JS_SUCCEEDED, counters: { tablesChanged: BigInt(tables.length) } });
    const times = catalog.requests.map(({ atMs }) => atMs);
    expect(times.length).toBeGreaterThan(tables.length);
    // The job's own count includes files.
    expect(countersOf(job).upstreamRequests).toBeGreaterThan(BigInt(times.length));
    expect(mostInWindow(times, 2_000)).toBeLessThanOrEqual(2 * 2 + 3);
  });
});

describe('a Retry-After of S3', () => {
  it.each([429, 503])('is waited for without another request, even if it is long (%i)', async (status) => {
    const requestTimes: number[] = [];
    let until = 0;
    const later: Fault = ({ response }) => {
      requestTimes.push(performance.now());
      until ||= performance.now() + 8_000;
      response.writeHead(status, { 'retry-after': '8' }).end();
    };
    const isEarly = () => until === 0 || performance.now() < until;
    proxy.rules = [{ path: /fx\/orders\/metadata\/.*metadata\.json/, method: 'GET', hits: isEarly, fault: later }];
    const source = { namespacePath: ['fx'], table: 'orders' };
    const job = await stack.trigger(await connect(`later${status}`, {}, { source }));
    expect(job).toMatchObject({ state: JobState.JS_SUCCEEDED, counters: { tablesChanged: 1n, errors: 0n } });
    expect(requestTimes.length).toBe(1);
  });
});
