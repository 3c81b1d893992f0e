import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { reconcileMissing } from '../../src/activities/reconcile-missing.ts';
import { reconcileViews } from '../../src/activities/reconcile-views.ts';
import type { ActivityDeps } from '../../src/activities/runtime/deps.ts';
import { scanTables } from '../../src/activities/scan-tables.ts';
import type { MissingOutcome, ViewsHeartbeat, ViewsOutcome } from '../../src/contract/activities.ts';
import type { Progress } from '../../src/contract/job.ts';
import { newProgress } from '../../src/contract/job.ts';
import { CodedError } from '../../src/errors.ts';
import { ConnectorKind } from '../../src/generated/reconciler/v1/connectors.ts';
import { TableFormat } from '../../src/generated/reconciler/v1/tables.ts';
import { TestCatalog } from '../catalog/harness.ts';
import { activityDeps } from './activity-deps.ts';
import { MemoryUpstream } from './memory-upstream.ts';

let catalog: TestCatalog;
beforeAll(async () => {
  catalog = await TestCatalog.start();
});
afterAll(() => catalog[Symbol.asyncDispose]());

const inActivity = (info: { heartbeatDetails?: unknown } = {}) =>
  new MockActivityEnvironment(info, { logger: new DefaultLogger('ERROR') });

let upstream: MemoryUpstream;
let deps: ActivityDeps;
let connectorId: string;
let name: string;
let count = 0;

async function connect(fields: object = {}): Promise<string> {
  name = `views ${++count}`;
  const spec = { displayName: name, kind: ConnectorKind.CONNECTOR_KIND_ICEBERG, uri: 'https://c/', ...fields };
  connectorId = (await catalog.clients.connectors.createConnector({ connector: spec })).connectorId;
  return connectorId;
}

beforeEach(async () => {
  upstream = new MemoryUpstream();
  upstream.namespaces.push(['a'], ['b']);
  deps = activityDeps(catalog, upstream);
  await connect();
});

const progress: Progress = { ...newProgress(), state: 'JS_RUNNING' };
const record = () => ({
  jobId: `job-${name}`,
  runId: 'r',
  connectorId,
  connectorName: name,
  full: false,
  message: '',
  progress,
  failures: [],
  request: { connector: name },
});

function run(options: { full?: boolean; scope?: object; env?: MockActivityEnvironment } = {}): Promise<ViewsOutcome> {
  const { full = false, scope, env = inActivity() } = options;
  return env.run(() => reconcileViews(deps, { connectorId, full, scope, record: record() }));
}

async function missing(): Promise<number> {
  const outcome = await inActivity().run(() => reconcileMissing(deps, { connectorId, views: true, before: 0 }));
  return (outcome as MissingOutcome).marked;
}
const failuresOf = async (jobId: string) =>
  (await catalog.clients.jobs.listJobFailures({ jobId, pageSize: 1000 })).failures;

async function view(text: string) {
  const { viewId } = await catalog.clients.directory.resolve({
    name: { $case: 'text', value: `"${name}".${text}` },
    object: true,
  });
  return catalog.clients.views.getView({ viewId });
}

