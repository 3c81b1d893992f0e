import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import type { Progress } from '../../../src/contract/job.ts';
import { countersOf } from '../../../src/contract/progress-message.ts';
import { ObjectKind } from '../../../src/generated/reconciler/internal/v1/bindings.ts';
import { ConnectorState } from '../../../src/generated/reconciler/v1/connectors.ts';
import { JobState } from '../../../src/generated/reconciler/v1/jobs.ts';
import { SyntheticStack } from '../../synthetic/synthetic-stack.ts';

/** These tables fill several pages, and enough of them change that they are packed. */
const TABLES = 330;

let stack: SyntheticStack;
beforeAll(async () => {
  // Temporal suggests continue-as-new at 4,096 events by default; here it does so much earlier.
  stack = await SyntheticStack.start({ settings: ['limit.historyCount.suggestContinueAsNew=60'] });
}, 180_000);
afterAll(() => stack?.[Symbol.asyncDispose]());

let upstreams = 0;

/** Starts a job whose tables take `delayMs` each, and waits until it runs. */
async function startRunning(delayMs: number, tables = TABLES) {
  const name = `lake${++upstreams}`;
  const uri = stack.upstream(name, { tables, namespaces: 3, faults: [{ every: 1, delayMs }] });
  const connectorId = await stack.connect(name, uri, { policy: { maxParallel: 4 } });
  const { jobId } = await stack.catalog.connectors.triggerReconcile({ connectorId });
  await until(async () => (await stack.job(jobId)).state !== JobState.JS_QUEUED);
  return { connectorId, jobId, name, uri };
}

const setState = (connectorId: string, state: ConnectorState) =>
  stack.catalog.connectors.updateConnector({ connector: { connectorId, state }, updateMask: ['state'] });
const pause = (id: string) => setState(id, ConnectorState.CONNECTOR_STATE_PAUSED);
const resume = (id: string) => setState(id, ConnectorState.CONNECTOR_STATE_ACTIVE);

const progress = (jobId: string) => stack.temporal.workflow.getHandle(jobId).query<Progress>('progress');

/** Waits until the job is paused, no work is in flight, and the catalog shows that. */
async function untilPaused(jobId: string): Promise<void> {
  await until(async () => {
    const { paused, inFlight, state } = await progress(jobId);
    if (state !== 'JS_QUEUED' && state !== 'JS_RUNNING') throw new Error(`job ${jobId} is ${state} instead`);
    return paused === true && inFlight.length === 0 && (await stack.job(jobId)).paused;
  });
}

const tablesOf = async (connectorId: string) =>
  Number((await stack.catalog.bindings.countBindings({ connectorId, kind: ObjectKind.OBJECT_KIND_TABLE })).count);

/** How many activities and workflow tasks are pending, and the size of the history. */
async function waiting(jobId: string): Promise<{ pending: number; events: number }> {
  const { raw, historyLength } = await stack.temporal.workflow.getHandle(jobId).describe();
  const pending = (raw.pendingActivities?.length ?? 0) + (raw.pendingWorkflowTask ? 1 : 0);
  return { pending, events: historyLength };
}

