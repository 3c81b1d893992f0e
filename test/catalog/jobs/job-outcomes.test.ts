import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { durationSeconds, toDuration } from '../../../src/durations.ts';
import { ObjectKind } from '../../../src/generated/reconciler/internal/v1/bindings.ts';
import { JobChangeKind, type JobOutcome, JobResult, JobState } from '../../../src/generated/reconciler/v1/jobs.ts';
import { TableFormat } from '../../../src/generated/reconciler/v1/tables.ts';
import { connectorSpec, DROPS, failure, TestCatalog } from '../harness.ts';

let catalog: TestCatalog;
beforeAll(async () => {
  catalog = await TestCatalog.start();
});
afterAll(() => catalog[Symbol.asyncDispose]());

const { JOB_RESULT_UNFINISHED: UNFINISHED, JOB_RESULT_UPDATED: UPDATED, JOB_RESULT_CREATED: CREATED } = JobResult;

const table = (name: string, result: JobResult, more: Partial<JobOutcome> = {}): Partial<JobOutcome> => ({
  kind: JobChangeKind.JOB_CHANGE_KIND_TABLE,
  name,
  result,
  duration: toDuration(2),
  snapshotsIngested: 1n,
  filesIngested: 10n,
  bytesRead: 100n,
  upstreamRequests: 3n,
  ...more,
});

let count = 0;

/** A recorded job, with calls to record and list its outcomes. */
async function runningJob() {
  const { connectors, jobs, reconciliation } = catalog.clients;
  const { connectorId } = await connectors.createConnector({ connector: connectorSpec(DROPS) });
  const jobId = `outcomes-${++count}`;
  const put = (state: JobState) =>
    reconciliation.recordJob({ job: { jobId, connectorId, connectorName: 'lake', state } });
  await put(JobState.JS_RUNNING);
  return {
    ...{ connectorId, jobId, put },
    record: (step: string, ...outcomes: Partial<JobOutcome>[]) =>
      reconciliation.recordJobOutcomes({ jobId, step, outcomes }),
    list: (pageSize = 1000, pageToken = '') => jobs.listJobOutcomes({ jobId, pageSize, pageToken }),
  };
}