describe('reconcileViews', () => {
  it('ingests new views and new versions, and reads each unchanged view once', async () => {
    for (const dotted of ['a.one', 'a.two', 'b.three']) upstream.views.set(dotted, 1);
    expect(await run()).toEqual({ scanned: 3, changed: 3, errors: 0, failures: [], upstreamRequests: 0 });
    const before = await view('a.one');
    upstream.views.set('a.two', 2);
    upstream.described.length = 0;
    expect(await run()).toMatchObject({ scanned: 3, changed: 1 });
    expect(upstream.described.sort()).toEqual(['a.one', 'a.two', 'b.three']);
    expect(await view('a.two')).toMatchObject({ versionId: 2, representations: [{ sql: 'SELECT 2' }] });
    expect(await view('a.one')).toEqual(before);
    expect(await run({ full: true })).toMatchObject({ scanned: 3, changed: 0 });
    expect(await view('a.one')).toEqual(before);
  });

  it('walks over pages, and reports its progress', async () => {
    for (let i = 0; i < 250; i++) upstream.views.set(`a.v${i}`, 1);
    const env = inActivity();
    const beats: ViewsHeartbeat[] = [];
    env.on('heartbeat', (details) => beats.push(details));
    expect(await run({ env })).toMatchObject({ scanned: 250, changed: 250 });
    expect(beats.length).toBeGreaterThan(0);
    expect(beats.map(({ views }) => views.scanned)).toEqual(
      beats.map(({ views }) => views.scanned).sort((a, b) => a - b),
    );
    const { namespaceId } = await view('a.v0');
    const { views } = await catalog.clients.views.listViews({ namespaceId, pageSize: 1000 });
    expect(views).toHaveLength(250);
  });

  it('continues where the previous attempt stopped', async () => {
    for (let i = 0; i < 250; i++) upstream.views.set(`a.v${i}`, 1);
    const env = inActivity();
    let last: ViewsHeartbeat | undefined;
    env.on('heartbeat', (details) => {
      last = JSON.parse(JSON.stringify(details));
    });
    upstream.failures.set('a.v120', () => new CodedError('NOT_FOUND', 'no'));
    const { listViews } = upstream;
    upstream.listViews = async (path, page) => {
      if (page.token === '200') throw new CodedError('UNAVAILABLE', 'cut');
      return listViews.call(upstream, path, page);
    };
    await expect(run({ env })).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    upstream.listViews = listViews;
    upstream.described.length = 0;
    const again = await run({ env: inActivity({ heartbeatDetails: last }) });
    expect(again).toMatchObject({ scanned: 250, changed: 249, errors: 1, failures: [{ table: 'view a.v120' }] });
    expect(upstream.described).toHaveLength(50);
  });

  it('lets a broken view fail by itself, and ingests the others', async () => {
    for (const dotted of ['a.bad', 'a.good', 'b.good']) upstream.views.set(dotted, 1);
    upstream.failures.set('a.bad', () => new CodedError('DATA_LOSS', 'broken metadata of a.bad'));
    expect(await run()).toMatchObject({
      scanned: 3,
      changed: 2,
      errors: 1,
      failures: [{ table: 'view a.bad', code: 'DATA_LOSS', message: 'broken metadata of a.bad' }],
    });
    expect(await failuresOf(`job-${name}`)).toMatchObject([{ table: 'view a.bad', code: 'DATA_LOSS' }]);
    expect((await view('b.good')).versionId).toBe(1);
  });

  it('returns the first failures only, and records all of them', async () => {
    for (let i = 0; i < 130; i++) {
      upstream.views.set(`a.v${i}`, 1);
      upstream.failures.set(`a.v${i}`, () => new CodedError('PERMISSION_DENIED', 'x'.repeat(5000)));
    }
    const outcome = await run();
    expect(outcome).toMatchObject({ scanned: 130, changed: 0, errors: 130 });
    expect(outcome.failures).toHaveLength(20);
    expect(JSON.stringify(outcome).length).toBeLessThan(40_000);
    expect(await failuresOf(`job-${name}`)).toHaveLength(130);
  });

  it('retries transient errors, and gives up in the end', async () => {
    for (const dotted of ['a.once', 'a.always']) upstream.views.set(dotted, 1);
    let failed = 0;
    upstream.failures.set('a.once', () => (failed++ === 0 ? new CodedError('UNAVAILABLE', 'busy') : undefined));
    upstream.failures.set('a.always', () => new CodedError('RESOURCE_EXHAUSTED', 'slow down', { retryAfterMs: 10 }));
    expect(await run()).toMatchObject({
      changed: 1,
      errors: 1,
      failures: [{ table: 'view a.always', code: 'RESOURCE_EXHAUSTED' }],
    });
    expect(upstream.described.filter((dotted) => dotted === 'a.always')).toHaveLength(3);
  });

  it('fails as a whole, to be retried, if the catalog is unavailable', async () => {
    upstream.views.set('a.v', 1);
    const away = await TestCatalog.start();
    const own = await away.clients.connectors.createConnector({
      connector: { displayName: 'x', kind: ConnectorKind.CONNECTOR_KIND_ICEBERG, uri: 'https://c/' },
    });
    const input = { connectorId: own.connectorId, full: false, record: { ...record(), connectorId: own.connectorId } };
    const { describeView } = MemoryUpstream.prototype;
    upstream.describeView = async (ref) => {
      await away.stopService();
      return describeView.call(upstream, ref);
    };
    const env = inActivity();
    await expect(env.run(() => reconcileViews({ ...deps, catalog: away.clients }, input))).rejects.toThrow(
      /UNAVAILABLE/,
    );
    away.clients.close();
  });

  it('takes the source namespace, the destination and the scope as tables do', async () => {
    for (const dotted of ['a.one', 'b.two']) upstream.views.set(dotted, 1);
    await connect({ source: { namespacePath: ['a'] }, destination: { namespacePath: ['to', 'here'] } });
    expect(await run()).toMatchObject({ scanned: 1, changed: 1 });
    expect(await view('to.here.one')).toMatchObject({ upstream: { namespacePath: ['a'], tableName: 'one' } });
    expect(await run({ scope: { namespaces: ['elsewhere'] } })).toMatchObject({ scanned: 0 });
    expect(await run({ scope: { namespaces: ['to.here'] } })).toMatchObject({ scanned: 1, changed: 0 });
    await catalog.clients.connectors.updateConnector({
      connector: { connectorId, destination: { namespacePath: ['moved'] } },
      updateMask: ['destination'],
    });
    expect(await run()).toMatchObject({ changed: 1 });
    expect(await view('moved.one')).toMatchObject({ name: 'one' });
  });

  it('reads no views if a table is named, or if the upstream has none', async () => {
    upstream.views.set('a.one', 1);
    upstream.tables.push({ namespace: ['a'], name: 't' });
    const scan = (scope?: object) =>
      inActivity().run(() => scanTables(deps, { connectorId, full: false, scope, record: record() }));
    expect(await scan()).toMatchObject({ scanned: 1, hasViews: true });
    expect(await scan({ namespaces: ['a'] })).toMatchObject({ hasViews: true });
    expect(await scan({ table: 't' })).not.toHaveProperty('hasViews');
    expect(await run({ scope: { table: 'one' } })).toMatchObject({ scanned: 0 });
    await connect({ source: { namespacePath: ['a'], table: 't' } });
    expect(await scan()).not.toHaveProperty('hasViews');
    await connect();
    Object.assign(upstream, { listViews: undefined });
    expect(await scan()).not.toHaveProperty('hasViews');
    expect(await run()).toMatchObject({ scanned: 0 });
  });
});

