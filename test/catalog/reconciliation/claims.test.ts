import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { isClaimLost } from '../../../src/catalog-client/claim.ts';
import { JobState } from '../../../src/generated/reconciler/v1/jobs.ts';
import { poll } from '../../jest/poll.ts';
import { connectorSpec, failure, refusal, TestCatalog } from '../harness.ts';

let catalog: TestCatalog;
beforeAll(async () => {
  catalog = await TestCatalog.start();
});
afterAll(() => catalog[Symbol.asyncDispose]());

let count = 0;
/** A connector, and ids of jobs that no other test uses. */
async function setUp() {
  const { connectorId } = await catalog.clients.connectors.createConnector({ connector: connectorSpec() });
  const prefix = `test-${++count}`;
  const [a, b, c, d] = ['a', 'b', 'c', 'd'].map((name) => `${prefix}-${name}`) as [string, string, string, string];
  const claim = (jobId: string, options = {}) => catalog.claim(connectorId, jobId, options);
  const end = (jobId: string, job = {}) => catalog.endJob(connectorId, jobId, job);
  return { connectorId, a, b, c, d, claim, end };
}
/** The record itself; the fake of Temporal must say that the job runs. */
async function record(jobId: string) {
  catalog.jobs.statuses.set(jobId, 'RUNNING');
  return catalog.clients.connectors.getReconcileJob({ jobId });
}
const holderOf = async (connectorId: string) => {
  const by = { $case: 'connectorId', value: connectorId } as const;
  return (await catalog.clients.connectors.getConnector({ by })).runningJobId;
};
/** Whether a call fails since its claim is lost. */
const isLost = (call: Promise<unknown>) => call.then(() => false, isClaimLost);
const { JS_CANCELLED, JS_FAILED, JS_QUEUED, JS_RUNNING, JS_SUCCEEDED } = JobState;

