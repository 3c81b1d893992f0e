import { beforeEach, describe, expect, it } from '@jest/globals';
import { ApplicationFailure } from '@temporalio/workflow';
import type { JobRecord } from '../../../src/contract/activities.ts';
import type { ReconcileRequest, TableFailure } from '../../../src/contract/job.ts';
import { type CarriedJob, Job } from '../../../src/workflows/job/job.ts';

const connector = {
  ...{ connectorId: 'con_1', name: 'lake', maxParallel: 8 },
  ...{ drops: false, searchAttributes: false },
};
const error = (message: string) => ApplicationFailure.nonRetryable(message, 'DATA_LOSS');

function newJob(request: Partial<ReconcileRequest> = {}, carried?: CarriedJob): Job {
  return new Job({ jobId: 'job-1', runId: 'run-1', request: { connector: 'con_1', ...request }, carried });
}

/** A job that has its connector. */
function runningJob(): Job {
  const job = newJob();
  job.connector = connector;
  job.start();
  return job;
}

/** The tables of all failures that the job's next records have. */
function recordAll(job: Job): string[][] {
  const records: JobRecord[] = [];
  do {
    const record = job.record();
    records.push(record);
    job.recorded(record);
  } while (job.hasUnrecordedFailures);
  return records.map(({ failures }) => failures.map(({ table }) => table));
}

describe('counters', () => {
  let job: Job;
  beforeEach(() => {
    job = runningJob();
  });

  it('are those of steps that have ended, and of running ones as they are reported', () => {
    job.count({ tablesExpected: 9 });
    const [page, pack] = [job.begin(), job.begin('a … b (2 tables)')];
    job.end(page, { tablesScanned: 3, tablesUnchanged: 1, upstreamRequests: 5 });
    job.report({ [pack]: { snapshotsIngested: 1, filesIngested: 4 }, unknown: { filesIngested: 99 } });
    expect(job.progress.counters).toEqual({
      ...{ tablesExpected: 9, tablesScanned: 3, tablesUnchanged: 1, upstreamRequests: 5 },
      ...{ snapshotsIngested: 1, filesIngested: 4 },
    });
    job.end(pack, { tablesChanged: 2, snapshotsIngested: 2, filesIngested: 6 });
    expect(job.progress.counters).toMatchObject({ tablesChanged: 2, snapshotsIngested: 2, filesIngested: 6 });
  });

  it('are absent until they count something', () => {
    job.end(job.begin(), { viewsScanned: 0, tablesScanned: 1 });
    expect(job.progress.counters).toEqual({ tablesScanned: 1 });
  });

  it('are also those of the record, so that nobody sees them fall', () => {
    const step = job.begin();
    job.report({ [step]: { tablesScanned: 7 } });
    expect(job.record().progress.counters).toEqual({ tablesScanned: 7 });
  });
});

describe('what is in flight', () => {
  it('is begun and ended; each change is shown', () => {
    const shown: string[] = [];
    const job = new Job({
      ...{ jobId: 'j', runId: 'r', request: { connector: 'lake' } },
      onChange: ({ progress }) => shown.push(progress.inFlight.join()),
    });
    const a = job.begin('a');
    job.begin('b');
    job.end(a);
    job.end(a);
    expect(shown).toEqual(['a', 'a,b', 'b', 'b']);
  });

  it('has another name for each step, also in the next run', () => {
    const job = runningJob();
    const names = [job.begin('a'), job.begin('a')];
    const next = newJob({}, job.carry());
    names.push(next.begin('a'));
    expect(new Set(names).size).toBe(3);
  });
});

describe('a pause', () => {
  it('hides the phase, also one that begins meanwhile', () => {
    const job = runningJob();
    job.enterPhase('scanning');
    job.pause('paused: resume it');
    expect(job.progress).toMatchObject({ paused: true, phase: 'paused: resume it' });
    job.enterPhase('dropping');
    expect(job.progress.phase).toMatch(/^paused/);
    job.pause(undefined);
    expect(job.progress.phase).toBe('dropping');
    expect(job.progress).not.toHaveProperty('paused');
  });
});

describe('a wait for a worker', () => {
  it('hides the phase, but not a pause', () => {
    const job = runningJob();
    job.enterPhase('scanning');
    job.waitForWorker({ name: 'far', since: new Date() });
    expect(job.progress.phase).toMatch(/^waiting since .* task queue 'far'/);
    expect(job.progress.unserved).toEqual({ queue: 'far', sinceMs: expect.any(Number) });
    job.pause('paused: resume it');
    expect(job.progress.phase).toBe('paused: resume it');
    job.pause(undefined);
    job.waitForWorker(undefined);
    expect(job.progress.phase).toBe('scanning');
    expect(job.progress).not.toHaveProperty('unserved');
  });

  it.each(['JS_FAILED', 'JS_CANCELLED'] as const)('is over when the job ends as %s', (state) => {
    const job = runningJob();
    job.waitForWorker({ name: 'far', since: new Date() });
    job.finish(state);
    expect(job.progress.phase).toBe('finished');
    expect(job.progress).not.toHaveProperty('unserved');
  });
});

