import { afterAll, beforeAll, expect, it } from '@jest/globals';
import type { WorkflowHandle } from '@temporalio/client';
import type { BegunJob } from '../../../src/contract/activities.ts';
import type { Progress, TableFailure } from '../../../src/contract/job.ts';
import { jobRuns } from '../../synthetic/job-runs.ts';
import { returns } from '../../workflows/reconcile/behaviours.ts';
import { flat, OWN_QUEUE, type ReconcileEnvironment } from '../../workflows/reconcile/reconcile-environment.ts';
import { StubUpstream } from '../../workflows/reconcile/stub-upstream.ts';
import { HOUR_MS, MINUTE_MS, passUnserved, startTimeSkipping } from './time-skipping.ts';

let environment: ReconcileEnvironment;
beforeAll(async () => {
  environment = await startTimeSkipping();
});
afterAll(() => environment?.[Symbol.asyncDispose]());

const now = () => environment.temporal.currentTimeMs();
const progressOf = (handle: WorkflowHandle) => handle.query<Progress>('progress');
/** As texts show it, perhaps with the date. */
const sinceText = ({ sinceMs }: NonNullable<Progress['unserved']>) => {
  const [day, time] = new Date(sinceMs).toISOString().split('T');
  return `since (${day} )?${time?.slice(0, 5)} UTC`;
};

/** Whether this time has passed since the call. */
const after = (ms: number) => {
  const start = now();
  return async () => (await now()) >= (await start) + ms;
};
const never = () => false;

it('a job whose queue no worker polls says so, looks for another queue every five minutes, and goes on there', async () => {
  const upstream = new StubUpstream({ a: 'changed' }).withConnector({ taskQueue: 'far' });
  const moved: BegunJob = { connector: { ...upstream.connector, taskQueue: OWN_QUEUE }, epoch: 4 };
  upstream.on('beginJob', returns(undefined), returns(undefined), returns(undefined), returns(moved));
  const start = await now();
  const handle = await environment.begin(upstream);
  await passUnserved(environment, handle, 'scanTables', () => upstream.steps.length === 3);
  const { phase, unserved, state, paused } = await progressOf(handle);
  expect({ state, paused }).toEqual({ state: 'JS_RUNNING', paused: undefined });
  expect(phase).toMatch(
    new RegExp(`^waiting ${sinceText(unserved!)} \\(10 min\\): no worker has taken a step of the job`),
  );
  expect(phase).toMatch(/none polls task queue 'far-scan'\. Start one with `reconciler worker --task-queue far`$/);
  expect(unserved).toEqual({ queue: 'far-scan', sinceMs: expect.any(Number) });
  expect(unserved!.sinceMs - start).toBeLessThan(MINUTE_MS);
  const recorded = upstream.inputsOf('beginJob').map(({ record }) => record.progress.phase);
  expect(recorded).toEqual(['resolving the connector', phase.replace('10 min', '5 min'), phase]);
  // The attempt after the fourth look has a worker: no time may pass for it.
  await passUnserved(environment, handle, 'scanTables', () => upstream.steps.length >= 4);
  const progress: Progress = await handle.result();
  expect(flat(progress)).toMatchObject({ state: 'JS_SUCCEEDED', tablesChanged: 1, errors: 0 });
  expect(progress).not.toHaveProperty('unserved');
  expect(upstream.steps).toEqual([
    ...['beginJob', 'beginJob', 'beginJob', 'beginJob', 'scanTables', 'ingestTable a', 'reconcileMissing tables'],
    'endJob JS_SUCCEEDED',
  ]);
});

it('goes on when a worker comes, and then waits anew', async () => {
  const upstream = new StubUpstream({ a: 'changed' }).withConnector({ taskQueue: 'slow' });
  const handle = await environment.begin(upstream);
  await passUnserved(environment, handle, 'scanTables', after(HOUR_MS));
  expect((await progressOf(handle)).unserved?.queue).toBe('slow-scan');
  await environment.serve('slow-scan');
  await passUnserved(environment, handle, 'ingestTable', after(HOUR_MS / 2));
  const { unserved } = await progressOf(handle);
  expect(unserved?.queue).toBe('slow');
  expect((await now()) - unserved!.sinceMs).toBeLessThan(40 * MINUTE_MS);
  await environment.serve('slow');
  const progress: Progress = await handle.result();
  expect(flat(progress)).toMatchObject({ tablesScanned: 1, tablesChanged: 1, errors: 0 });
  expect(upstream.work).toEqual(['scanTables', 'ingestTable a', 'reconcileMissing tables']);
});

it('gives up after a day, over several runs, and names the queue', async () => {
  const upstream = new StubUpstream({ a: 'changed' }).withConnector({ taskQueue: 'nowhere' });
  const handle = await environment.begin(upstream);
  await passUnserved(environment, handle, 'scanTables', after(12 * HOUR_MS));
  const since = new RegExp(`${sinceText((await progressOf(handle)).unserved!)} \\(24 h\\)`);
  await passUnserved(environment, handle, 'scanTables', after(12 * HOUR_MS - 10 * MINUTE_MS));
  expect(await progressOf(handle)).toMatchObject({ state: 'JS_RUNNING' });
  await passUnserved(environment, handle, 'scanTables', never);
  const failure = await handle.result().catch((error) => error.cause);
  const message: string = failure.message;
  expect(message).toMatch(since);
  expect(message.replace(since, 'since …')).toBe(
    "Failed: no worker has taken a step of the job from task queue 'nowhere-scan' since …. Start one with `reconciler worker --task-queue nowhere`, and trigger again",
  );
  expect(upstream.steps.at(-1)).toBe('endJob JS_FAILED');
  expect(flat(await progressOf(handle))).toMatchObject({ state: 'JS_FAILED', errors: 1 });
  expect(await handle.query<TableFailure[]>('failures')).toMatchObject([{ table: '', code: 'UNAVAILABLE' }]);
  const runs = [];
  for await (const { events } of jobRuns(environment.temporal.client, handle.workflowId)) runs.push(events.length);
  expect(runs.length).toBeGreaterThan(1);
  expect(Math.max(...runs)).toBeLessThan(4_096);
});

it('does not give up while its connector is paused', async () => {
  const upstream = new StubUpstream({ a: 'changed', b: 'changed' })
    .withConnector({ taskQueue: 'later' })
    .on('isPaused', returns(true), returns(true));
  await environment.serve('later-scan');
  const handle = await environment.begin(upstream);
  await passUnserved(environment, handle, 'ingestTable', () => upstream.steps.includes('isPaused'));
  await environment.serve('later');
  const progress: Progress = await handle.result();
  expect(flat(progress)).toMatchObject({ state: 'JS_SUCCEEDED', tablesChanged: 2, errors: 0 });
  expect(upstream.work).toEqual([
    ...['scanTables', 'isPaused', 'isPaused', 'isPaused', 'ingestTable a', 'ingestTable b', 'reconcileMissing tables'],
  ]);
});
