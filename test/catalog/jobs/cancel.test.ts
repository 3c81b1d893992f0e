import { afterAll, beforeAll, beforeEach, expect, it } from '@jest/globals';
import { CodedError } from '../../../src/errors.ts';
import { JobState } from '../../../src/generated/reconciler/v1/jobs.ts';
import { poll } from '../../jest/poll.ts';
import { connectorSpec, failure, refusal, TestCatalog } from '../harness.ts';

let catalog: TestCatalog;
let connectorId: string;
beforeAll(async () => {
  catalog = await TestCatalog.start();
});
afterAll(() => catalog[Symbol.asyncDispose]());
beforeEach(async () => {
  catalog.jobs.lost = 'nothing';
  ({ connectorId } = await catalog.clients.connectors.createConnector({ connector: connectorSpec() }));
});

const trigger = () => catalog.clients.connectors.triggerReconcile({ connectorId });
const newestJob = async () => (await catalog.clients.jobs.listReconcileJobs({ connectorId })).jobs[0];
const newest = async () => (await newestJob())?.jobId as string;
const cancel = (jobId: string) => catalog.clients.jobs.cancelReconcileJob({ jobId });

/** Holds the next start back. @returns a function that lets it go on, or fail with an error */
function holdStart(): (error?: Error) => void {
  let release: (error?: Error) => void = () => {};
  const held = new Promise<Error | undefined>((resolve) => {
    release = resolve;
  });
  const start = catalog.jobs.start;
  catalog.jobs.start = async (...args) => {
    catalog.jobs.start = start;
    const error = await held;
    if (error) throw error;
    return start.apply(catalog.jobs, args);
  };
  return release;
}

it('a job that Temporal does not know is cancelled at once, and a start that arrives late does not run it', async () => {
  catalog.jobs.lost = 'before';
  expect(await failure(trigger())).toMatchObject({ code: 'DEADLINE_EXCEEDED' });
  const jobId = await newest();
  const cancelled = { state: JobState.JS_CANCELLED, message: 'cancelled before it was started' };
  expect(await cancel(jobId)).toMatchObject(cancelled);
  expect(await failure(catalog.claim(connectorId, jobId))).toMatchObject(
    refusal('FAILED_PRECONDITION', `Job ${jobId} was cancelled before it was started`),
  );
  await catalog.endJob(connectorId, jobId, { state: JobState.JS_FAILED, message: 'the claim was lost' });
  expect(await catalog.clients.connectors.getReconcileJob({ jobId })).toMatchObject(cancelled);
  // The connector is free.
  catalog.jobs.lost = 'nothing';
  const next = await trigger();
  expect(await catalog.claim(connectorId, next.jobId)).toMatchObject({ holderJobId: next.jobId });
});

it('a job whose start is in flight is cancelled once it was started', async () => {
  const release = holdStart();
  const triggered = trigger();
  await poll(newest).toBeDefined();
  const jobId = await newest();
  const cancelling = cancel(jobId);
  await poll(async () => (await newestJob())?.phase).toBe('cancelling');
  release();
  expect(await triggered).toMatchObject({ jobId });
  expect((await cancelling).state).toBe(JobState.JS_CANCELLED);
  expect(catalog.jobs.cancelled).toContain(jobId);
  expect(catalog.jobs.statuses.get(jobId)).toBe('CANCELED');
});

it('a job whose start fails while it is being cancelled is cancelled', async () => {
  const release = holdStart();
  const triggered = failure(trigger());
  await poll(newest).toBeDefined();
  const jobId = await newest();
  const cancelling = cancel(jobId);
  await poll(async () => (await newestJob())?.phase).toBe('cancelling');
  release(new CodedError('UNAVAILABLE', 'no Temporal'));
  expect(await triggered).toMatchObject({ code: 'UNAVAILABLE' });
  expect(await cancelling).toMatchObject({ jobId, state: JobState.JS_CANCELLED });
});

it('a job that has run, and whose workflow was deleted, was not cancelled before it was started', async () => {
  const { jobId } = await trigger();
  await catalog.claim(connectorId, jobId);
  catalog.jobs.statuses.delete(jobId);
  const message = 'its workflow does not exist in Temporal: it was never started, or was deleted';
  expect(await cancel(jobId)).toMatchObject({ state: JobState.JS_FAILED, message });
  const next = await trigger();
  expect(await catalog.claim(connectorId, next.jobId)).toMatchObject({ holderJobId: next.jobId });
});