describe('a claim', () => {
  it('is given to one job, and records that it runs', async () => {
    const { connectorId, a, b, claim } = await setUp();
    expect(await claim(a, { connectorName: 'lake', phase: 'listing' })).toMatchObject({ holderJobId: a, epoch: 1n });
    expect(await record(a)).toMatchObject({
      connectorId,
      connectorName: 'lake',
      state: JS_RUNNING,
      phase: 'listing',
      startedAt: expect.any(Date),
    });
    expect(await claim(b, { phase: 'waiting' })).toMatchObject({ holderJobId: a, epoch: 0n });
    expect(await record(b)).toMatchObject({ connectorId, state: JS_QUEUED, phase: 'waiting', startedAt: undefined });
    expect(await holderOf(connectorId)).toBe(a);
  });

  it('keeps its epoch if the same run repeats the call, and gets a new one otherwise', async () => {
    const { a, b, claim, end } = await setUp();
    expect((await claim(a, { runId: 'r1' })).epoch).toBe(1n);
    expect((await claim(a, { runId: 'r1' })).epoch).toBe(1n);
    expect((await claim(a, { runId: 'r2' })).epoch).toBe(2n);
    expect((await claim(a, { runId: 'r2' })).epoch).toBe(2n);
    await end(a);
    expect(await claim(b, { runId: 'r2' })).toMatchObject({ holderJobId: b, epoch: 3n });
  });

  it('passes in the order of arrival', async () => {
    const { a, b, c, d, claim, end } = await setUp();
    for (const jobId of [a, b, c, b]) await claim(jobId);
    await end(a);
    // The connector is free, but it is the turn of the first job that waits.
    expect(await claim(c)).toMatchObject({ holderJobId: b, epoch: 0n });
    expect(await claim(d)).toMatchObject({ holderJobId: b, epoch: 0n });
    expect(await claim(b)).toMatchObject({ holderJobId: b, epoch: 2n });
    expect(await claim(c)).toMatchObject({ holderJobId: b, epoch: 0n });
    await end(b);
    expect((await claim(d)).holderJobId).toBe(c);
    expect(await claim(c)).toMatchObject({ holderJobId: c, epoch: 3n });
    await end(c);
    expect(await claim(d)).toMatchObject({ holderJobId: d, epoch: 4n });
  });

  it('is taken from a job that no longer runs', async () => {
    const { a, b, c, claim } = await setUp();
    await claim(a);
    expect(await claim(b, { dead: c })).toMatchObject({ holderJobId: a, epoch: 0n });
    catalog.jobs.statuses.set(a, 'TERMINATED');
    expect(await claim(b, { dead: a })).toMatchObject({ holderJobId: b, epoch: 2n });
    expect(await catalog.clients.connectors.getReconcileJob({ jobId: a })).toMatchObject({ state: JS_FAILED });
  });

  it('is not taken from a job that runs again, because its workflow was reset after the caller looked', async () => {
    const { a, b, claim } = await setUp();
    await claim(a);
    catalog.jobs.statuses.set(a, 'RUNNING');
    expect(await claim(b, { dead: a })).toMatchObject({ holderJobId: a, epoch: 0n });
  });

  it('does not wait for a job that died while it waited', async () => {
    const { a, b, c, claim, end } = await setUp();
    for (const jobId of [a, b, c]) await claim(jobId);
    await end(a);
    expect((await claim(c)).holderJobId).toBe(b);
    expect(await claim(c, { dead: b })).toMatchObject({ holderJobId: c, epoch: 2n });
    await end(c);
    // It has lost its place.
    expect(await claim(b)).toMatchObject({ holderJobId: b });
  });

  it.each(['ends', 'is recorded as ended', 'is cancelled in Temporal'])(
    'does not wait for a job that %s',
    async (how) => {
      const { connectorId, a, b, c, claim, end } = await setUp();
      for (const jobId of [a, b, c]) await claim(jobId);
      if (how === 'ends') await end(b, { state: JS_CANCELLED });
      if (how === 'is recorded as ended') {
        await catalog.clients.reconciliation.recordJob({ job: { jobId: b, connectorId, state: JS_CANCELLED } });
      }
      if (how === 'is cancelled in Temporal') {
        catalog.jobs.statuses.set(b, 'CANCELED');
        await catalog.clients.connectors.getReconcileJob({ jobId: b });
      }
      expect(await holderOf(connectorId)).toBe(a);
      await end(a);
      expect(await claim(c)).toMatchObject({ holderJobId: c, epoch: 2n });
    },
  );

  it('is given for a paused connector, whose job waits after it', async () => {
    const { connectorId, a, claim } = await setUp();
    const connector = { connectorId, state: 'CONNECTOR_STATE_PAUSED' as never };
    await catalog.clients.connectors.updateConnector({ connector, updateMask: ['state'] });
    expect(await claim(a)).toMatchObject({ holderJobId: a, epoch: 1n });
  });

  it('needs a connector, a job and a run', async () => {
    const { connectorId, a, claim } = await setUp();
    const { reconciliation } = catalog.clients;
    expect(await failure(catalog.claim('con_no', a))).toMatchObject({ code: 'NOT_FOUND' });
    expect(await failure(reconciliation.claimConnector({ connectorId, runId: 'r' }))).toMatchObject(
      refusal('INVALID_ARGUMENT', 'job: is required'),
    );
    expect(await failure(claim(''))).toMatchObject(refusal('INVALID_ARGUMENT', 'job_id'));
    for (const runId of ['', 'two words']) {
      expect(await failure(claim(a, { runId }))).toMatchObject(refusal('INVALID_ARGUMENT', 'run_id'));
    }
  });
});

