import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import type { Progress } from '../../../src/contract/job.ts';
import { countersOf } from '../../../src/contract/progress-message.ts';
import { ObjectKind } from '../../../src/generated/reconciler/internal/v1/bindings.ts';
import { ConnectorState } from '../../../src/generated/reconciler/v1/connectors.ts';
import { JobState } from '../../../src/generated/reconciler/v1/jobs.ts';
import { dumpCatalog } from '../contents/dump.ts';
import type { RunningStack } from '../stack/running-stack.ts';
import { startUndisturbed, type Undisturbed } from '../stack/undisturbed.ts';

/** Number of copies of the fixture tables, chosen so that a run lasts several seconds and its tables are packed. */
const COPIES = 6;
/** Longer than the time limits of a query and of a workflow task. */
const FROZEN_MS = 40_000;

let base: Undisturbed;
let stack: RunningStack;
beforeAll(async () => {
  base = await startUndisturbed(COPIES);
  stack = base.stack;
}, 300_000);
afterAll(async () => base?.[Symbol.asyncDispose]());

it.each(['worker', 'catalog', 'temporal'])(
  'a job continues on its own after kill -9 of the %s in the middle of the ingest',
  async (name) => {
    const connectorId = await stack.connect(`without-${name}`, base.folder);
    const { jobId } = await stack.catalog.connectors.triggerReconcile({ connectorId });
    await until(async () => (await tablesOf(connectorId)) > 5);
    const { status } = await stack.temporal.workflow.getHandle(jobId).describe();
    expect(status.name).toBe('RUNNING');
    expect(await tablesOf(connectorId)).toBeLessThan(Object.keys(base.dump).length);
    const pid = stack.pids()[name]!;
    process.kill(pid, 'SIGKILL');

    const job = await stack.ended(jobId);
    expect(job).toMatchObject({ state: JobState.JS_SUCCEEDED, counters: { errors: 0n } });
    expect(countersOf(job).tablesScanned).toBe(BigInt(Object.keys(base.dump).length));
    expect(stack.pids()[name]).not.toBe(pid);
    expect(await dumpCatalog(stack.catalog, `without-${name}`)).toEqual(base.dump);
  },
  300_000,
);

it('a paused job keeps its progress when each process is killed and Temporal freezes', async () => {
  const connectorId = await stack.connect('paused', base.folder, { policy: { maxParallel: 1 } });
  const { jobId } = await stack.catalog.connectors.triggerReconcile({ connectorId });
  const job = () => stack.catalog.connectors.getReconcileJob({ jobId });
  await until(async () => (await tablesOf(connectorId)) > 5);
  await setState(connectorId, ConnectorState.CONNECTOR_STATE_PAUSED);
  // The work in flight is lost.
  await killAndAwaitRestart('worker');
  const tablesChanged = await untilPaused(jobId);
  const tables = await tablesOf(connectorId);
  expect(tables).toBeLessThan(Object.keys(base.dump).length);

  for (const name of ['worker', 'catalog', 'temporal']) {
    await killAndAwaitRestart(name);
    expect(await untilPaused(jobId)).toBe(tablesChanged);
  }
  const temporal = stack.pids().temporal!;
  process.kill(temporal, 'SIGSTOP');
  await sleep(FROZEN_MS);
  expect(await job()).toMatchObject({ state: JobState.JS_RUNNING, paused: true, counters: { tablesChanged } });
  process.kill(temporal, 'SIGCONT');
  expect(await untilPaused(jobId)).toBe(tablesChanged);
  expect(await job()).toMatchObject({ paused: true, counters: { tablesChanged } });
  expect(await tablesOf(connectorId)).toBe(tables);

  await setState(connectorId, ConnectorState.CONNECTOR_STATE_ACTIVE);
  const ended = await stack.ended(jobId);
  expect(ended).toMatchObject({ state: JobState.JS_SUCCEEDED, paused: false, counters: { errors: 0n } });
  expect(countersOf(ended).tablesScanned).toBe(BigInt(Object.keys(base.dump).length));
  expect(await dumpCatalog(stack.catalog, 'paused')).toEqual(base.dump);
}, 1_200_000);

/** The number of tables that the connector has brought into the catalog. */
const tablesOf = async (connectorId: string) =>
  Number((await stack.catalog.bindings.countBindings({ connectorId, kind: ObjectKind.OBJECT_KIND_TABLE })).count);

const setState = (connectorId: string, state: ConnectorState) =>
  stack.catalog.connectors.updateConnector({ connector: { connectorId, state }, updateMask: ['state'] });

/** Kills a process and waits until its replacement runs. */
async function killAndAwaitRestart(name: string): Promise<void> {
  const pid = stack.pids()[name]!;
  process.kill(pid, 'SIGKILL');
  await until(async () => ![undefined, pid].includes(stack.pids()[name]));
}

/**
 * Waits until the job is paused with nothing in flight, as the current worker, catalog and Temporal show it.
 *
 * @returns its counter of changed tables
 */
async function untilPaused(jobId: string): Promise<bigint> {
  const handle = stack.temporal.workflow.getHandle(jobId);
  for (;;) {
    const described = await handle.describe().catch(() => undefined);
    if (described && described.status.name !== 'RUNNING')
      throw new Error(`the job is ${described.status.name}: it should be paused`);
    // A worker answers the query, after it has replayed the job.
    const progress = await handle.query<Progress>('progress').catch(() => undefined);
    const job = await stack.catalog.connectors.getReconcileJob({ jobId }).catch(() => undefined);
    const tablesChanged = BigInt(progress?.counters.tablesChanged ?? 0);
    const isAtRest = described?.raw.pendingActivities?.length === 0 && progress?.inFlight.length === 0;
    // The catalog shares what a workflow reported for some seconds.
    if (isAtRest && progress.paused && job?.paused && countersOf(job).tablesChanged === tablesChanged)
      return tablesChanged;
    await sleep(20);
  }
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await sleep(20);
}
