import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { MockActivityEnvironment } from '@temporalio/testing';
import { ensureDestination } from '../../src/activities/begin/ensure-destination.ts';
import { dropGone } from '../../src/activities/drop-gone.ts';
import { reconcileMissing } from '../../src/activities/reconcile-missing.ts';
import type { ActivityDeps } from '../../src/activities/runtime/deps.ts';
import type { PageRequest } from '../../src/connectors/spi.ts';
import type { DropInput, MissingInput } from '../../src/contract/activities.ts';
import type { NamespacePath } from '../../src/contract/upstream-names.ts';
import { CodedError } from '../../src/errors.ts';
import { ObjectKind } from '../../src/generated/reconciler/internal/v1/bindings.ts';
import { ConnectorKind, MissingAction, type MissingPolicy } from '../../src/generated/reconciler/v1/connectors.ts';
import { JobState } from '../../src/generated/reconciler/v1/jobs.ts';
import { TableFormat } from '../../src/generated/reconciler/v1/tables.ts';
import { TestCatalog } from '../catalog/harness.ts';
import { activityDeps } from './activity-deps.ts';
import { MemoryUpstream } from './memory-upstream.ts';
import { attempt, run, STEP } from './run-activity.ts';

class CountedUpstream extends MemoryUpstream {
  /** Errors of listings, by the number of the listing. */
  fails?: (call: number) => Error | undefined;

  override async listTables(namespace: NamespacePath, page: PageRequest) {
    this.usage.requests += 1;
    const failure = this.fails?.(this.usage.requests);
    if (failure) throw failure;
    return super.listTables(namespace, page);
  }
}

let catalog: TestCatalog;
beforeAll(async () => {
  catalog = await TestCatalog.start();
});
afterAll(() => catalog[Symbol.asyncDispose]());

let upstream: CountedUpstream;
let deps: ActivityDeps;
let connectorId: string;
let namespaceId: string;
let count = 0;

const nameOf = (name: string) => ({ namespacePath: [name.split('/')[0] ?? ''], name });

async function connect(
  missing: Partial<MissingPolicy> = {},
  kind: ConnectorKind = ConnectorKind.CONNECTOR_KIND_ICEBERG,
): Promise<void> {
  upstream = new CountedUpstream();
  deps = activityDeps(catalog, upstream);
  ({ namespaceId } = await catalog.namespace());
  const spec = { displayName: `missing ${++count}`, kind, uri: 'https://c/' };
  const { connectors } = catalog.clients;
  ({ connectorId } = await connectors.createConnector({ connector: { ...spec, policy: { missing } } }));
}
beforeEach(() => connect());

/** Ingests tables, each given as `namespace/name`. */
const bind = (...names: string[]) => bindAs(TableFormat.TABLE_FORMAT_ICEBERG, names);

async function bindAs(format: TableFormat, names: string[]): Promise<void> {
  for (const name of names) {
    await catalog.clients.bindings.ensureTable({ connectorId, upstream: nameOf(name), namespaceId, name, format });
  }
}

/** Sets what the upstream has from now on. */
function have(...names: string[]): void {
  upstream.tables.splice(0, Infinity, ...names.map((name) => ({ namespace: nameOf(name).namespacePath, name })));
}

const lookUp = async (...names: string[]) =>
  (
    await catalog.clients.bindings.lookupBindings({
      connectorId,
      kind: ObjectKind.OBJECT_KIND_TABLE,
      names: names.map(nameOf),
    })
  ).bindings;

const missingOf = async (...names: string[]) =>
  (await lookUp(...names)).flatMap(({ missing }, i) => (missing ? [names[i]] : []));

const mark = (input: Partial<MissingInput> = {}) =>
  reconcileMissing(deps, { ...STEP, connectorId, before: 0, ...input });
const reconcile = (input: Partial<MissingInput> = {}) => run(() => mark(input));

/** The outcome after this many tables were marked. */
const marked = (tablesMissing: number) => ({ counts: { tablesMissing } });

const some = (namespace: string, n: number) => Array.from({ length: n }, (_, i) => `${namespace}/${i}`);

