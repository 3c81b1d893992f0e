import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { reconcileMissing } from '../../src/activities/reconcile-missing.ts';
import { reconcileViews } from '../../src/activities/reconcile-views.ts';
import type { ActivityDeps } from '../../src/activities/runtime/deps.ts';
import { scanTables } from '../../src/activities/scan-tables.ts';
import type { ViewsHeartbeat, ViewsInput, ViewsOutcome } from '../../src/contract/activities.ts';
import { addToChecksum, NO_NAMES } from '../../src/contract/name-checksum.ts';
import { CodedError } from '../../src/errors.ts';
import { ConnectorKind, MissingAction } from '../../src/generated/reconciler/v1/connectors.ts';
import { TableFormat } from '../../src/generated/reconciler/v1/tables.ts';
import { TestCatalog } from '../catalog/harness.ts';
import { activityDeps } from './activity-deps.ts';
import { MemoryUpstream } from './memory-upstream.ts';
import { attempt, run as inActivity, jobRecord, STEP, throughJson } from './run-activity.ts';

let catalog: TestCatalog;
beforeAll(async () => {
  catalog = await TestCatalog.start();
});
afterAll(() => catalog[Symbol.asyncDispose]());

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

const record = () => jobRecord(connectorId, { jobId: `job-${name}`, connectorName: name });
const views = (more: Partial<ViewsInput> = {}) =>
  reconcileViews(deps, { ...STEP, connectorId, full: false, record: record(), ...more });
const run = (more: Partial<ViewsInput> = {}) => inActivity(() => views(more));

async function missing(): Promise<number | undefined> {
  const input = { ...STEP, connectorId, views: true, before: 0 };
  return (await inActivity(() => reconcileMissing(deps, input))).counts.viewsMissing;
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
    const counts = { viewsScanned: 3, viewsChanged: 3, upstreamRequests: 0 };
    expect(await run()).toEqual({ counts, failures: [], listed: expect.any(String) });
    const before = await view('a.one');
    upstream.views.set('a.two', 2);
    upstream.described.length = 0;
    expect(await run()).toMatchObject({ counts: { viewsScanned: 3, viewsChanged: 1 } });
    expect(upstream.described.sort()).toEqual(['a.one', 'a.two', 'b.three']);
    expect(await view('a.two')).toMatchObject({ versionId: 2, representations: [{ sql: 'SELECT 2' }] });
    expect(await view('a.one')).toEqual(before);
    expect((await run({ full: true })).counts).toEqual({ viewsScanned: 3, upstreamRequests: 0 });
    expect(await view('a.one')).toEqual(before);
  });

  it('walks over pages, and reports its progress', async () => {
    for (let i = 0; i < 250; i++) upstream.views.set(`a.v${i}`, 1);
    const { outcome, heartbeats } = await attempt(views);
    expect(outcome).toMatchObject({ value: { counts: { viewsScanned: 250, viewsChanged: 250 } } });
    const scanned = heartbeats.map((details) => (details as ViewsHeartbeat).counts.viewsScanned ?? 0);
    expect([...new Set(scanned)]).toEqual([0, 100, 200, 250]);
    const { namespaceId } = await view('a.v0');
    const stored = await catalog.clients.views.listViews({ namespaceId, pageSize: 1000 });
    expect(stored.views).toHaveLength(250);
  });

  it('continues where the previous attempt stopped', async () => {
    for (let i = 0; i < 250; i++) upstream.views.set(`a.v${i}`, 1);
    upstream.failures.set('a.v120', () => new CodedError('NOT_FOUND', 'no'));
    const { listViews } = upstream;
    upstream.listViews = async (path, page) => {
      if (page.token === '200') throw new CodedError('UNAVAILABLE', 'cut');
      return listViews.call(upstream, path, page);
    };
    const { outcome, last } = await attempt(views);
    expect(outcome).toMatchObject({ reason: { code: 'UNAVAILABLE' } });
    upstream.listViews = listViews;
    upstream.described.length = 0;
    const again = await inActivity(views, { heartbeatDetails: last });
    const counts = { viewsScanned: 250, viewsChanged: 249, errors: 1 };
    expect(again).toMatchObject({ counts, failures: [{ table: 'view a.v120' }] });
    expect(upstream.described).toHaveLength(50);
  });

  it('lets a broken view fail by itself, and ingests the others', async () => {
    for (const dotted of ['a.bad', 'a.good', 'b.good']) upstream.views.set(dotted, 1);
    upstream.failures.set('a.bad', () => new CodedError('DATA_LOSS', 'broken metadata of a.bad'));
    expect(await run()).toMatchObject({
      counts: { viewsScanned: 3, viewsChanged: 2, errors: 1 },
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
    expect(outcome.counts).toEqual({ viewsScanned: 130, errors: 130, upstreamRequests: 0 });
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
      counts: { viewsChanged: 1, errors: 1 },
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
    const input = { ...STEP, connectorId: own.connectorId, full: false, record: jobRecord(own.connectorId) };
    const { describeView } = MemoryUpstream.prototype;
    upstream.describeView = async (ref) => {
      await away.stopService();
      return describeView.call(upstream, ref);
    };
    await expect(inActivity(() => reconcileViews({ ...deps, catalog: away.clients }, input))).rejects.toThrow(
      /UNAVAILABLE/,
    );
    away.clients.close();
  });

  it('takes the source namespace, the destination and the scope as tables do', async () => {
    for (const dotted of ['a.one', 'b.two']) upstream.views.set(dotted, 1);
    await connect({ source: { namespacePath: ['a'] }, destination: { namespacePath: ['to', 'here'] } });
    expect((await run()).counts).toMatchObject({ viewsScanned: 1, viewsChanged: 1 });
    expect(await view('to.here.one')).toMatchObject({ upstream: { namespacePath: ['a'], tableName: 'one' } });
    expect((await run({ scope: { namespaces: ['elsewhere'] } })).counts).toEqual({ upstreamRequests: 0 });
    expect((await run({ scope: { namespaces: ['to.here'] } })).counts).toEqual({
      viewsScanned: 1,
      upstreamRequests: 0,
    });
    await catalog.clients.connectors.updateConnector({
      connector: { connectorId, destination: { namespacePath: ['moved'] } },
      updateMask: ['destination'],
    });
    expect((await run()).counts).toMatchObject({ viewsChanged: 1 });
    expect(await view('moved.one')).toMatchObject({ name: 'one' });
  });

  it('reads no views if a table is named, or if the upstream has none', async () => {
    upstream.views.set('a.one', 1);
    upstream.tables.push({ namespace: ['a'], name: 't' });
    const scan = (scope?: object) =>
      inActivity(() => scanTables(deps, { ...STEP, connectorId, full: false, scope, record: record() }));
    expect(await scan()).toMatchObject({ counts: { tablesScanned: 1 }, hasViews: true });
    expect(await scan({ namespaces: ['a'] })).toMatchObject({ hasViews: true });
    expect(await scan({ table: 't' })).not.toHaveProperty('hasViews');
    expect((await run({ scope: { table: 'one' } })).counts).toEqual({ upstreamRequests: 0 });
    await connect({ source: { namespacePath: ['a'], table: 't' } });
    expect(await scan()).not.toHaveProperty('hasViews');
    await connect();
    Object.assign(upstream, { listViews: undefined });
    expect(await scan()).not.toHaveProperty('hasViews');
    expect((await run()).counts).toEqual({ upstreamRequests: 0 });
  });
});