describe('a job that loses its connector', () => {
  it('waits for nothing else', () => {
    const job = runningJob();
    job.pause('paused: resume it');
    job.waitForWorker({ name: 'far', since: new Date() });
    job.queue('waiting for job x', 'x');
    expect(job.progress.phase).toBe('waiting for job x');
    expect(job.isPaused).toBe(false);
  });

  it('waits again, and keeps the time at which it first started', () => {
    const job = runningJob();
    const { startedAtMs } = job.record();
    job.queue('waiting for job x', 'x');
    expect(job.progress).toMatchObject({ state: 'JS_QUEUED', phase: 'waiting for job x' });
    job.start();
    expect(job.record()).toMatchObject({ startedAtMs, progress: { state: 'JS_RUNNING' } });
  });
});

describe('failures', () => {
  it('are counted, with the cause', () => {
    const job = runningJob();
    job.fail('sales.a', error('truncated'));
    expect(job.progress.counters.errors).toBe(1);
    expect(job.failures).toEqual([
      { table: 'sales.a', code: 'DATA_LOSS', message: 'truncated', failedAtMs: expect.any(Number) },
    ]);
  });

  it('keep the first 50, after what ended the job', () => {
    const job = runningJob();
    for (let i = 0; i < 60; i++) job.fail(`t${i}`, error('bad'));
    job.fail('', error('the end'));
    const failure: TableFailure = { table: 'view v', code: 'X', message: '', failedAtMs: 0 };
    job.keep([failure]);
    expect(job.progress.counters.errors).toBe(61);
    expect(job.failures.map(({ table }) => table)).toEqual(['', ...Array.from({ length: 50 }, (_, i) => `t${i}`)]);
  });

  it('are recorded once each, 200 per record', () => {
    const job = runningJob();
    for (let i = 0; i < 450; i++) job.fail(`t${i}`, error('bad'));
    const recorded = recordAll(job);
    expect(recorded.map(({ length }) => length)).toEqual([200, 200, 50]);
    expect(new Set(recorded.flat()).size).toBe(450);
    expect(recordAll(job)).toEqual([[]]);
  });

  it('that came while a record was being written are in the next', () => {
    const job = runningJob();
    job.fail('a', error('bad'));
    const record = job.record();
    job.fail('b', error('bad'));
    job.recorded(record);
    expect(recordAll(job)).toEqual([['b']]);
  });

  it('that an activity has recorded and counted are only kept', () => {
    const job = runningJob();
    const failures = [{ table: 'view v', code: 'X', message: '', failedAtMs: 0 }];
    job.keep(failures);
    expect(job.failures).toEqual(failures);
    expect(job.progress.counters).toEqual({});
    expect(recordAll(job)).toEqual([[]]);
  });

  it('that are not recorded yet go over to the next run', () => {
    const job = runningJob();
    job.fail('a', error('bad'));
    expect(recordAll(newJob({}, JSON.parse(JSON.stringify(job.carry()))))).toEqual([['a']]);
  });
});

describe('the record', () => {
  it('of a job that waits has no connector and no times', () => {
    expect(newJob({ full: true }).record()).toMatchObject({
      ...{ jobId: 'job-1', runId: 'run-1', connectorId: '', connectorName: 'con_1' },
      ...{ startedAtMs: undefined, finishedAtMs: undefined },
      progress: { state: 'JS_QUEUED' },
    });
  });

  it('is a copy without what is in flight', () => {
    const job = runningJob();
    job.begin('a');
    const record = job.record();
    job.count({ tablesChanged: 1 });
    expect(record.progress).toEqual({
      state: 'JS_RUNNING',
      phase: 'resolving the connector',
      counters: {},
      inFlight: [],
    });
    expect(job.progress.inFlight).toEqual(['a']);
  });

  it('of a job that has ended says when, and nothing of a pause', () => {
    const job = runningJob();
    job.begin('a');
    job.pause('paused');
    job.finish('JS_CANCELLED');
    const { finishedAtMs, startedAtMs, progress } = job.record();
    expect(finishedAtMs).toBeGreaterThanOrEqual(startedAtMs as number);
    expect(progress).toMatchObject({ state: 'JS_CANCELLED', phase: 'finished', inFlight: [] });
    expect(progress).not.toHaveProperty('paused');
  });
});

it('carries everything over continue-as-new', () => {
  const job = runningJob();
  job.enterPhase('scanning');
  job.count({ tablesChanged: 1 });
  job.fail('a', error('bad'));
  job.hasRefusedNamespaces = true;
  recordAll(job);
  // As Temporal does.
  const next = newJob({}, JSON.parse(JSON.stringify(job.carry())));
  expect(next.carry()).toEqual(job.carry());
  expect(next.record()).toMatchObject({
    connectorId: 'con_1',
    failures: [],
    progress: { counters: { tablesChanged: 1, errors: 1 } },
  });
  next.pause('paused');
  next.pause(undefined);
  expect(next.progress.phase).toBe('scanning');
});
