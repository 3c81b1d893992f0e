import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { createControlActivities, createIngestActivities, createScanActivities } from '../../src/activities/index.ts';
import { stageKey } from '../../src/activities/ingest/file-groups.ts';
import { ancestryOf } from '../../src/activities/plan/select-snapshots.ts';
import type { ActivityDeps } from '../../src/activities/runtime/deps.ts';
import { UPSTREAM_ATTEMPTS } from '../../src/activities/runtime/failures.ts';
import type { UpstreamCatalog } from '../../src/connectors/spi.ts';
import { CodedError } from '../../src/errors.ts';
import { ObjectKind } from '../../src/generated/reconciler/internal/v1/bindings.ts';
import { ConnectorState, MissingAction } from '../../src/generated/reconciler/v1/connectors.ts';
import { TableFormat } from '../../src/generated/reconciler/v1/tables.ts';
import { connectorSpec, TestCatalog } from '../catalog/harness.ts';
import { activityDeps } from './activity-deps.ts';
import { MemoryUpstream } from './memory-upstream.ts';
import { HistoryUpstream, historyOf, linear } from './plan/history-upstream.ts';
import { jobRecord, run, STEP } from './run-activity.ts';

let catalog: TestCatalog;
beforeAll(async () => {
  catalog = await TestCatalog.start();
});
afterAll(() => catalog[Symbol.asyncDispose]());

const TABLES = ['a', 'b', 'c'].map((name) => ({ namespace: ['n'], name }));
const [TABLE] = TABLES;

let jobId: string;
let connectorId: string;
let jobs = 0;
/** The connector is claimed by a run of a job. */
beforeEach(async () => {
  jobId = `job-${++jobs}`;
  const missing = { maxShare: 1, action: MissingAction.MISSING_ACTION_DROP, dropAfter: { seconds: 0n, nanos: 0 } };
  const connector = connectorSpec({ policy: { missing } });
  ({ connectorId } = await catalog.clients.connectors.createConnector({ connector }));
  expect(await catalog.claim(connectorId, jobId)).toMatchObject({ epoch: 1n });
});

/** Another run of the job claims the connector. */
const loseClaim = () => catalog.claim(connectorId, jobId, { runId: 'later-run' });

function activities(upstream: UpstreamCatalog) {
  const deps: ActivityDeps = activityDeps(catalog, upstream);
  return { ...createControlActivities(deps), ...createScanActivities(deps), ...createIngestActivities(deps) };
}

/** Runs an activity of the job's first run. */
function step<T>(work: () => Promise<T>, attempt = 1): Promise<T> {
  return run(work, { attempt, workflowExecution: { workflowId: jobId, runId: `run-of-${jobId}` } });
}

const input = (more: object = {}) => ({ ...STEP, connectorId, full: false, split: false, ...more });

describe('an activity whose job has lost its claim', () => {
  const LOST = { type: 'CLAIM_LOST', nonRetryable: true, message: expect.stringContaining('may no longer write') };

  /** A table that is gone upstream. */
  async function bindTable(): Promise<string> {
    const { namespaceId } = await catalog.namespace();
    const upstream = { namespacePath: ['n'], name: 'gone' };
    const format = TableFormat.TABLE_FORMAT_ICEBERG;
    const request = { connectorId, upstream, namespaceId, name: 'gone', format };
    return (await catalog.clients.bindings.ensureTable(request)).table!.tableId;
  }

  const withViews = new MemoryUpstream();
  withViews.namespaces.push(['n']);
  withViews.views.set('n.v', 1);
  const withTables = new HistoryUpstream();
  withTables.set(linear(1, 1));

  it.each<[string, UpstreamCatalog, (all: ReturnType<typeof activities>, tableId: string) => Promise<unknown>]>([
    ['recordJob', withViews, ({ recordJob }) => recordJob({ ...input(), record: jobRecord(connectorId) })],
    ['scanTables', withViews, ({ scanTables }) => scanTables({ ...input(), record: jobRecord(connectorId) })],
    [
      'reconcileViews',
      withViews,
      ({ reconcileViews }) => reconcileViews({ ...input(), record: jobRecord(connectorId) }),
    ],
    ['reconcileMissing', withViews, ({ reconcileMissing }) => reconcileMissing({ ...input(), before: 0 })],
    [
      'dropGone',
      withViews,
      async ({ dropGone }, tableId) => {
        const kind = ObjectKind.OBJECT_KIND_TABLE;
        await catalog.clients.bindings.markMissing({ connectorId, kind, objectIds: [tableId] });
        return dropGone(input());
      },
    ],
    ['ingestTable', withTables, ({ ingestTable }) => ingestTable({ ...input(), table: TABLE! })],
    ['ingestTables', withTables, ({ ingestTables }) => ingestTables({ ...input(), tables: TABLES })],
    [
      'ingestFileGroup',
      withTables,
      ({ ingestFileGroup }, tableId) => {
        const ancestry = ancestryOf(historyOf(linear(1, 1).snapshots));
        const key = stageKey({ tableId, snapshot: { snapshotId: 1n }, ancestry });
        const group = { tableId, snapshotId: '1', key, group: { from: 0, to: 1 } };
        return ingestFileGroup({ ...input(), ...group, table: TABLE! });
      },
    ],
    [
      'endJob',
      withViews,
      ({ endJob }) => {
        const { progress } = jobRecord(connectorId);
        return endJob({
          ...input(),
          record: jobRecord(connectorId, { jobId, progress: { ...progress, state: 'JS_FAILED' } }),
        });
      },
    ],
  ])('fails without a retry: %s', async (_, upstream, call) => {
    const tableId = await bindTable();
    await loseClaim();
    await expect(step(() => call(activities(upstream), tableId))).rejects.toMatchObject(LOST);
  });

  it('ends also a pack of which some tables are done, and reads no snapshot again', async () => {
    const upstream = new HistoryUpstream();
    upstream.set(linear(1, 2));
    const { fileChanges } = catalog.clients;
    let tables = 0;
    // Only before the second table: until then the claim is held.
    const commitSnapshot: typeof fileChanges.commitSnapshot = async (requests, options) => {
      if (++tables === 2) await loseClaim();
      return fileChanges.commitSnapshot(requests, options);
    };
    const deps = {
      ...activityDeps(catalog, upstream),
      catalog: { ...catalog.clients, fileChanges: { commitSnapshot } },
    };
    const { ingestTables } = createIngestActivities(deps);
    await expect(step(() => ingestTables({ ...input(), tables: TABLES }))).rejects.toMatchObject(LOST);
    expect(upstream.reads.map(({ table, snapshotId }) => `${table}${snapshotId}`)).toEqual(['a1', 'a2', 'b1', 'b2']);
  });

  it('may still find out whether the connector is paused', async () => {
    await loseClaim();
    expect(await step(() => activities(withViews).isPaused(input()))).toBe(false);
  });
});