describe('reconcileViews in slices', () => {
  const haveViews = (count: number) => {
    for (let i = 0; i < count; i++) upstream.views.set(`a.v${i}`, 1);
  };

  /** Slices that are over when they begin, until the last one, with cursors and checksums as the workflow passes them. */
  async function slices(more: Partial<ViewsInput> = {}) {
    const outcomes: ViewsOutcome[] = [];
    let listed = NO_NAMES;
    do {
      const { cursor } = outcomes.at(-1) ?? {};
      outcomes.push(throughJson(await run({ ...more, sliceSeconds: 0, cursor, listed })));
      listed = addToChecksum(listed, outcomes.at(-1)!.listed);
      expect(outcomes.length).toBeLessThan(20);
    } while (outcomes.at(-1)!.cursor);
    return { outcomes, listed };
  }

  it('returns after a page, with its counts and failures, and continues there', async () => {
    haveViews(250);
    upstream.failures.set('a.v120', () => new CodedError('NOT_FOUND', 'no'));
    const { outcomes, listed } = await slices();
    expect(
      outcomes.map(({ counts: { viewsScanned, viewsChanged, errors }, failures }) => [
        ...[viewsScanned, viewsChanged, errors, failures.length],
      ]),
    ).toEqual([
      [100, 100, undefined, 0],
      [100, 99, 1, 1],
      [50, 50, undefined, 0],
    ]);
    expect(upstream.described).toHaveLength(250);
    expect(new Set(upstream.described).size).toBe(250);
    expect((await run()).listed).toBe(listed);
    expect(await failuresOf(`job-${name}`)).toHaveLength(1);
  });

  it('continues within a slice with the page that the last attempt did not finish', async () => {
    haveViews(350);
    const { cursor } = await run({ sliceSeconds: 0 });
    upstream.failures.set('a.v310', () => new CodedError('INTERNAL', 'not reached'));
    const { listViews } = upstream;
    upstream.listViews = async (path, page) => {
      if (page.token === '300') throw new CodedError('UNAVAILABLE', 'cut');
      return listViews.call(upstream, path, page);
    };
    const { last } = await attempt(() => views({ cursor }));
    upstream.listViews = listViews;
    upstream.failures.clear();
    upstream.described.length = 0;
    const again = await inActivity(() => views({ cursor }), { heartbeatDetails: last });
    expect(again.counts).toMatchObject({ viewsScanned: 250, viewsChanged: 250 });
    expect(again.cursor).toBeUndefined();
    expect(upstream.described).toHaveLength(50);
  });

  it('ends if the connector takes no views any more', async () => {
    haveViews(150);
    const { cursor } = await run({ sliceSeconds: 0 });
    const source = { namespacePath: ['a'], table: 't' };
    await catalog.clients.connectors.updateConnector({ connector: { connectorId, source }, updateMask: ['source'] });
    expect((await run({ cursor })).cursor).toBeUndefined();
    expect((await run()).cursor).toBeUndefined();
  });

  describe('nothing is gone', () => {
    const nothingGone = async (more: Partial<ViewsInput> = {}) =>
      (await run({ listed: NO_NAMES, ...more })).nothingGone;

    it('if exactly what is bound was listed, by all slices, and after the last of them', async () => {
      haveViews(150);
      const { outcomes } = await slices();
      expect(outcomes.map((outcome) => outcome.nothingGone)).toEqual([undefined, true]);
      expect(await nothingGone()).toBe(true);
      const { cursor } = outcomes[0]!;
      expect(await nothingGone({ cursor })).toBeUndefined();
    });

    it('is not certain if a view is gone, was renamed or has failed to come in', async () => {
      haveViews(3);
      expect(await nothingGone()).toBe(true);
      upstream.views.set('a.broken', 1);
      upstream.failures.set('a.broken', () => new CodedError('DATA_LOSS', 'broken'));
      expect(await nothingGone()).toBeUndefined();
      upstream.views.delete('a.broken');
      upstream.views.delete('a.v1');
      expect(await nothingGone()).toBeUndefined();
      upstream.views.set('a.renamed', 1);
      expect(await nothingGone()).toBeUndefined();
      // What is marked is not expected to be listed.
      await catalog.clients.connectors.updateConnector({
        connector: { connectorId, policy: { missing: { maxShare: 1 } } },
        updateMask: ['policy.missing'],
      });
      expect(await missing()).toBe(1);
      expect(await nothingGone()).toBe(true);
    });

    it('is not looked for by a run that is narrowed, and does not matter if the connector keeps what is gone', async () => {
      await connect({ policy: { missing: { action: MissingAction.MISSING_ACTION_KEEP } } });
      haveViews(3);
      await run();
      upstream.views.delete('a.v1');
      expect(await nothingGone()).toBe(true);
      expect(await nothingGone({ listed: undefined })).toBeUndefined();
    });
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
    expect((await run()).counts).toEqual({ viewsScanned: 1, viewsChanged: 1, upstreamRequests: 0 });
    expect(await view('a.both')).toMatchObject({ versionId: 1 });
  });

  it('stays while the upstream still has it, or fails', async () => {
    upstream.tables.push({ namespace: ['a'], name: 'both' });
    const conflict = {
      table: 'view a.both',
      code: 'ALREADY_EXISTS',
      message: expect.stringContaining(`'a.both' of connector '${name}'`),
    };
    const counts = { viewsScanned: 1, errors: 1, upstreamRequests: 0 };
    expect(await run()).toMatchObject({ counts, failures: [conflict] });
    upstream.fingerprint = async () => {
      throw new CodedError('PERMISSION_DENIED', 'no');
    };
    expect(await run()).toMatchObject({ counts, failures: [conflict] });
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
    // That is no proof, as long as its parent lists it.
    await expect(missing()).rejects.toMatchObject({ code: 'NOT_FOUND' });
    upstream.namespaces.splice(
      upstream.namespaces.findIndex(([name]) => name === 'b'),
      1,
    );
    expect(await missing()).toBe(2);
    expect(await missing()).toBe(0);
    expect((await view('a.two')).upstream?.missingSince).toBeInstanceOf(Date);
    expect((await view('b.three')).upstream?.missingSince).toBeInstanceOf(Date);
    expect((await view('a.one')).upstream?.missingSince).toBeUndefined();
    upstream.listViews = listViews;
    const { viewId } = await view('a.two');
    upstream.views.set('a.two', 1);
    expect((await run()).counts).toMatchObject({ viewsScanned: 2, viewsChanged: 1 });
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