describe('a table replaced by a view of its name', () => {
  beforeEach(async () => {
    upstream.views.set('a.both', 1);
    const { reconciliation, bindings } = catalog.clients;
    const { namespaceId } = await reconciliation.ensureDestination({ connectorId, namespacePath: ['a'] });
    await bindings.ensureTable({
      connectorId,
      upstream: { namespacePath: ['a'], name: 'both' },
      namespaceId,
      name: 'both',
      format: TableFormat.TABLE_FORMAT_ICEBERG,
    });
  });

  it('is replaced if the upstream confirms that it is gone', async () => {
    expect(await run()).toMatchObject({ changed: 1, errors: 0 });
    expect(await view('a.both')).toMatchObject({ versionId: 1 });
  });

  it('stays while the upstream still has it, or fails', async () => {
    upstream.tables.push({ namespace: ['a'], name: 'both' });
    const conflict = {
      table: 'view a.both',
      code: 'ALREADY_EXISTS',
      message: expect.stringContaining(`'a.both' of connector '${name}'`),
    };
    expect(await run()).toMatchObject({ changed: 0, errors: 1, failures: [conflict] });
    upstream.fingerprint = async () => {
      throw new CodedError('PERMISSION_DENIED', 'no');
    };
    expect(await run()).toMatchObject({ changed: 0, errors: 1, failures: [conflict] });
  });
});

describe('views that are gone upstream', () => {
  it('are marked after a complete listing, and are the same views when they come back', async () => {
    await connect({ policy: { missing: { maxShare: 1 } } });
    for (const dotted of ['a.one', 'a.two', 'b.three']) upstream.views.set(dotted, 1);
    await run();
    upstream.views.delete('a.two');
    upstream.views.delete('b.three');
    const { listViews } = upstream;
    upstream.listViews = async (path, page) => {
      if (path[0] === 'b') throw new CodedError('NOT_FOUND', 'no namespace b');
      return listViews.call(upstream, path, page);
    };
    expect(await missing()).toBe(2);
    expect(await missing()).toBe(0);
    expect((await view('a.two')).upstream?.missingSince).toBeInstanceOf(Date);
    expect((await view('b.three')).upstream?.missingSince).toBeInstanceOf(Date);
    expect((await view('a.one')).upstream?.missingSince).toBeUndefined();
    upstream.listViews = listViews;
    const { viewId } = await view('a.two');
    upstream.views.set('a.two', 1);
    expect(await run()).toMatchObject({ scanned: 2, changed: 1 });
    expect(await view('a.two')).toMatchObject({ viewId, upstream: { missingSince: undefined } });
  });

  it('are not marked if a listing fails or its pages repeat', async () => {
    upstream.views.set('a.one', 1);
    await run();
    upstream.views.clear();
    upstream.listViews = async () => {
      throw new CodedError('PERMISSION_DENIED', 'no');
    };
    await expect(missing()).rejects.toMatchObject({ code: 'PERMISSION_DENIED' });
    upstream.listViews = async () => ({ items: [], nextToken: 'x' });
    await expect(missing()).rejects.toMatchObject({ code: 'DATA_LOSS' });
    expect((await view('a.one')).upstream?.missingSince).toBeUndefined();
  });
});