it('takes from the record of the job what is too long to be repeated in its input', async () => {
  const upstream = new MemoryUpstream();
  upstream.namespaces.push(['n']);
  upstream.tables.push(...TABLES);
  const requestJson = JSON.stringify({ connector: connectorId, scope: { table: 'b' } });
  const job = { ...(await catalog.clients.connectors.getReconcileJob({ jobId })), requestJson };
  await catalog.clients.reconciliation.recordJob({ job, failures: [] });
  const scan = (more: object) =>
    step(() => activities(upstream).scanTables({ ...input(more), record: { ...jobRecord(connectorId), jobId } }));
  expect((await scan({ requestOf: jobId })).changed).toEqual([TABLES[1]]);
  expect((await scan({})).changed).toEqual(TABLES);
});

describe('isPaused', () => {
  const isPaused = () => step(() => activities(new MemoryUpstream()).isPaused({ connectorId, epoch: 1 }));

  it('returns whether the connector is paused', async () => {
    const set = (state: ConnectorState) =>
      catalog.clients.connectors.updateConnector({ connector: { connectorId, state }, updateMask: ['state'] });
    expect(await isPaused()).toBe(false);
    await set(ConnectorState.CONNECTOR_STATE_PAUSED);
    expect(await isPaused()).toBe(true);
    await set(ConnectorState.CONNECTOR_STATE_ACTIVE);
    expect(await isPaused()).toBe(false);
  });

  it('fails if the connector is being deleted or is gone', async () => {
    const { connectors } = catalog.clients;
    // A deletion ends too soon to be observed.
    const getConnector: typeof connectors.getConnector = async (request) => ({
      ...(await connectors.getConnector(request)),
      state: ConnectorState.CONNECTOR_STATE_DELETING,
    });
    const deleting = { ...catalog.clients, connectors: { ...connectors, getConnector } };
    const deps = { ...activityDeps(catalog, new MemoryUpstream()), catalog: deleting };
    const asked = step(() => createControlActivities(deps).isPaused({ connectorId, epoch: 1 }));
    await expect(asked).rejects.toMatchObject({ type: 'FAILED_PRECONDITION', nonRetryable: true });
    connectorId = 'con_gone';
    await expect(isPaused()).rejects.toMatchObject({ type: 'NOT_FOUND', nonRetryable: true });
  });
});

describe('a failure of an activity', () => {
  it.each([
    ['of the upstream is retried', 'UNAVAILABLE', 1, false],
    ['of the upstream in the last attempt is not', 'UNAVAILABLE', UPSTREAM_ATTEMPTS, true],
    ['that no retry can resolve is not', 'DATA_LOSS', 1, true],
  ] as const)('%s', async (_, code, attempt, nonRetryable) => {
    const upstream = new MemoryUpstream();
    upstream.openTable = () => Promise.reject(new CodedError(code, 'no'));
    const failed = step(() => activities(upstream).ingestTable({ ...input(), table: TABLE! }), attempt);
    await expect(failed).rejects.toMatchObject({ type: code, message: 'no', nonRetryable });
  });
});
