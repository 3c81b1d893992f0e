import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { JobFailureKind, JobState } from '../../../src/generated/reconciler/v1/jobs.ts';
import { fakeOnly } from '../../jest/fake-timers.ts';
import { poll } from '../../jest/poll.ts';
import { connectorSpec, failure, refusal, TestCatalog } from '../harness.ts';

let catalog: TestCatalog;
beforeAll(async () => {
  catalog = await TestCatalog.start();
});
afterAll(() => catalog[Symbol.asyncDispose]());
afterEach(() => void jest.useRealTimers());

const create = (fields: object = {}) =>
  catalog.clients.connectors.createConnector({ connector: connectorSpec(fields) });

const holderOf = async (connectorId: string) => {
  const by = { $case: 'connectorId', value: connectorId } as const;
  return (await catalog.clients.connectors.getConnector({ by })).runningJobId;
};

describe('jobs', () => {
  const progress = (fields: object = {}) => ({
    state: 'JS_RUNNING' as const,
    phase: 'ingesting',
    inFlight: ['fx.a'],
    ...fields,
    counters: {
      tablesScanned: 5,
      tablesChanged: 2,
      tablesUnchanged: 3,
      tablesFiltered: 0,
      tablesMissing: 0,
      errors: 0,
      snapshotsIngested: 7,
      filesIngested: 9,
      bytesRead: 11,
      upstreamRequests: 0,
    },
  });

  it('are started with the scope, under a readable id', async () => {
    const { connectors } = catalog.clients;
    const { connectorId, displayName } = await create({ displayName: 'Größe / 1' });
    const { jobId } = await connectors.triggerReconcile({
      connectorId,
      full: true,
      destinationNamespacePaths: ['a."b c"'],
      destinationTableName: 't',
      destinationColumns: ['x'],
    });
    expect(jobId).toMatch(/^reconcile-Gro-e-1-[0-9a-z]{22}$/);
    expect(catalog.jobs.started.at(-1)).toEqual({
      jobId,
      connector: { id: connectorId, name: displayName },
      request: {
        connector: connectorId,
        connectorName: displayName,
        trigger: 'manual',
        full: true,
        scope: { namespaces: ['a."b c"'], table: 't', columns: ['x'] },
      },
    });
    expect(await connectors.getReconcileJob({ jobId })).toMatchObject({
      connectorId,
      connectorName: displayName,
      state: JobState.JS_QUEUED,
      full: true,
      runId: `run-of-${jobId}`,
    });
    expect(
      await failure(connectors.triggerReconcile({ connectorId, destinationNamespacePaths: ['a..b'] })),
    ).toMatchObject(refusal('INVALID_ARGUMENT', 'destination_namespace_paths[0]'));
    expect(await failure(connectors.triggerReconcile({ connectorId, destinationColumns: [''] }))).toMatchObject({
      code: 'INVALID_ARGUMENT',
    });
    expect(await failure(connectors.triggerReconcile({ connectorId: 'con_no' }))).toMatchObject({ code: 'NOT_FOUND' });
  });

  it('are one per key, even if requested at the same time', async () => {
    const { connectors } = catalog.clients;
    const { connectorId } = await create();
    const before = catalog.jobs.started.length;
    const request = { connectorId, idempotencyKey: 'j1' };
    const ids = await Promise.all([1, 2, 3].map(() => connectors.triggerReconcile(request)));
    expect(new Set(ids.map(({ jobId }) => jobId)).size).toBe(1);
    expect(catalog.jobs.started.length).toBe(before + 1);
    expect(await failure(connectors.triggerReconcile({ ...request, full: true }))).toMatchObject({
      code: 'INVALID_ARGUMENT',
    });
  });

  it('leave no record if Temporal cannot be reached', async () => {
    const { connectors, jobs } = catalog.clients;
    const { connectorId } = await create();
    catalog.jobs.down = true;
    expect(await failure(connectors.triggerReconcile({ connectorId, idempotencyKey: 'j2' }))).toMatchObject(
      refusal('UNAVAILABLE', '7233'),
    );
    catalog.jobs.down = false;
    expect((await jobs.listReconcileJobs({ connectorId })).jobs).toEqual([]);
    await connectors.triggerReconcile({ connectorId, idempotencyKey: 'j2' });
    expect((await jobs.listReconcileJobs({ connectorId })).jobs).toHaveLength(1);
  });

  it('show live counters if there are any, otherwise the recorded ones', async () => {
    fakeOnly(['performance']);
    /** Answers of workflows are shared for three seconds. */
    const later = () => jest.advanceTimersByTime(3_000);
    const { connectors, reconciliation } = catalog.clients;
    const { connectorId } = await create();
    const { jobId } = await connectors.triggerReconcile({ connectorId });
    await reconciliation.recordJob({
      job: { jobId, connectorId, state: JobState.JS_RUNNING, phase: 'scanning', counters: { tablesScanned: 1n } },
    });
    expect(await connectors.getReconcileJob({ jobId })).toMatchObject({
      state: JobState.JS_RUNNING,
      phase: 'scanning',
      startedAt: expect.any(Date),
      counters: { tablesScanned: 1n },
    });
    catalog.jobs.progressOf.set(jobId, progress());
    later();
    expect(await connectors.getReconcileJob({ jobId })).toMatchObject({
      message: 'ingesting: fx.a',
      counters: { tablesScanned: 5n, bytesRead: 11n },
    });
    // The job has ended only when its record has.
    catalog.jobs.progressOf.set(jobId, progress({ state: 'JS_SUCCEEDED' }));
    later();
    expect((await connectors.getReconcileJob({ jobId })).state).toBe(JobState.JS_RUNNING);
    await reconciliation.recordJob({
      job: { jobId, connectorId, state: JobState.JS_SUCCEEDED, message: 'done', counters: { tablesScanned: 6n } },
    });
    expect(await connectors.getReconcileJob({ jobId })).toMatchObject({
      state: JobState.JS_SUCCEEDED,
      message: 'done',
      finishedAt: expect.any(Date),
      counters: { tablesScanned: 6n },
    });
    catalog.jobs.down = true;
    expect((await connectors.getReconcileJob({ jobId })).message).toBe('done');
    catalog.jobs.down = false;
  });

  it.each([
    ['TERMINATED', JobState.JS_FAILED, 'terminated', 1n],
    ['TIMED_OUT', JobState.JS_FAILED, 'timed out', 1n],
    ['FAILED', JobState.JS_FAILED, 'failed', 1n],
    ['CANCELED', JobState.JS_CANCELLED, 'cancelled', 0n],
    // The final record was lost, for example in a power failure or because an older database was restored.
    ['COMPLETED', JobState.JS_SUCCEEDED, 'record was lost', 0n],
  ] as const)('that are %s in Temporal are recorded as ended', async (status, state, message, errors) => {
    const { connectors } = catalog.clients;
    const { connectorId } = await create();
    const { jobId } = await connectors.triggerReconcile({ connectorId });
    await catalog.claim(connectorId, jobId);
    catalog.jobs.statuses.set(jobId, status);
    expect(await connectors.getReconcileJob({ jobId })).toMatchObject({
      state,
      message: expect.stringContaining(message),
      counters: { errors },
      finishedAt: expect.any(Date),
    });
    expect((await connectors.getConnector({ by: { $case: 'connectorId', value: connectorId } })).runningJobId).toBe('');
  });

  it('that ended without a record are recorded as ended even if no caller requests them', async () => {
    const { connectorId } = await create();
    const { jobId } = await catalog.clients.connectors.triggerReconcile({ connectorId });
    await catalog.claim(connectorId, jobId);
    const waiting = await catalog.clients.connectors.triggerReconcile({ connectorId });
    await catalog.claim(connectorId, waiting.jobId);
    catalog.jobs.statuses.set(jobId, 'TERMINATED');
    await catalog.restart();
    await poll(() => holderOf(connectorId), { timeout: 30_000 }).toBe('');
    await poll(() => catalog.jobs.woken).toContain(waiting.jobId);
    const { jobs } = await catalog.clients.jobs.listReconcileJobs({ connectorId });
    expect(jobs.map((job) => [job.jobId, job.state])).toEqual([
      [waiting.jobId, JobState.JS_QUEUED],
      [jobId, JobState.JS_FAILED],
    ]);
  });

  it('that closed after they recorded their end lose the connector, however many jobs wait for it', async () => {
    const { connectorId } = await create();
    const { jobId } = await catalog.clients.connectors.triggerReconcile({ connectorId });
    await catalog.claim(connectorId, jobId);
    const record = (id: string, state: JobState) =>
      catalog.clients.reconciliation.recordJob({ job: { jobId: id, connectorId, state } });
    await record(jobId, JobState.JS_SUCCEEDED);
    catalog.jobs.statuses.set(jobId, 'COMPLETED');
    for (let n = 0; n < 100; n++) {
      catalog.jobs.statuses.set(`${connectorId}-${n}`, 'RUNNING');
      await record(`${connectorId}-${n}`, JobState.JS_QUEUED);
    }
    expect(await holderOf(connectorId)).toBe(jobId);
    await catalog.restart();
    await poll(() => holderOf(connectorId), { timeout: 30_000 }).toBe('');
  });

  it('that Temporal does not know get time to start and then count as failed', async () => {
    const { connectors, reconciliation } = catalog.clients;
    const { connectorId } = await create();
    await reconciliation.recordJob({ job: { jobId: 'starts', connectorId, state: JobState.JS_QUEUED } });
    expect((await connectors.getReconcileJob({ jobId: 'starts' })).state).toBe(JobState.JS_QUEUED);
    // A job that was started does not get this time.
    const { jobId } = await connectors.triggerReconcile({ connectorId });
    catalog.jobs.statuses.delete(jobId);
    expect((await connectors.getReconcileJob({ jobId })).state).toBe(JobState.JS_FAILED);
    const old = { jobId: 'by-hand', connectorId, state: JobState.JS_RUNNING, createdAt: new Date(Date.now() - 60_000) };
    await reconciliation.recordJob({ job: old });
    expect(await connectors.getReconcileJob({ jobId: 'by-hand' })).toMatchObject({
      state: JobState.JS_FAILED,
      message: expect.stringContaining('does not exist in Temporal'),
      counters: { errors: 1n },
    });
  });

  it('are cancelled through Temporal, and ended ones stay as they are', async () => {
    const { connectors, jobs } = catalog.clients;
    const { connectorId } = await create();
    const { jobId } = await connectors.triggerReconcile({ connectorId });
    expect((await jobs.cancelReconcileJob({ jobId })).state).toBe(JobState.JS_CANCELLED);
    expect(catalog.jobs.cancelled).toEqual([jobId]);
    await jobs.cancelReconcileJob({ jobId });
    expect(catalog.jobs.cancelled).toEqual([jobId]);
    expect(await failure(jobs.cancelReconcileJob({ jobId: 'no' }))).toMatchObject(refusal('NOT_FOUND', 'job no'));
    expect(await failure(connectors.getReconcileJob({ jobId: '' }))).toMatchObject({ code: 'INVALID_ARGUMENT' });
  });

  it('list failures that the workflow has not recorded yet', async () => {
    const { connectors, jobs } = catalog.clients;
    const { jobId } = await connectors.triggerReconcile({ connectorId: (await create()).connectorId });
    expect((await jobs.listJobFailures({ jobId })).failures).toEqual([]);
    catalog.jobs.liveFailures = [
      { table: 'a."b c"', code: 'DATA_LOSS', message: 'broken', failedAtMs: 5 },
      { table: 'view a.v', code: 'NOT_FOUND', message: 'gone', failedAtMs: 6 },
    ];
    const { failures } = await jobs.listJobFailures({ jobId });
    catalog.jobs.liveFailures = [];
    expect(failures).toEqual([
      expect.objectContaining({ table: 'a."b c"', code: 'DATA_LOSS', kind: JobFailureKind.JOB_FAILURE_KIND_TABLE }),
      expect.objectContaining({ table: 'view a.v', kind: JobFailureKind.JOB_FAILURE_KIND_VIEW, failedAt: new Date(6) }),
    ]);
    expect((await jobs.listJobFailures({ jobId })).failures).toEqual(failures);
  });

  it('are listed newest first, and their failures by table', async () => {
    const { connectors, jobs, reconciliation } = catalog.clients;
    const { connectorId } = await create();
    for (const n of [1, 2, 3])
      await reconciliation.recordJob({
        job: {
          jobId: `${connectorId}-${n}`,
          connectorId,
          state: JobState.JS_RUNNING,
          createdAt: new Date(1_700_000_000_000 + (n === 3 ? 2 : n)),
        },
      });
    const list = async () => {
      const first = await jobs.listReconcileJobs({ connectorId, pageSize: 2 });
      const second = await jobs.listReconcileJobs({ connectorId, pageSize: 2, pageToken: first.nextPageToken });
      return [...first.jobs, ...second.jobs].map((job) => job.jobId.slice(-1));
    };
    expect(await list()).toEqual(['3', '2', '1']);
    const jobId = `${connectorId}-1`;
    const failures = ['fx.b', '', 'fx.a'].map((table) => ({
      table,
      code: 'DATA_LOSS',
      message: `m ${table}`,
      failedAt: new Date(5),
    }));
    await reconciliation.recordJob({
      job: { jobId, connectorId, state: JobState.JS_FAILED, message: 'Partial failure (2)' },
      failures,
    });
    await reconciliation.recordJob({
      job: { jobId, connectorId, state: JobState.JS_RUNNING, counters: { tablesScanned: 99n } },
      failures: [{ table: 'fx.a', code: 'NOT_FOUND', message: 'gone' }],
    });
    const job = await connectors.getReconcileJob({ jobId });
    expect(job).toMatchObject({
      state: JobState.JS_FAILED,
      message: 'Partial failure (2)',
      counters: { errors: 1n, tablesScanned: 0n },
    });
    const first = await jobs.listJobFailures({ jobId, pageSize: 2 });
    expect(first.failures).toMatchObject([{ table: '' }, { table: 'fx.a', code: 'NOT_FOUND', message: 'gone' }]);
    expect((await jobs.listJobFailures({ jobId, pageSize: 2, pageToken: first.nextPageToken })).failures).toMatchObject(
      [{ table: 'fx.b', failedAt: new Date(5) }],
    );
    expect(
      await failure(jobs.listJobFailures({ jobId: `${connectorId}-2`, pageToken: first.nextPageToken })),
    ).toMatchObject({ code: 'INVALID_ARGUMENT' });
  });
});