it('reports the requests that it made: one pass over the listings counts, another one marks', async () => {
  await connect({ maxShare: 0.5 });
  await bind('a/one', 'a/two');
  // A table that is listed and not bound has failed to come in: one that is bound could still be gone.
  have('a/one', 'a/two', 'a/failed');
  expect(await reconcile()).toEqual({ counts: { tablesMissing: 0, upstreamRequests: 1 } });
  have('a/one');
  expect(await reconcile()).toEqual({ counts: { tablesMissing: 1, upstreamRequests: 2 } });
  expect(await missingOf('a/one', 'a/two')).toEqual(['a/two']);
  expect(await reconcile()).toEqual({ counts: { tablesMissing: 0, upstreamRequests: 1 } });
});

it('marks the old name after a rename', async () => {
  await connect({ maxShare: 1 });
  await bind('a/one', 'a/old');
  have('a/one', 'a/new');
  // Renamed before the scan; the new name is bound as a table of its own.
  await bind('a/new');
  expect(await reconcile()).toMatchObject(marked(1));
  expect(await missingOf('a/one', 'a/old', 'a/new')).toEqual(['a/old']);
});

describe('when more is gone than may go at once', () => {
  const all = [...some('a', 6), ...some('b', 6)];
  beforeEach(() => bind(...all));

  it('marks nothing, and states how much, which first and what to do', async () => {
    have(...all.slice(4));
    await expect(reconcile()).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
      message: `4 of 12 tables are gone upstream, a."a/0" first: more than the share of 0.25 that may go at once. Nothing is marked or dropped. If they were removed on purpose, run reconciler connector trigger 'missing ${count}' --allow-missing, or give the connector a larger --missing-max-share.`,
    });
    expect(await missingOf(...all)).toEqual([]);
  });

  it('marks as much as may go, also as a share of the tables before the run', async () => {
    have(...all.slice(3));
    expect(await reconcile()).toMatchObject(marked(3));
    expect(await missingOf(...all)).toEqual(all.slice(0, 3));
    // Three of nine, and the same with ten that this run has ingested: they were not bound before.
    const before = (await ensureDestination(deps, { connectorId })).before?.tables;
    expect(before).toBe(9);
    const fresh = some('c', 10);
    await bind(...fresh);
    have(...all.slice(6), ...fresh);
    await expect(reconcile({ before })).rejects.toMatchObject({ message: expect.stringContaining('3 of 9 tables') });
    expect(await missingOf(...all)).toHaveLength(3);
  });

  it('marks everything if that is allowed', async () => {
    have(...all.slice(11));
    expect(await reconcile({ allowMissing: true })).toMatchObject(marked(11));
  });

  it('stops marking when the listing lacks more than was counted', async () => {
    have(...all.slice(3));
    // Between counting and marking, all of namespace b is dropped.
    upstream.fails = (call) => (call === 4 ? new CodedError('NOT_FOUND', 'no namespace b') : undefined);
    await expect(reconcile()).rejects.toMatchObject({ code: 'FAILED_PRECONDITION' });
    expect(await missingOf(...all.slice(6))).toEqual([]);
  });
});

it('continues after an attempt that broke off while it marked', async () => {
  const all = some('a', 200);
  const gone = some('a', 40);
  for (const name of all) await bind(name);
  have(...all.slice(40));
  const objectIds = (await lookUp(...gone.slice(0, 30))).map((one) => one.objectId);
  await catalog.clients.bindings.markMissing({ connectorId, kind: ObjectKind.OBJECT_KIND_TABLE, objectIds });
  expect(await reconcile({ before: 200 })).toMatchObject(marked(10));
  expect(await missingOf(...gone)).toEqual(gone);
});

