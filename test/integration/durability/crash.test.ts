import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { CONNECTOR_PAUSED } from '../../../src/contract/names.ts';
import { countersOf } from '../../../src/contract/progress-message.ts';
import { ConnectorState } from '../../../src/generated/reconciler/v1/connectors.ts';
import { JobState } from '../../../src/generated/reconciler/v1/jobs.ts';
import { dumpCatalog } from '../contents/dump.ts';
import type { RunningStack } from '../stack/running-stack.ts';
import { startUndisturbed, type Undisturbed } from '../stack/undisturbed.ts';

/** Number of copies of the fixture tables, chosen so that a run lasts several seconds and its tables are packed. */
const COPIES = 6;
/** Longer than the start-to-close timeout of the activity that waits for the connector. */
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
    await until(async () => {
      const job = await stack.catalog.connectors.getReconcileJob({ jobId });
      return countersOf(job).tablesChanged > 5n;
    });
    const { status } = await stack.temporal.workflow.getHandle(jobId).describe();
    expect(status.name).toBe('RUNNING');
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
  await until(async () => countersOf(await job()).tablesChanged > 5n);
  await setState(connectorId, ConnectorState.CONNECTOR_STATE_PAUSED);
  // The work in flight is lost.
  await killAndAwaitRestart('worker');
  await untilPaused(jobId);
  const { tablesChanged } = countersOf(await job());
  expect(tablesChanged).toBeLessThan(Object.keys(base.dump).length);

  for (const name of ['worker', 'catalog', 'temporal']) {
    await killAndAwaitRestart(name);
    await untilPaused(jobId);
  }
  const temporal = stack.pids().temporal!;
  process.kill(temporal, 'SIGSTOP');
  await sleep(FROZEN_MS);
  expect(await job()).toMatchObject({ state: JobState.JS_RUNNING, paused: true, counters: { tablesChanged } });
  process.kill(temporal, 'SIGCONT');
  await untilPaused(jobId);
  expect(await job()).toMatchObject({ paused: true, counters: { tablesChanged } });

  await setState(connectorId, ConnectorState.CONNECTOR_STATE_ACTIVE);
  expect(await stack.ended(jobId)).toMatchObject({
    ...{ state: JobState.JS_SUCCEEDED, paused: false, counters: { errors: 0n } },
    counters: { tablesScanned: BigInt(Object.keys(base.dump).length) },
  });
  expect(await dumpCatalog(stack.catalog, 'paused')).toEqual(base.dump);
}, 1_200_000);

const setState = (connectorId: string, state: ConnectorState) =>
  stack.catalog.connectors.updateConnector({ connector: { connectorId, state }, updateMask: ['state'] });

/** Kills a process and waits until its replacement runs. */
async function killAndAwaitRestart(name: string): Promise<void> {
  const pid = stack.pids()[name]!;
  process.kill(pid, 'SIGKILL');
  await until(async () => ![undefined, pid].includes(stack.pids()[name]));
}

/** Waits until the current worker has asked the current catalog several times whether the job may continue. */
async function untilPaused(jobId: string): Promise<void> {
  const attempts = new Set<number>();
  await until(async () => {
    const described = stack.temporal.workflow.getHandle(jobId).describe();
    const { raw, status } = await described.catch(() => ({ raw: undefined, status: undefined }));
    if (status && status.name !== 'RUNNING') throw new Error(`the job is ${status.name}: it should be paused`);
    const [waiting, ...others] = raw?.pendingActivities ?? [];
    const isCurrentWorker = waiting?.lastWorkerIdentity?.startsWith(`${stack.pids().worker}@`);
    const isPaused = waiting?.lastFailure?.applicationFailureInfo?.type === CONNECTOR_PAUSED;
    if (isCurrentWorker && isPaused && others.length === 0) attempts.add(waiting?.attempt ?? 0);
    return attempts.size > 2;
  });
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await sleep(20);
}