describe('what a job did', () => {
  it('is the sum of the steps of a table; a step that is repeated counts once, whatever comes in between', async () => {
    const { record, list } = await runningJob();
    await record('run/1', table('a.t', CREATED, { destination: 'main.a.t' }));
    await record('run/2', table('a.t', UNFINISHED, { filesIngested: 5n }));
    await record('run/3', table('a.t', UNFINISHED));
    await record('run/2', table('a.t', UNFINISHED, { filesIngested: 7n }));
    const { outcomes } = await list();
    expect(outcomes).toMatchObject([
      { name: 'a.t', destination: 'main.a.t', result: CREATED, snapshotsIngested: 3n, filesIngested: 27n },
    ]);
    expect(durationSeconds(outcomes[0]?.duration)).toBe(6);
    expect(outcomes[0]).toMatchObject({ bytesRead: 300n, upstreamRequests: 9n });
  });

  it('is listed in pages, by kind and name', async () => {
    const { record, list } = await runningJob();
    const view = { kind: JobChangeKind.JOB_CHANGE_KIND_VIEW };
    await record('run/1', table('b.t', UPDATED), table('a.t', UPDATED), table('a.v', CREATED, view));
    const first = await list(2);
    expect(first.outcomes.map(({ name }) => name)).toEqual(['a.t', 'b.t']);
    const second = await list(2, first.nextPageToken);
    expect(second).toMatchObject({ outcomes: [{ name: 'a.v', result: CREATED }], nextPageToken: '' });
    const other = await runningJob();
    expect(await failure(other.list(2, first.nextPageToken))).toMatchObject({ code: 'INVALID_ARGUMENT' });
  });

  it('is unfinished until a step says otherwise, or the job has succeeded', async () => {
    const { record, list, put } = await runningJob();
    await record('run/1', table('a.t', UNFINISHED));
    expect((await list()).outcomes).toMatchObject([{ result: UNFINISHED }]);
    await put(JobState.JS_SUCCEEDED);
    expect((await list()).outcomes).toMatchObject([{ result: UPDATED }]);
  });

  it('includes what is marked missing and dropped under its claim, once', async () => {
    const { connectorId, jobId, list } = await runningJob();
    const { bindings, catalogs, namespaces, reconciliation } = catalog.clients;
    const { catalogId } = await catalogs.createCatalog({ catalog: { displayName: `c${jobId}` } });
    const { namespaceId } = await namespaces.createNamespace({ namespace: { catalogId, path: ['n'] } });
    const upstream = { namespacePath: ['n'], name: 'gone one' };
    const ensured = await bindings.ensureTable({
      ...{ connectorId, namespaceId, name: 'gone', upstream },
      format: TableFormat.TABLE_FORMAT_ICEBERG,
      location: 's3://bucket/gone',
    });
    const tableId = ensured.table?.tableId ?? '';
    await reconciliation.claimConnector({
      connectorId,
      job: { jobId, connectorId, connectorName: 'lake' },
      runId: 'r',
    });
    const kind = ObjectKind.OBJECT_KIND_TABLE;
    await bindings.markMissing({ connectorId, kind, objectIds: [tableId] });
    const name = 'n."gone one"';
    expect((await list()).outcomes).toMatchObject([{ name, result: JobResult.JOB_RESULT_MISSING }]);
    await reconciliation.dropMissing({ connectorId, missingFor: toDuration(0), tableIds: [tableId] });
    expect((await list()).outcomes).toMatchObject([{ name, result: JobResult.JOB_RESULT_DROPPED }]);
  });

  it('is not recorded for a job that is not known', async () => {
    const { reconciliation } = catalog.clients;
    await reconciliation.recordJobOutcomes({ jobId: 'unknown', step: 'run/1', outcomes: [table('a.t', UPDATED)] });
  });
});

describe('jobs', () => {
  it('are listed by state and time, with page tokens that belong to the filter', async () => {
    const { connectors, jobs, reconciliation } = catalog.clients;
    const { connectorId } = await connectors.createConnector({ connector: connectorSpec(DROPS) });
    const put = (jobId: string, state: JobState, day: number) =>
      reconciliation.recordJob({ job: { jobId, connectorId, state, createdAt: new Date(Date.UTC(2026, 0, day)) } });
    const { JS_FAILED, JS_SUCCEEDED, JS_CANCELLED } = JobState;
    await put('f1', JS_FAILED, 1);
    await put('s2', JS_SUCCEEDED, 2);
    await put('f3', JS_FAILED, 3);
    await put('c4', JS_CANCELLED, 4);
    const ids = async (request: object) =>
      (await jobs.listReconcileJobs({ connectorId, ...request })).jobs.map(({ jobId }) => jobId);
    expect(await ids({ states: [JS_FAILED] })).toEqual(['f3', 'f1']);
    expect(await ids({ states: [JS_CANCELLED, JS_FAILED] })).toEqual(['c4', 'f3', 'f1']);
    expect(await ids({ createdAfter: new Date(Date.UTC(2026, 0, 3)) })).toEqual(['c4', 'f3']);
    expect(await ids({ states: [JS_FAILED], createdAfter: new Date(Date.UTC(2026, 0, 2)) })).toEqual(['f3']);
    const filter = { connectorId, states: [JS_FAILED, JS_CANCELLED], pageSize: 2 };
    const { nextPageToken: pageToken } = await jobs.listReconcileJobs(filter);
    expect(await ids({ ...filter, states: [JS_CANCELLED, JS_FAILED], pageToken })).toEqual(['f1']);
    expect(await failure(jobs.listReconcileJobs({ ...filter, states: [JS_FAILED], pageToken }))).toMatchObject({
      code: 'INVALID_ARGUMENT',
    });
    expect(await failure(jobs.listReconcileJobs({ connectorId, pageToken }))).toMatchObject({
      code: 'INVALID_ARGUMENT',
    });
  });
});
