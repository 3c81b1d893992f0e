import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { isSameWork } from '../../../src/catalog/jobs/job-request.ts';
import type { ReconcileRequest } from '../../../src/contract/job.ts';
import { SnapshotSelectionKind } from '../../../src/generated/reconciler/v1/capture.ts';
import { JobState } from '../../../src/generated/reconciler/v1/jobs.ts';
import { connectorSpec, failure, refusal, TestCatalog } from '../harness.ts';

let catalog: TestCatalog;
beforeAll(async () => {
  catalog = await TestCatalog.start();
});
afterAll(() => catalog[Symbol.asyncDispose]());

/** A connector that one job has claimed, so that other jobs wait. */
async function busy() {
  const { connectors, jobs } = catalog.clients;
  const { connectorId } = await connectors.createConnector({ connector: connectorSpec() });
  const { jobId } = await connectors.triggerReconcile({ connectorId });
  await catalog.claim(connectorId, jobId);
  const trigger = (request: object = {}) => connectors.triggerReconcile({ connectorId, ...request });
  const states = async () => {
    const listed = await jobs.listReconcileJobs({ connectorId });
    return Object.fromEntries(listed.jobs.map((job) => [job.jobId, job.state]));
  };
  return { connectorId, holder: jobId, trigger, states };
}

it('returns the waiting job for an equal trigger', async () => {
  const { holder, trigger, states } = await busy();
  const second = await trigger();
  expect(second).toMatchObject({ existing: false });
  expect(second.jobId).not.toBe(holder);
  expect(await trigger()).toEqual({ jobId: second.jobId, existing: true });
  expect(await Promise.all([trigger(), trigger()])).toEqual([
    { jobId: second.jobId, existing: true },
    { jobId: second.jobId, existing: true },
  ]);
  const full = await trigger({ full: true, destinationNamespacePaths: ['a', 'b'] });
  expect(full).toMatchObject({ existing: false });
  expect(await trigger({ full: true, destinationNamespacePaths: ['b', 'a'] })).toEqual({
    jobId: full.jobId,
    existing: true,
  });
  expect(Object.keys(await states())).toHaveLength(3);
});

it('accepts the display name of the connector, and means the id if both exist', async () => {
  const { connectors, jobs } = catalog.clients;
  const { connectorId, displayName } = await connectors.createConnector({ connector: connectorSpec() });
  const { jobId } = await connectors.triggerReconcile({ connectorId: displayName });
  expect((await jobs.listReconcileJobs({ connectorId })).jobs).toMatchObject([{ jobId, connectorId }]);
  const namesake = await connectors.createConnector({ connector: { ...connectorSpec(), displayName: connectorId } });
  const second = await connectors.triggerReconcile({ connectorId, full: true });
  expect(await connectors.getReconcileJob({ jobId: second.jobId })).toMatchObject({ connectorId });
  expect((await jobs.listReconcileJobs({ connectorId: namesake.connectorId })).jobs).toEqual([]);
  expect(await failure(connectors.triggerReconcile({ connectorId: 'nobody' }))).toMatchObject(
    refusal('NOT_FOUND', 'connector nobody does not exist'),
  );
});

it('creates one job for concurrent equal triggers', async () => {
  const { trigger, states } = await busy();
  const answers = await Promise.all([1, 2, 3, 4].map(() => trigger()));
  expect(new Set(answers.map(({ jobId }) => jobId)).size).toBe(1);
  expect(answers.filter(({ existing }) => existing)).toHaveLength(3);
  expect(Object.keys(await states())).toHaveLength(2);
});

it('does not return a job that has claimed the connector, since it may have read the upstream already', async () => {
  const { connectorId, holder, trigger } = await busy();
  const waiting = await trigger();
  await catalog.endJob(connectorId, holder);
  await catalog.claim(connectorId, waiting.jobId);
  expect(await trigger()).toMatchObject({ existing: false });
});

it('returns a waiting job that was started by hand or by a schedule, as its worker recorded it', async () => {
  const { connectorId, trigger } = await busy();
  const requestJson = JSON.stringify({ trigger: 'schedule', full: false, connector: 'by its name' });
  const record = { jobId: `scheduled-${connectorId}`, runId: 'r', connectorId, state: JobState.JS_QUEUED };
  catalog.jobs.statuses.set(record.jobId, 'RUNNING');
  await catalog.clients.reconciliation.recordJob({ job: { ...record, requestJson, phase: 'waiting' } });
  expect(await trigger()).toEqual({ jobId: record.jobId, existing: true });
});

it.each(['TERMINATED', 'FAILED', undefined] as const)(
  'does not return a waiting job whose workflow is %s',
  async (status) => {
    const { trigger, states } = await busy();
    const dead = await trigger();
    if (status) catalog.jobs.statuses.set(dead.jobId, status);
    else catalog.jobs.statuses.delete(dead.jobId);
    const next = await trigger({ idempotencyKey: `after ${dead.jobId}` });
    expect(next).toMatchObject({ existing: false });
    expect(await states()).toMatchObject({ [dead.jobId]: JobState.JS_FAILED, [next.jobId]: JobState.JS_QUEUED });
    expect(await trigger({ idempotencyKey: `after ${dead.jobId}` })).toEqual({ jobId: next.jobId, existing: true });
  },
);

it('does not return a waiting job whose cancellation was requested', async () => {
  const { trigger } = await busy();
  const cancelled = await trigger();
  await catalog.clients.jobs.cancelReconcileJob({ jobId: cancelled.jobId });
  // The workflow takes a moment to end.
  catalog.jobs.statuses.set(cancelled.jobId, 'RUNNING');
  expect(await trigger()).toMatchObject({ existing: false });
});