describe('a job whose workflow was reset', () => {
  const counters = (tablesScanned: bigint, errors = 0n) => ({ counters: { tablesScanned, errors } as never });
  const failures = async (jobId: string) =>
    (await catalog.clients.jobs.listJobFailures({ jobId })).failures.map(({ table }) => table);
  const FAILURES = [
    { table: 'fx.a', code: 'DATA_LOSS', kind: 'JOB_FAILURE_KIND_TABLE' as never },
    { table: '', code: 'ABORTED', kind: 'JOB_FAILURE_KIND_JOB' as never },
  ];

  it('is reopened by the claim of its new run', async () => {
    const { a, claim, end } = await setUp();
    await claim(a, { runId: 'r1' });
    await end(a, { state: JS_FAILED, ...counters(9n) });
    expect(await record(a)).toMatchObject({ state: JS_FAILED, finishedAt: expect.any(Date) });
    const before = await record(a);
    expect(await claim(a, { runId: 'r2', ...counters(4n) })).toMatchObject({ holderJobId: a, epoch: 2n });
    const reopened = await record(a);
    expect(reopened).toMatchObject({ state: JS_RUNNING, finishedAt: undefined, createdAt: before.createdAt });
    expect(reopened.counters).toMatchObject({ tablesScanned: 4n, errors: 0n });
    await end(a);
    expect(await record(a)).toMatchObject({ state: JS_SUCCEEDED, counters: { tablesScanned: 4n } });
  });

  it('is reopened as queued while another job has the connector', async () => {
    const { a, b, claim, end } = await setUp();
    await claim(a, { runId: 'r1' });
    await end(a);
    await claim(b);
    expect(await claim(a, { runId: 'r2' })).toMatchObject({ holderJobId: b, epoch: 0n });
    expect(await record(a)).toMatchObject({ state: JS_QUEUED, startedAt: undefined, finishedAt: undefined });
  });

  it('starts anew even if its record has not ended', async () => {
    const { a, claim } = await setUp();
    await claim(a, { runId: 'r1', ...counters(9n) });
    await claim(a, { runId: 'r2', ...counters(4n) });
    expect((await record(a)).counters).toMatchObject({ tablesScanned: 4n });
  });

  it('goes on as it is if the run only continues the one before, and no counter falls', async () => {
    const { connectorId, a, claim } = await setUp();
    await claim(a, { runId: 'r1', ...counters(9n) });
    const job = { jobId: a, connectorId, state: JS_RUNNING };
    await catalog.clients.reconciliation.recordJob({ job, failures: FAILURES });
    expect((await claim(a, { runId: 'r2', continued: true, ...counters(4n) })).epoch).toBe(2n);
    expect((await record(a)).counters).toMatchObject({ tablesScanned: 9n });
    expect(await failures(a)).toEqual(['', 'fx.a']);
  });

  it('forgets what its former run, a dry one, would have changed', async () => {
    const { a, claim } = await setUp();
    await claim(a, { runId: 'r1', dryRun: true });
    const change = { kind: 'JOB_CHANGE_KIND_TABLE', action: 'JOB_CHANGE_ACTION_CREATE', name: ['t'], reason: 'new' };
    await catalog.clients.reconciliation.recordJobChanges({ jobId: a, changes: [change as never] });
    const listed = async () => (await catalog.clients.jobs.listJobChanges({ jobId: a })).changes.length;
    expect(await listed()).toBe(1);
    await claim(a, { runId: 'r2', dryRun: true });
    expect(await listed()).toBe(0);
  });

  it('is not ended by a former run that had no claim', async () => {
    const { connectorId, a, b, claim } = await setUp();
    await claim(b);
    await claim(a, { runId: 'r1' });
    await catalog.endJob(connectorId, b);
    expect((await claim(a, { runId: 'r2' })).holderJobId).toBe(a);
    const job = { jobId: a, connectorId, state: JS_CANCELLED };
    const end = (runId: string) => catalog.clients.reconciliation.endJob({ job, connectorId, runId });
    expect(await isLost(end('r1'))).toBe(true);
    expect(await holderOf(connectorId)).toBe(a);
    await end('r2');
    expect(await holderOf(connectorId)).toBe('');
  });

  it('keeps the failures that it counts, but not what ended its former run', async () => {
    const { connectorId, a, b, claim } = await setUp();
    for (const [jobId, errors, kept] of [
      [a, 1n, ['fx.a']],
      [b, 0n, []],
    ] as const) {
      await claim(jobId, { runId: 'r1' });
      const job = { jobId, connectorId, state: JS_FAILED };
      await catalog.clients.reconciliation.endJob({ job, connectorId, failures: FAILURES });
      expect(await failures(jobId)).toEqual(['', 'fx.a']);
      await claim(jobId, { runId: 'r2', ...counters(1n, errors) });
      expect(await failures(jobId)).toEqual(kept);
      await catalog.endJob(connectorId, jobId);
    }
  });

  it('is not reopened by anything else', async () => {
    const { connectorId, a, b, claim, end } = await setUp();
    await claim(a, { runId: 'r1' });
    await end(a);
    expect(await failure(claim(a, { runId: 'r1' }))).toMatchObject(
      refusal('FAILED_PRECONDITION', `Job ${a} has ended: its run may no longer claim the connector.`),
    );
    expect(await isLost(claim(a, { runId: 'r1' }))).toBe(true);
    await catalog.clients.reconciliation.recordJob({ job: { jobId: a, connectorId, runId: 'r3', state: JS_RUNNING } });
    expect(await record(a)).toMatchObject({ state: JS_SUCCEEDED });
    // It was cancelled before its first claim, which arrives late.
    await catalog.clients.reconciliation.recordJob({
      job: { jobId: b, connectorId, runId: 'r1', state: JS_CANCELLED },
    });
    expect(await isLost(claim(b, { runId: 'r1' }))).toBe(true);
    expect(await claim(b, { runId: 'r2' })).toMatchObject({ holderJobId: b });
  });

  it('is not ended by a status of its former run', async () => {
    const { connectorId, a, claim } = await setUp();
    await claim(a, { runId: 'r1' });
    using _ = jest.spyOn(catalog.jobs, 'describe').mockImplementationOnce(async () => {
      await claim(a, { runId: 'r2' });
      return 'TERMINATED';
    });
    await catalog.clients.connectors.getReconcileJob({ jobId: a });
    expect(await record(a)).toMatchObject({ state: JS_RUNNING });
    expect(await holderOf(connectorId)).toBe(a);
  });

  it('is not taken back by an earlier run', async () => {
    const { connectorId, a, claim } = await setUp();
    await claim(a, { runId: 'r1' });
    const { epoch } = await claim(a, { runId: 'r2' });
    expect(await failure(claim(a, { runId: 'r1' }))).toMatchObject(
      refusal('FAILED_PRECONDITION', `A later run of job ${a} has claimed the connector`),
    );
    expect(await isLost(claim(a, { runId: 'r1' }))).toBe(true);
    expect(await claim(a, { runId: 'r2' })).toMatchObject({ holderJobId: a, epoch });
    expect(await holderOf(connectorId)).toBe(a);
  });
});

