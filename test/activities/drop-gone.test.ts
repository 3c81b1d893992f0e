import { afterAll, beforeAll, beforeEach, expect, it } from '@jest/globals';
import { MockActivityEnvironment } from '@temporalio/testing';
import { dropGone } from '../../src/activities/drop-gone.ts';
import { reconcileMissing } from '../../src/activities/reconcile-missing.ts';
import type { ActivityDeps } from '../../src/activities/runtime/deps.ts';
import { CodedError } from '../../src/errors.ts';
import { MissingAction } from '../../src/generated/reconciler/v1/connectors.ts';
import { JobState } from '../../src/generated/reconciler/v1/jobs.ts';
import { TableFormat } from '../../src/generated/reconciler/v1/tables.ts';
import { TestTable } from '../catalog/files.ts';
import { connectorSpec, TestCatalog } from '../catalog/harness.ts';
import { activityDeps } from './activity-deps.ts';
import { MemoryUpstream } from './memory-upstream.ts';
import { attempt, run, STEP } from './run-activity.ts';

let catalog: TestCatalog;
beforeAll(async () => {
  catalog = await TestCatalog.start();
});
afterAll(() => catalog[Symbol.asyncDispose]());

let upstream: MemoryUpstream;
let deps: ActivityDeps;
let connectorId: string;
/** The workflow id that the activities see. */
const jobId = new MockActivityEnvironment().context.info.workflowExecution?.workflowId ?? '';

/** One view and two tables are missing for long enough, and one snapshot of a third table has expired. */
beforeEach(async () => {
  upstream = new MemoryUpstream();
  deps = activityDeps(catalog, upstream);
  const missing = { action: MissingAction.MISSING_ACTION_DROP, dropAfter: { seconds: 0n, nanos: 0 }, maxShare: 1 };
  const { bindings, connectors, ingestion, reconciliation } = catalog.clients;
  const connector = await connectors.createConnector({ connector: connectorSpec({ policy: { missing } }) });
  ({ connectorId } = connector);
  const { namespaceId } = await catalog.namespace();
  for (const name of ['one', 'two']) {
    const upstream = { namespacePath: ['a'], name };
    await bindings.ensureTable({ connectorId, upstream, namespaceId, name, format: TableFormat.TABLE_FORMAT_ICEBERG });
  }
  await bindings.ensureView({
    connectorId,
    upstream: { namespacePath: ['a'], name: 'v' },
    fingerprint: 'f',
    view: { namespaceId, name: 'v', representations: [{ sql: 'SELECT 1', dialect: 'spark' }] },
  });
  const kept = await TestTable.create(catalog, { upstream: { connectorId, namespacePath: ['b'], tableName: 'kept' } });
  await kept.put({ snapshotId: 1, changes: [] });
  await kept.put({ snapshotId: 2, base: 1, changes: [] });
  await ingestion.expireSnapshots({ tableId: kept.tableId, snapshotIds: [1n] });
  upstream.tables.push({ namespace: ['b'], name: 'kept' });
  for (const views of [false, true])
    await run(() => reconcileMissing(deps, { ...STEP, connectorId, before: 0, views }));
  // The job that a dry run records its changes with.
  const job = { jobId, connectorId, connectorName: 'lake', state: JobState.JS_RUNNING, dryRun: true };
  await reconciliation.recordJob({ job });
});

/** What is dropped in total. */
const ALL = { tablesDropped: 2, viewsDropped: 1, snapshotsDropped: 1, upstreamRequests: 0 };

/** Runs an attempt that fails after the tables, and another that continues from it. */
async function twoAttempts(dryRun: boolean) {
  const drop = () => dropGone(deps, { ...STEP, connectorId, views: true, dryRun });
  const { listViews } = upstream;
  let calls = 0;
  // A dry run lists the views also while it looks at the tables.
  upstream.listViews = async (path, page) => {
    if (++calls > (dryRun ? 1 : 0)) throw new CodedError('UNAVAILABLE', 'not now');
    return listViews.call(upstream, path, page);
  };
  const first = await attempt(drop);
  expect(first.outcome).toMatchObject({ status: 'rejected', reason: { code: 'UNAVAILABLE' } });
  expect(first.last).toEqual({ counts: { tablesDropped: 2 } });
  upstream.listViews = listViews;
  return run(drop, { heartbeatDetails: first.last });
}

it('counts what the attempt before has dropped', async () => {
  expect(await twoAttempts(false)).toEqual({ counts: ALL });
});

it('counts everything once in a dry run, which finds it again', async () => {
  expect(await twoAttempts(true)).toEqual({ counts: ALL });
  const { changes } = await catalog.clients.jobs.listJobChanges({ jobId, pageSize: 100 });
  expect(changes.map(({ name }) => name)).toEqual(['b.kept', 'a.one', 'a.two', 'a.v']);
});
