import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { sameAsked } from '../../../src/catalog/jobs/job-request.ts';
import type { ReconcileRequest } from '../../../src/contract/job.ts';
import { SnapshotSelectionKind } from '../../../src/generated/reconciler/v1/capture.ts';
import { JobState } from '../../../src/generated/reconciler/v1/jobs.ts';
import { connectorSpec, failure, refusal, TestCatalog } from '../harness.ts';

let catalog: TestCatalog;
beforeAll(async () => {
  catalog = await TestCatalog.start();
});
afterAll(() => catalog[Symbol.asyncDispose]());

/** A connector that one job has, so that others wait. */
async function busy() {
  const { connectors, jobs, reconciliation } = catalog.clients;
  const { connectorId } = await connectors.createConnector({ connector: connectorSpec() });
  const { jobId } = await connectors.triggerReconcile({ connectorId });
  await reconciliation.claimConnector({ connectorId, jobId });
  const trigger = (request: object = {}) => connectors.triggerReconcile({ connectorId, ...request });
  const states = async () => {
    const listed = await jobs.listReconcileJobs({ connectorId });
    return Object.fromEntries(listed.jobs.map((job) => [job.jobId, job.state]));
  };
  return { connectorId, holder: jobId, trigger, states };
}

it('answers a trigger equal to one that waits with that one', async () => {
  const { holder, trigger, states } = await busy();
  const second = await trigger();
  expect(second).toMatchObject({ existing: false });
  expect(second.jobId).not.toBe(holder);
  expect(await trigger()).toEqual({ jobId: second.jobId, existing: true });
  expect(await Promise.all([trigger(), trigger()])).toEqual([
    { jobId: second.jobId, existing: true },
    { jobId: second.jobId, existing: true },
  ]);
  const full = await trigger({ fullRescan: true, destinationNamespacePaths: ['a', 'b'] });
  expect(full).toMatchObject({ existing: false });
  expect(await trigger({ fullRescan: true, destinationNamespacePaths: ['b', 'a'] })).toEqual({
    jobId: full.jobId,
    existing: true,
  });
  expect(Object.keys(await states())).toHaveLength(3);
});

it('makes one job of equal triggers that come at once', async () => {
  const { trigger, states } = await busy();
  const answers = await Promise.all([1, 2, 3, 4].map(() => trigger()));
  expect(new Set(answers.map(({ jobId }) => jobId)).size).toBe(1);
  expect(answers.filter(({ existing }) => existing)).toHaveLength(3);
  expect(Object.keys(await states())).toHaveLength(2);
});

it('does not answer with a job that has the connector: it may have looked already', async () => {
  const { connectorId, holder, trigger } = await busy();
  const waiting = await trigger();
  await catalog.clients.reconciliation.recordJob({
    job: { jobId: holder, connectorId, state: JobState.JS_SUCCEEDED },
  });
  await catalog.clients.reconciliation.releaseConnector({ connectorId, jobId: holder });
  await catalog.clients.reconciliation.claimConnector({ connectorId, jobId: waiting.jobId });
  // Its record still says that it waits.
  expect(await trigger()).toMatchObject({ existing: false });
});

it('answers with what was started by hand or by a schedule, as its worker recorded it', async () => {
  const { connectorId, trigger } = await busy();
  const requestJson = JSON.stringify({ trigger: 'schedule', full: false, connector: 'by its name' });
  const record = { jobId: `scheduled-${connectorId}`, runId: 'r', connectorId, state: JobState.JS_QUEUED };
  catalog.jobs.statuses.set(record.jobId, 'RUNNING');
  await catalog.clients.reconciliation.recordJob({ job: { ...record, requestJson, phase: 'waiting' } });
  expect(await trigger()).toEqual({ jobId: record.jobId, existing: true });
});

it.each(['TERMINATED', 'FAILED', undefined] as const)(
  'is not swallowed by a waiting job that is %s',
  async (standing) => {
    const { trigger, states } = await busy();
    const dead = await trigger();
    if (standing) catalog.jobs.statuses.set(dead.jobId, standing);
    else catalog.jobs.statuses.delete(dead.jobId);
    const next = await trigger({ idempotencyKey: `after ${dead.jobId}` });
    expect(next).toMatchObject({ existing: false });
    expect(await states()).toMatchObject({ [dead.jobId]: JobState.JS_FAILED, [next.jobId]: JobState.JS_QUEUED });
    expect(await trigger({ idempotencyKey: `after ${dead.jobId}` })).toEqual({ jobId: next.jobId, existing: true });
  },
);