describe('the end of a job', () => {
  it('is recorded with its failures, and releases the connector', async () => {
    const { connectorId, a, claim } = await setUp();
    await claim(a);
    const job = { jobId: a, connectorId, state: JS_FAILED, message: 'Partial failure (1)' };
    const request = { job, connectorId, failures: [{ table: 'fx.a', code: 'DATA_LOSS', message: 'broken' }] };
    await catalog.clients.reconciliation.endJob(request);
    await catalog.clients.reconciliation.endJob(request);
    expect(await record(a)).toMatchObject({
      state: JS_FAILED,
      message: 'Partial failure (1)',
      counters: { errors: 1n },
    });
    expect((await catalog.clients.jobs.listJobFailures({ jobId: a })).failures).toMatchObject([{ table: 'fx.a' }]);
    expect(await holderOf(connectorId)).toBe('');
  });

  it('that is repeated changes nothing, even if the connector has passed on', async () => {
    const { connectorId, a, b, claim, end } = await setUp();
    await claim(a);
    await end(a, { message: 'done' });
    const { epoch } = await claim(b);
    await end(a, { message: 'late', state: JS_FAILED });
    expect(await record(a)).toMatchObject({ state: JS_SUCCEEDED, message: 'done' });
    expect(await holderOf(connectorId)).toBe(b);
    expect(await claim(b)).toMatchObject({ holderJobId: b, epoch });
  });

  it('releases the connector also if the end was recorded before', async () => {
    const { connectorId, a, claim, end } = await setUp();
    await claim(a);
    await catalog.clients.reconciliation.recordJob({ job: { jobId: a, connectorId, state: JS_SUCCEEDED } });
    expect(await holderOf(connectorId)).toBe(a);
    await end(a);
    expect(await holderOf(connectorId)).toBe('');
  });
});

