import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import type { Progress } from '../../../src/contract/job.ts';
import { countersOf } from '../../../src/contract/progress-message.ts';
import { ObjectKind } from '../../../src/generated/reconciler/internal/v1/bindings.ts';
import { ConnectorState } from '../../../src/generated/reconciler/v1/connectors.ts';
import { JobState } from '../../../src/generated/reconciler/v1/jobs.ts';
import { SyntheticStack } from '../../synthetic/synthetic-stack.ts';

/** Some pages; and changed ones enough that they are packed. */
const TABLES = 330;

let stack: SyntheticStack;
beforeAll(async () => {
  // Temporal suggests to continue as new at 4,096 events; here far earlier.
  stack = await SyntheticStack.start({ settings: ['limit.historyCount.suggestContinueAsNew=60'] });
}, 180_000);
afterAll(() => stack?.[Symbol.asyncDispose]());

let upstreams = 0;

/** A job that runs, of tables that take so long each. */
async function running(delayMs: number, tables = TABLES) {
  const name = `lake${++upstreams}`;
  const uri = stack.upstream(name, { tables, namespaces: 3, faults: [{ every: 1, delayMs }] });
  const connectorId = await stack.connect(name, uri, { policy: { maxParallel: 4 } });
  const { jobId } = await stack.catalog.connectors.triggerReconcile({ connectorId });
  await until(async () => (await stack.job(jobId)).state === JobState.JS_RUNNING);
  return { connectorId, jobId, name, uri };
}

const setState = (connectorId: string, state: ConnectorState) =>
  stack.catalog.connectors.updateConnector({ connector: { connectorId, state }, updateMask: ['state'] });
const pause = (id: string) => setState(id, ConnectorState.CONNECTOR_STATE_PAUSED);
const resume = (id: string) => setState(id, ConnectorState.CONNECTOR_STATE_ACTIVE);

const progress = (jobId: string) => stack.temporal.workflow.getHandle(jobId).query<Progress>('progress');

/** Waits until nothing is in flight any more. */
async function rests(jobId: string): Promise<void> {
  await until(async () => {
    const { paused, inFlight, state } = await progress(jobId);
    if (state === 'JS_FAILED') throw new Error(`job ${jobId} failed instead`);
    return paused === true && inFlight.length === 0;
  });
}

const tablesOf = async (connectorId: string) =>
  Number((await stack.catalog.bindings.countBindings({ connectorId, kind: ObjectKind.OBJECT_KIND_TABLE })).count);

/** Of the attempts at waiting for the connector. */
async function waiting(jobId: string): Promise<{ attempt: number; events: number }> {
  const { raw, historyLength } = await stack.temporal.workflow.getHandle(jobId).describe();
  const activity = raw.pendingActivities?.find(({ activityType }) => activityType?.name === 'awaitActive');
  return { attempt: activity?.attempt ?? 0, events: historyLength };
}

it('rests when its connector is paused, and goes on where it was', async () => {
  const { connectorId, jobId, name } = await running(40);
  for (const enough of [20, 120]) {
    await until(async () => countersOf(await stack.job(jobId)).tablesChanged > BigInt(enough));
    await pause(connectorId);
    await rests(jobId);
    expect(await stack.job(jobId)).toMatchObject({
      state: JobState.JS_RUNNING,
      paused: true,
      phase: `paused: resume it with reconciler connector resume ${name}`,
    });
    const before = { tables: await tablesOf(connectorId), ...(await waiting(jobId)) };
    expect(before.tables).toBeLessThan(TABLES);
    // It asks again and again, which costs no history.
    await until(async () => (await waiting(jobId)).attempt > before.attempt + 1);
    expect((await waiting(jobId)).events).toBe(before.events);
    expect(await tablesOf(connectorId)).toBe(before.tables);
    await expect(stack.catalog.connectors.triggerReconcile({ connectorId })).rejects.toThrow(
      `resume it with reconciler connector resume ${name}`,
    );
    await resume(connectorId);
    await until(async () => (await stack.job(jobId)).paused === false);
  }
  expect(await stack.ended(jobId)).toMatchObject({
    state: JobState.JS_SUCCEEDED,
    paused: false,
    counters: {
      errors: 0n,
      tablesScanned: BigInt(TABLES),
      tablesChanged: BigInt(TABLES),
      snapshotsIngested: BigInt(TABLES),
      filesIngested: BigInt(TABLES),
    },
  });
  expect(await tablesOf(connectorId)).toBe(TABLES);
}, 300_000);