it('a job pauses with its connector, and continues from the same point', async () => {
  const { connectorId, jobId, name } = await startRunning(100);
  for (const tables of [20, 120]) {
    await until(async () => (await tablesOf(connectorId)) > tables);
    await pause(connectorId);
    await untilPaused(jobId);
    // The catalog shares what a workflow reported for some seconds.
    await until(async () => (await stack.job(jobId)).paused);
    expect(await stack.job(jobId)).toMatchObject({
      state: JobState.JS_RUNNING,
      paused: true,
      phase: `paused: resume it with reconciler connector resume ${name}`,
    });
    await until(async () => (await waiting(jobId)).pending === 0);
    const before = { tables: await tablesOf(connectorId), ...(await waiting(jobId)) };
    expect(before.tables).toBeLessThan(TABLES);
    // It waits for a signal, which costs nothing.
    await sleep(3_000);
    expect(await waiting(jobId)).toEqual({ pending: 0, events: before.events });
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

it('jobs of other connectors run while a job is paused', async () => {
  const { connectorId, jobId } = await startRunning(100);
  await pause(connectorId);
  await untilPaused(jobId);
  const other = await startRunning(0, 60);
  expect(await stack.ended(other.jobId)).toMatchObject({
    state: JobState.JS_SUCCEEDED,
    counters: { tablesChanged: 60n },
  });
  await until(async () => (await stack.job(jobId)).paused);
  await resume(connectorId);
  expect(await stack.ended(jobId)).toMatchObject({
    state: JobState.JS_SUCCEEDED,
    counters: { tablesChanged: BigInt(TABLES) },
  });
}, 180_000);

it('a paused job and a job that waits for it can be cancelled', async () => {
  const { connectorId, jobId } = await startRunning(300);
  const next = await stack.catalog.connectors.triggerReconcile({ connectorId, full: true });
  const last = await stack.catalog.connectors.triggerReconcile({ connectorId, destinationTableName: 't000001' });
  await until(async () => (await tablesOf(connectorId)) > 20);
  await pause(connectorId);
  await untilPaused(jobId);
  const tablesChanged = BigInt((await progress(jobId)).counters.tablesChanged ?? 0);

  await until(async () => (await stack.job(next.jobId)).message.includes(`waiting for job ${jobId}`));
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
  // The next job claims the connector and pauses too.
  await until(async () => (await stack.job(last.jobId)).paused);
  await resume(connectorId);
  expect(await stack.ended(last.jobId)).toMatchObject({ state: JobState.JS_SUCCEEDED });
  await until(async () => (await runningJob(connectorId)) === '');
}, 180_000);

it('a job can be cancelled while its packs hang', async () => {
  const { connectorId, jobId, name } = await startRunning(100);
  await until(async () => (await tablesOf(connectorId)) > 20);
  // From now on, each table takes ten minutes.
  stack.upstream(name, { tables: TABLES, namespaces: 3, faults: [{ every: 1, delayMs: 600_000 }] });
  const counted = await untilStalled(jobId);
  await stack.catalog.jobs.cancelReconcileJob({ jobId });
  const job = await stack.ended(jobId);
  expect(job).toMatchObject({ state: JobState.JS_CANCELLED, counters: { errors: 0n } });
  // The counter includes tables of unfinished packs.
  expect(countersOf(job).tablesChanged).toBeGreaterThanOrEqual(counted);
  await until(async () => (await runningJob(connectorId)) === '');
}, 180_000);

it('neither a terminated running job nor a terminated waiting job blocks the connector', async () => {
  const { connectorId, jobId } = await startRunning(100);
  const { connectors } = stack.catalog;
  const terminated = await connectors.triggerReconcile({ connectorId });
  expect(terminated.existing).toBe(false);
  await until(async () => (await stack.job(terminated.jobId)).message.includes(`waiting for job ${jobId}`));
  await stack.temporal.workflow.getHandle(terminated.jobId).terminate();
  const next = await connectors.triggerReconcile({ connectorId });
  expect(next.existing).toBe(false);
  expect(await stack.job(terminated.jobId)).toMatchObject({ state: JobState.JS_FAILED });
  expect(await connectors.triggerReconcile({ connectorId })).toEqual({ jobId: next.jobId, existing: true });

  await stack.temporal.workflow.getHandle(jobId).terminate();
  expect(await stack.ended(next.jobId)).toMatchObject({ state: JobState.JS_SUCCEEDED, counters: { errors: 0n } });
  expect(await stack.job(jobId)).toMatchObject({ state: JobState.JS_FAILED });
  expect(await tablesOf(connectorId)).toBe(TABLES);
}, 180_000);

/** Returns the job that holds the connector. The connector is released after the job's end is recorded. */
const runningJob = async (connectorId: string) =>
  (await stack.catalog.connectors.getConnector({ by: { $case: 'connectorId', value: connectorId } })).runningJobId;

/** Waits until the counter of changed tables no longer changes, and returns it. */
async function untilStalled(jobId: string): Promise<bigint> {
  for (;;) {
    const tablesChanged = BigInt((await progress(jobId)).counters.tablesChanged ?? 0);
    await sleep(5_000);
    if (countersOf(await stack.job(jobId)).tablesChanged === tablesChanged) return tablesChanged;
  }
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await sleep(50);
}