describe('after an attempt that marked and then failed', () => {
  beforeEach(async () => {
    await connect({ maxShare: 1 });
    await bind('a/1', 'a/2', 'b/1', 'c/1');
    have('c/1');
    // A page per table.
    const { bindings } = deps.catalog;
    const listBindings: typeof bindings.listBindings = (request) => bindings.listBindings({ ...request, pageSize: 1 });
    deps = { ...deps, catalog: { ...deps.catalog, bindings: { ...bindings, listBindings } } };
  });

  it('counts what that attempt marked', async () => {
    // Three listings count; the fifth is of b, after those of a are marked.
    upstream.fails = (call) => (call === 5 ? new CodedError('UNAVAILABLE', 'not now') : undefined);
    const first = await attempt(mark);
    expect(first).toMatchObject({ outcome: { status: 'rejected' }, last: marked(2) });
    expect(await missingOf('a/1', 'a/2', 'b/1')).toEqual(['a/1', 'a/2']);
    expect(await run(mark, { heartbeatDetails: first.last })).toMatchObject(marked(3));
  });

  it('counts it also if nothing is left to mark', async () => {
    // The last listing, after everything is marked.
    upstream.fails = (call) => (call === 6 ? new CodedError('UNAVAILABLE', 'not now') : undefined);
    const first = await attempt(mark);
    expect(first).toMatchObject({ outcome: { status: 'rejected' }, last: marked(3) });
    expect(await run(mark, { heartbeatDetails: first.last })).toMatchObject(marked(3));
  });

  it('counts from the start in a dry run, which marks nothing', async () => {
    const { info } = new MockActivityEnvironment().context;
    const jobId = info.workflowExecution?.workflowId;
    const job = { jobId, connectorId, connectorName: 'lake', state: JobState.JS_RUNNING, dryRun: true };
    await catalog.clients.reconciliation.recordJob({ job });
    upstream.fails = (call) => (call === 5 ? new CodedError('UNAVAILABLE', 'not now') : undefined);
    const dryRun = () => mark({ dryRun: true });
    const first = await attempt(dryRun);
    expect(first).toMatchObject({ outcome: { status: 'rejected' }, last: marked(2) });
    expect(await run(dryRun, { heartbeatDetails: first.last })).toMatchObject(marked(3));
    expect(await missingOf('a/1', 'a/2', 'b/1')).toEqual([]);
  });
});

it('leaves everything as it is with KEEP', async () => {
  await connect({ action: MissingAction.MISSING_ACTION_KEEP });
  await bind('a/one', 'a/two');
  have();
  expect(await reconcile()).toEqual(marked(0));
  expect(upstream.usage.requests).toBe(0);
  expect(await missingOf('a/one', 'a/two')).toEqual([]);
});

it('treats a namespace that is gone as empty, and skips one that refuses', async () => {
  await bind(...some('a', 1), ...some('b', 4), ...some('c', 1));
  have(...some('b', 4));
  const { listTables } = upstream;
  upstream.listTables = async (path, page) => {
    if (path[0] === 'a') throw new CodedError('NOT_FOUND', 'no namespace a');
    if (path[0] === 'c') throw new CodedError('PERMISSION_DENIED', 'no');
    return listTables.call(upstream, path, page);
  };
  await expect(reconcile()).rejects.toMatchObject({ code: 'PERMISSION_DENIED' });
  expect(await reconcile({ refused: true })).toMatchObject(marked(1));
  expect(await missingOf('a/0', 'b/0', 'c/0')).toEqual(['a/0']);
});

describe('tables of a format that the connector no longer selects', () => {
  const [iceberg, delta] = [some('a', 4), some('d', 8)];
  const DROP = { action: MissingAction.MISSING_ACTION_DROP, dropAfter: { seconds: 0n, nanos: 0 } };
  const select = (formats: string) =>
    catalog.clients.connectors.updateConnector({
      connector: { connectorId, properties: { 'glue.formats': formats } },
      updateMask: ['properties'],
    });

  beforeEach(async () => {
    await connect({ ...DROP, maxShare: 0.25 }, ConnectorKind.CONNECTOR_KIND_GLUE);
    await bind(...iceberg);
    await bindAs(TableFormat.TABLE_FORMAT_DELTA, delta);
  });

  it('are not gone, and stay', async () => {
    await select('iceberg');
    have(...iceberg);
    expect(await reconcile({ allowMissing: true })).toMatchObject(marked(0));
    expect(await missingOf(...delta)).toEqual([]);
  });

  it('do not count for the share that may go at once', async () => {
    await select('iceberg');
    have(...iceberg.slice(2));
    const { before } = await ensureDestination(deps, { connectorId });
    expect(before.tables).toBe(4);
    await expect(reconcile({ before: 4 })).rejects.toMatchObject({
      message: expect.stringContaining('2 of 4 tables'),
    });
  });

  it('are not dropped if they were missing before', async () => {
    have(...iceberg, ...delta.slice(1));
    expect(await reconcile()).toMatchObject(marked(1));
    await select('iceberg');
    const drop = async () => (await run(() => dropGone(deps, { ...STEP, connectorId }))).counts;
    expect(await drop()).not.toHaveProperty('tablesDropped');
    await select('delta,iceberg');
    expect(await drop()).toMatchObject({ tablesDropped: 1 });
  });
});