describe('jobs are woken', () => {
  const woken = (jobs: string[]) => catalog.jobs.woken.filter((jobId) => jobs.includes(jobId));

  it('when it is their turn', async () => {
    const { a, b, c, d, claim, end } = await setUp();
    for (const jobId of [a, b, c, d]) await claim(jobId);
    await end(a);
    await poll(() => woken([a, b, c, d])).toEqual([b]);
    await claim(b);
    catalog.jobs.statuses.set(b, 'TERMINATED');
    await catalog.clients.connectors.getReconcileJob({ jobId: b });
    await poll(() => woken([a, b, c, d])).toEqual([b, c]);
    // Another job finds out that the next one is dead.
    await claim(d, { dead: c });
    expect(woken([a, b, c])).toEqual([b, c]);
  });

  it('when another job finds out that the one ahead of them is dead', async () => {
    const { a, b, c, claim } = await setUp();
    for (const jobId of [a, b, c]) await claim(jobId);
    expect(await claim(c, { dead: a })).toMatchObject({ holderJobId: b, epoch: 0n });
    await poll(() => woken([a, b, c])).toEqual([b]);
  });

  it('when their connector is resumed or gets another task queue, and not otherwise', async () => {
    const { connectorId, a, b, claim } = await setUp();
    const update = (connector: object, ...updateMask: string[]) =>
      catalog.clients.connectors.updateConnector({ connector: { connectorId, ...connector }, updateMask });
    for (const jobId of [a, b]) await claim(jobId);
    await update({ state: 'CONNECTOR_STATE_PAUSED' }, 'state');
    await update({ description: 'x', state: 'CONNECTOR_STATE_PAUSED' }, 'description', 'state');
    expect(woken([a, b])).toEqual([]);
    await update({ state: 'CONNECTOR_STATE_ACTIVE' }, 'state');
    await poll(() => woken([a, b])).toEqual([a, b]);
    await update({ state: 'CONNECTOR_STATE_ACTIVE' }, 'state');
    await update({ policy: { taskQueue: 'eu' } }, 'policy.task_queue');
    await poll(() => woken([a, b])).toEqual([a, b, a, b]);
  });

  it('not when their connector is being deleted, since they are cancelled', async () => {
    const { connectorId, a, b, claim } = await setUp();
    for (const jobId of [a, b]) {
      await claim(jobId);
      catalog.jobs.statuses.set(jobId, 'RUNNING');
    }
    await catalog.clients.connectors.deleteConnector({ connectorId });
    expect(catalog.jobs.cancelled.filter((jobId) => [a, b].includes(jobId))).toEqual([a, b]);
    // Once a has ended, it is b's turn; b is cancelled by then.
    expect(woken([a])).toEqual([]);
  });

  it('without failing or delaying the call', async () => {
    const { connectorId, a, b, claim, end } = await setUp();
    for (const jobId of [a, b]) await claim(jobId);
    catalog.jobs.down = true;
    await end(a);
    await poll(() => catalog.log.join()).toContain('cannot be woken');
    catalog.jobs.down = false;
    expect(await holderOf(connectorId)).toBe('');
    expect(woken([b])).toEqual([]);
  });
});
