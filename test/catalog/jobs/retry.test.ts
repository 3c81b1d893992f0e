import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { JobFailureKind, JobState, JobTrigger } from '../../../src/generated/reconciler/v1/jobs.ts';
import { connectorSpec, failure, refusal, TestCatalog } from '../harness.ts';

let catalog: TestCatalog;
beforeAll(async () => {
  catalog = await TestCatalog.start();
});
afterAll(() => catalog[Symbol.asyncDispose]());

const { JOB_FAILURE_KIND_TABLE: TABLE, JOB_FAILURE_KIND_VIEW: VIEW } = JobFailureKind;
const { JOB_FAILURE_KIND_NAMESPACE: NAMESPACE, JOB_FAILURE_KIND_JOB: JOB } = JobFailureKind;

/** A job that ended in this state, with failures of these kinds. */
async function ended(state: JobState, kinds: JobFailureKind[]) {
  const { connectors, jobs, reconciliation } = catalog.clients;
  const { connectorId, displayName } = await connectors.createConnector({ connector: connectorSpec() });
  const { jobId } = await connectors.triggerReconcile({ connectorId, full: true, destinationColumns: ['a'] });
  const failures = kinds.map((kind, i) => ({ table: `n.t${i}`, code: 'DATA_LOSS', message: 'no', kind }));
  await reconciliation.recordJob({ job: { jobId, connectorId, state, full: true }, failures });
  return {
    connectorId,
    displayName,
    jobId,
    retry: (idempotencyKey = '') => jobs.retryReconcileJob({ jobId, idempotencyKey }),
  };
}

it('repeats only what failed, with the options of the job', async () => {
  const { connectorId, jobId, retry } = await ended(JobState.JS_FAILED, [TABLE, TABLE, VIEW]);
  const first = await retry('k');
  expect(first.existing).toBe(false);
  expect(catalog.jobs.started.at(-1)).toMatchObject({
    jobId: first.jobId,
    request: { connector: connectorId, full: true, scope: { columns: ['a'] }, trigger: 'retry', retryOf: jobId },
  });
  expect(await catalog.clients.connectors.getReconcileJob({ jobId: first.jobId })).toMatchObject({
    retryOfJobId: jobId,
    trigger: JobTrigger.JOB_TRIGGER_RETRY,
    full: true,
  });
  expect(await retry('k')).toEqual({ jobId: first.jobId, existing: true });
  // Another retry joins the waiting one; a trigger does not.
  expect(await retry()).toEqual({ jobId: first.jobId, existing: true });
  expect(await catalog.clients.connectors.triggerReconcile({ connectorId })).toMatchObject({ existing: false });
});

it.each([
  ['a namespace', [TABLE, NAMESPACE]],
  ['the job', [JOB]],
  ['what an older version recorded', [JobFailureKind.JOB_FAILURE_KIND_UNSPECIFIED]],
])('repeats the whole job if more than tables failed: %s', async (_, kinds) => {
  const { connectorId, displayName, jobId, retry } = await ended(JobState.JS_FAILED, kinds);
  await retry();
  expect(catalog.jobs.started.at(-1)?.retryOf).toBe(jobId);
  expect(catalog.jobs.started.at(-1)?.request).toEqual({
    connector: connectorId,
    connectorName: displayName,
    full: true,
    scope: { columns: ['a'] },
    trigger: 'retry',
  });
});

it('repeats the whole job if it was terminated, whatever had failed by then', async () => {
  const { jobId, retry } = await ended(JobState.JS_RUNNING, [TABLE]);
  expect(await failure(retry())).toMatchObject(refusal('FAILED_PRECONDITION', 'has not ended'));
  catalog.jobs.statuses.set(jobId, 'TERMINATED');
  await retry();
  expect(catalog.jobs.started.at(-1)?.request).not.toHaveProperty('retryOf');
  const { failures } = await catalog.clients.jobs.listJobFailures({ jobId });
  expect(failures).toMatchObject([{ table: '', code: 'ABORTED' }, { table: 'n.t0' }]);
});

it.each([
  [JobState.JS_SUCCEEDED, 'succeeded'],
  [JobState.JS_CANCELLED, 'was cancelled'],
])('is refused if nothing failed: %s', async (state, how) => {
  const { retry } = await ended(state, []);
  expect(await failure(retry())).toMatchObject(refusal('FAILED_PRECONDITION', how));
});

it('is refused for a job or a connector that does not exist', async () => {
  const { connectors, jobs } = catalog.clients;
  expect(await failure(jobs.retryReconcileJob({ jobId: 'no' }))).toMatchObject(refusal('NOT_FOUND', 'job no'));
  const { connectorId, retry } = await ended(JobState.JS_FAILED, [TABLE]);
  await connectors.deleteConnector({ connectorId });
  expect(await failure(retry())).toMatchObject(refusal('FAILED_PRECONDITION', 'was deleted'));
});