it('returns the same job for the same key, even if it no longer waits', async () => {
  const { connectorId, holder, trigger } = await busy();
  const waiting = await trigger();
  const joined = { jobId: waiting.jobId, existing: true };
  expect(await trigger({ idempotencyKey: `key ${connectorId}` })).toEqual(joined);
  await catalog.endJob(connectorId, holder);
  await catalog.claim(connectorId, waiting.jobId);
  expect(await trigger({ idempotencyKey: `key ${connectorId}` })).toEqual(joined);
});

it('reports for which job a job waits', async () => {
  const { holder, trigger } = await busy();
  const { jobId } = await trigger();
  expect((await catalog.clients.connectors.getReconcileJob({ jobId })).message).toContain(`waiting for job ${holder}`);
});

it('refuses a request that is too long for the inputs of activities', async () => {
  const { trigger, states } = await busy();
  // Each field is allowed by itself.
  const destinationColumns = Array.from({ length: 2_000 }, (_, i) => `column_${i}`);
  const snapshotIds = Array.from({ length: 1_000 }, (_, i) => 9_000_000_000_000_000_000n + BigInt(i));
  const snapshots = { kind: SnapshotSelectionKind.SNAPSHOT_SELECTION_KIND_EXPLICIT, snapshotIds };
  await trigger({ destinationColumns });
  await trigger({ snapshots });
  const branches = Array.from({ length: 300 }, (_, i) => `branch ${i}`.padEnd(200, '.'));
  const long = trigger({ snapshots: { ...snapshots, branches } });
  expect(await failure(long)).toMatchObject(refusal('INVALID_ARGUMENT', 'at most 65536 are allowed'));
  expect(Object.keys(await states())).toHaveLength(3);
});

it.each(['before', 'after'] as const)(
  'starts a job once if the response to the start got lost %s it was started',
  async (lost) => {
    const { trigger, states } = await busy();
    const started = () => catalog.jobs.started.length;
    const before = started();
    catalog.jobs.lost = lost;
    expect(await failure(trigger())).toMatchObject(refusal('DEADLINE_EXCEEDED', 'did not answer'));
    catalog.jobs.lost = 'nothing';
    const again = await trigger();
    expect(again).toMatchObject({ existing: true });
    expect(started()).toBe(before + 1);
    expect(catalog.jobs.started.at(-1)?.jobId).toBe(again.jobId);
    expect(Object.keys(await states())).toHaveLength(2);
  },
);

it('keeps the record of a job that may be running even if Temporal cannot be reached at the next trigger', async () => {
  const { connectorId, trigger, states } = await busy();
  const request = { idempotencyKey: `key ${connectorId}` };
  catalog.jobs.lost = 'after';
  expect(await failure(trigger(request))).toMatchObject({ code: 'DEADLINE_EXCEEDED' });
  catalog.jobs.lost = 'nothing';
  const running = catalog.jobs.started.at(-1)?.jobId;
  catalog.jobs.down = true;
  expect(await failure(trigger(request))).toMatchObject({ code: 'UNAVAILABLE' });
  expect(await failure(trigger())).toMatchObject({ code: 'UNAVAILABLE' });
  catalog.jobs.down = false;
  expect(await trigger(request)).toEqual({ jobId: running, existing: true });
  expect(Object.keys(await states())).toHaveLength(2);
});

it('does not return a waiting job while it is being cancelled', async () => {
  const { trigger } = await busy();
  const cancelled = await trigger();
  const cancel = catalog.jobs.cancel.bind(catalog.jobs);
  const meanwhile: Awaited<ReturnType<typeof trigger>>[] = [];
  catalog.jobs.cancel = async () => void meanwhile.push(await trigger());
  await catalog.clients.jobs.cancelReconcileJob({ jobId: cancelled.jobId });
  catalog.jobs.cancel = cancel;
  expect(meanwhile).toMatchObject([{ existing: false }]);
});

it('refuses more namespaces than the inputs of activities can hold', async () => {
  const { trigger, states } = await busy();
  const destinationNamespacePaths = Array.from({ length: 700 }, (_, i) => `${i}`.padEnd(100, 'x'));
  expect(await failure(trigger({ destinationNamespacePaths }))).toMatchObject(refusal('INVALID_ARGUMENT', '65536'));
  expect(Object.keys(await states())).toHaveLength(1);
  await trigger({ destinationNamespacePaths: destinationNamespacePaths.slice(0, 600) });
});

it.each<[ReconcileRequest, ReconcileRequest, boolean]>([
  [
    { connector: 'a' },
    { connector: 'con_1', connectorName: 'a', trigger: 'schedule', full: false, scope: undefined },
    true,
  ],
  [
    { connector: 'a', scope: { namespaces: ['x', 'y'], table: 't' } },
    { connector: 'a', scope: { table: 't', namespaces: ['y', 'x'] } },
    true,
  ],
  [{ connector: 'a' }, { connector: 'a', full: true }, false],
  [{ connector: 'a' }, { connector: 'a', retryOf: 'j' }, false],
  [{ connector: 'a' }, { connector: 'a', dryRun: true }, false],
  [{ connector: 'a', mode: 'METADATA_ONLY' }, { connector: 'a', mode: 'CAPTURE_ONLY' }, false],
])('compares what is asked for: %j, %j: %s', (a, b, same) => expect(isSameWork(a, b)).toBe(same));