it('others run meanwhile', async () => {
  const { connectorId, jobId } = await running(40, 60);
  await pause(connectorId);
  await rests(jobId);
  const other = await running(0, 60);
  expect(await stack.ended(other.jobId)).toMatchObject({
    state: JobState.JS_SUCCEEDED,
    counters: { tablesChanged: 60n },
  });
  expect((await stack.job(jobId)).paused).toBe(true);
  await resume(connectorId);
  expect(await stack.ended(jobId)).toMatchObject({ state: JobState.JS_SUCCEEDED, counters: { tablesChanged: 60n } });
}, 180_000);

it('is cancelled while it rests, and so is one that waits for it', async () => {
  const { connectorId, jobId } = await running(40);
  const next = await stack.catalog.connectors.triggerReconcile({ connectorId, fullRescan: true });
  const last = await stack.catalog.connectors.triggerReconcile({ connectorId, destinationTableName: 't000001' });
  await until(async () => countersOf(await stack.job(jobId)).tablesChanged > 20n);
  await pause(connectorId);
  await rests(jobId);
  const { tablesChanged } = countersOf(await stack.job(jobId));

  await until(async () => (await stack.job(next.jobId)).message.includes(`waits for job ${jobId}`));
  await stack.catalog.jobs.cancelReconcileJob({ jobId: next.jobId });
  expect(await stack.ended(next.jobId)).toMatchObject({
    state: JobState.JS_CANCELLED,
    counters: { tablesScanned: 0n },
  });
  await stack.catalog.jobs.cancelReconcileJob({ jobId });
  expect(await stack.ended(jobId)).toMatchObject({
    state: JobState.JS_CANCELLED,
    paused: false,
    counters: { tablesChanged },
  });
  // The one behind it takes the connector, and rests in turn.
  await until(async () => (await stack.job(last.jobId)).paused);
  await resume(connectorId);
  expect(await stack.ended(last.jobId)).toMatchObject({ state: JobState.JS_SUCCEEDED });
  await until(async () => (await runningJob(connectorId)) === '');
}, 180_000);

it('is cancelled in the middle of packs that hang', async () => {
  const { connectorId, jobId, name } = await running(10);
  await until(async () => countersOf(await stack.job(jobId)).tablesChanged > 60n);
  // From now on each table takes ten minutes.
  stack.upstream(name, { tables: TABLES, namespaces: 3, faults: [{ every: 1, delayMs: 600_000 }] });
  const counted = await standsStill(jobId);
  await stack.catalog.jobs.cancelReconcileJob({ jobId });
  const job = await stack.ended(jobId);
  expect(job).toMatchObject({ state: JobState.JS_CANCELLED, counters: { errors: 0n } });
  // Also of packs that were not through.
  expect(countersOf(job).tablesChanged).toBeGreaterThanOrEqual(counted);
  await until(async () => (await runningJob(connectorId)) === '');
}, 180_000);

it('a terminated holder does not block the connector, nor does a terminated job that waits', async () => {
  const { connectorId, jobId } = await running(20);
  const { connectors } = stack.catalog;
  const dead = await connectors.triggerReconcile({ connectorId });
  expect(dead.existing).toBe(false);
  await until(async () => (await stack.job(dead.jobId)).message.includes(`waits for job ${jobId}`));
  await stack.temporal.workflow.getHandle(dead.jobId).terminate();
  const next = await connectors.triggerReconcile({ connectorId });
  expect(next.existing).toBe(false);
  expect(await stack.job(dead.jobId)).toMatchObject({ state: JobState.JS_FAILED });
  expect(await connectors.triggerReconcile({ connectorId })).toEqual({ jobId: next.jobId, existing: true });

  await stack.temporal.workflow.getHandle(jobId).terminate();
  expect(await stack.ended(next.jobId)).toMatchObject({ state: JobState.JS_SUCCEEDED, counters: { errors: 0n } });
  expect(await stack.job(jobId)).toMatchObject({ state: JobState.JS_FAILED });
  expect(await tablesOf(connectorId)).toBe(TABLES);
}, 180_000);

/** It is given back after the job's end is recorded. */
const runningJob = async (connectorId: string) =>
  (await stack.catalog.connectors.getConnector({ by: { $case: 'connectorId', value: connectorId } })).runningJobId;

/** Waits until the counter of changed tables moves no more. */
async function standsStill(jobId: string): Promise<bigint> {
  for (;;) {
    const { tablesChanged } = countersOf(await stack.job(jobId));
    await sleep(5_000);
    if (countersOf(await stack.job(jobId)).tablesChanged === tablesChanged) return tablesChanged;
  }
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await sleep(50);
}