describe('what has been missing', () => {
  const DROP = MissingAction.MISSING_ACTION_DROP;
  const drop = (input: Partial<DropInput> = {}) => run(() => dropGone(deps, { ...STEP, connectorId, ...input }));
  /** The names that the catalog still has. */
  const left = async (...names: string[]) =>
    (await lookUp(...names)).flatMap(({ objectId }, i) => (objectId === '' ? [] : [names[i]]));

  it('is dropped after its time, and not before', async () => {
    await connect({ action: DROP, dropAfter: { seconds: 3600n, nanos: 0 }, maxShare: 1 });
    await bind('a/1', 'a/2');
    have('a/1');
    expect(await reconcile()).toMatchObject(marked(1));
    expect((await drop()).counts).toEqual({ upstreamRequests: expect.any(Number) });
    expect(await left('a/1', 'a/2')).toEqual(['a/1', 'a/2']);
    // It comes back as the same table.
    const [before] = await lookUp('a/2');
    await bind('a/2');
    expect((await lookUp('a/2'))[0]).toMatchObject({ objectId: before?.objectId, missing: false });

    await reconcile();
    const missing = { action: DROP, dropAfter: { seconds: 0n } };
    const connector = { connectorId, policy: { missing } };
    await catalog.clients.connectors.updateConnector({ connector, updateMask: ['policy.missing'] });
    expect((await drop()).counts).toMatchObject({ tablesDropped: 1 });
    expect((await drop()).counts).not.toHaveProperty('tablesDropped');
    expect(await left('a/1', 'a/2')).toEqual(['a/1']);
    // A table that comes back after that is another one.
    await bind('a/2');
    expect((await lookUp('a/2'))[0]?.objectId).not.toBe(before?.objectId);
  });

  it('stays if the upstream has it again, or its namespace cannot be listed', async () => {
    await connect({ action: DROP, dropAfter: { seconds: 0n, nanos: 0 }, maxShare: 1 });
    await bind('a/1', 'b/1', 'c/1', 'c/2');
    have('c/2');
    await reconcile();
    // It exists again, but could not be ingested.
    have('a/1', 'c/2');
    const { listTables } = upstream;
    upstream.listTables = async (path, page) => {
      if (path[0] === 'b') throw new CodedError('PERMISSION_DENIED', 'no');
      return listTables.call(upstream, path, page);
    };
    await expect(drop()).rejects.toMatchObject({ code: 'PERMISSION_DENIED' });
    expect(await left('a/1', 'b/1', 'c/1', 'c/2')).toEqual(['a/1', 'b/1', 'c/1', 'c/2']);
    expect((await drop({ refused: true })).counts).toMatchObject({ tablesDropped: 1 });
    expect(await left('a/1', 'b/1', 'c/1', 'c/2')).toEqual(['a/1', 'b/1', 'c/2']);
  });

  it('stays if the connector does not drop', async () => {
    await connect({ maxShare: 1 });
    await bind('a/1');
    have();
    await reconcile();
    expect(await drop()).toEqual({ counts: {} });
    expect(await left('a/1')).toEqual(['a/1']);
  });

  it('may be a view', async () => {
    await connect({ action: DROP, dropAfter: { seconds: 0n, nanos: 0 }, maxShare: 1 });
    const { bindings, views } = catalog.clients;
    const upstreamName = { namespacePath: ['a'], name: 'v' };
    const { viewId } = await bindings.ensureView({
      connectorId,
      upstream: upstreamName,
      fingerprint: 'f',
      view: { namespaceId, name: 'v', representations: [{ sql: 'SELECT 1', dialect: 'spark' }] },
    });
    expect(await reconcile({ views: true })).toMatchObject({ counts: { viewsMissing: 1 } });
    expect((await drop()).counts).not.toHaveProperty('viewsDropped');
    expect((await drop({ views: true })).counts).toMatchObject({ viewsDropped: 1 });
    await expect(views.getView({ viewId })).rejects.toThrow(/NOT_FOUND/);
  });
});