it('is not swallowed by a waiting job that was asked to cancel', async () => {
  const { trigger } = await busy();
  const cancelled = await trigger();
  await catalog.clients.jobs.cancelReconcileJob({ jobId: cancelled.jobId });
  // A workflow takes a moment to end.
  catalog.jobs.statuses.set(cancelled.jobId, 'RUNNING');
  expect(await trigger()).toMatchObject({ existing: false });
});

it('gives the same job for the same key, also when it waits no more', async () => {
  const { connectorId, holder, trigger } = await busy();
  const waiting = await trigger();
  const joined = { jobId: waiting.jobId, existing: true };
  expect(await trigger({ idempotencyKey: `key ${connectorId}` })).toEqual(joined);
  await catalog.clients.reconciliation.releaseConnector({ connectorId, jobId: holder });
  await catalog.clients.reconciliation.claimConnector({ connectorId, jobId: waiting.jobId });
  expect(await trigger({ idempotencyKey: `key ${connectorId}` })).toEqual(joined);
});

it('says whom a job waits for', async () => {
  const { holder, trigger } = await busy();
  const { jobId } = await trigger();
  expect((await catalog.clients.connectors.getReconcileJob({ jobId })).message).toContain(`waits for job ${holder}`);
});

it('refuses what is too long to stand in the inputs of activities', async () => {
  const { trigger, states } = await busy();
  // Each by itself is allowed.
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
  'starts a job once where the answer to the start got lost, %s it was started',
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

it('keeps the record of a job that may run, though Temporal cannot be reached when it is asked for again', async () => {
  const { connectorId, trigger, states } = await busy();
  const asked = { idempotencyKey: `key ${connectorId}` };
  catalog.jobs.lost = 'after';
  expect(await failure(trigger(asked))).toMatchObject({ code: 'DEADLINE_EXCEEDED' });
  catalog.jobs.lost = 'nothing';
  const running = catalog.jobs.started.at(-1)?.jobId;
  catalog.jobs.down = true;
  expect(await failure(trigger(asked))).toMatchObject({ code: 'UNAVAILABLE' });
  expect(await failure(trigger())).toMatchObject({ code: 'UNAVAILABLE' });
  catalog.jobs.down = false;
  expect(await trigger(asked)).toEqual({ jobId: running, existing: true });
  expect(Object.keys(await states())).toHaveLength(2);
});

it('is not swallowed by a waiting job while that is being cancelled', async () => {
  const { trigger } = await busy();
  const cancelled = await trigger();
  const cancel = catalog.jobs.cancel.bind(catalog.jobs);
  const meanwhile: Awaited<ReturnType<typeof trigger>>[] = [];
  catalog.jobs.cancel = async () => void meanwhile.push(await trigger());
  await catalog.clients.jobs.cancelReconcileJob({ jobId: cancelled.jobId });
  catalog.jobs.cancel = cancel;
  expect(meanwhile).toMatchObject([{ existing: false }]);
});

it('refuses to ask for more than the inputs of activities can hold', async () => {
  const { trigger, states } = await busy();
  const destinationNamespacePaths = Array.from({ length: 700 }, (_, i) => `${i}`.padEnd(100, 'x'));
  expect(await failure(trigger({ destinationNamespacePaths }))).toMatchObject(refusal('INVALID_ARGUMENT', '65536'));
  expect(Object.keys(await states())).toHaveLength(1);
  await trigger({ destinationNamespacePaths: destinationNamespacePaths.slice(0, 600) });
});

it.each<[ReconcileRequest, ReconcileRequest, boolean]>([
  [{ connector: 'a' }, { connector: 'con_1', trigger: 'schedule', full: false, scope: undefined }, true],
  [
    { connector: 'a', scope: { namespaces: ['x', 'y'], table: 't' } },
    { connector: 'a', scope: { table: 't', namespaces: ['y', 'x'] } },
    true,
  ],
  [{ connector: 'a' }, { connector: 'a', full: true }, false],
  [{ connector: 'a' }, { connector: 'a', retryOf: 'j' }, false],
  [{ connector: 'a' }, { connector: 'a', dryRun: true }, false],
  [{ connector: 'a', mode: 'METADATA_ONLY' }, { connector: 'a', mode: 'CAPTURE_ONLY' }, false],
])('compares what is asked for: %j, %j: %s', (a, b, same) => expect(sameAsked(a, b)).toBe(same));
