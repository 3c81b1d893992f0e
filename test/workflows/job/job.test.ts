import { beforeEach, describe, expect, it } from '@jest/globals';
import { ApplicationFailure } from '@temporalio/workflow';
import type { JobRecord, TableOutcome } from '../../../src/contract/activities.ts';
import type { ReconcileRequest, TableFailure } from '../../../src/contract/job.ts';
import { type CarriedJob, Job } from '../../../src/workflows/job/job.ts';

const connector = {
  ...{ connectorId: 'con_1', name: 'lake', maxParallel: 8 },
  ...{ drops: false, alerts: false, searchAttributes: false },
};
const outcome: TableOutcome = { changed: true, snapshots: 2, files: 3, bytesRead: 10, upstreamRequests: 4 };
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

  it('add up pages, tables and parts of tables', () => {
    job.addPage({ scanned: 3, unchanged: 1, filtered: 2, changed: [], listed: '0', upstreamRequests: 5 });
    job.addPage({ scanned: 1, unchanged: 0, filtered: 0, changed: [], listed: '0' });
    job.addTable(outcome);
    job.addTable({ ...outcome, changed: false });
    job.addPartOfTable(outcome);
    expect(job.progress.counters).toMatchObject({
      ...{ tablesScanned: 4, tablesUnchanged: 2, tablesFiltered: 2, tablesChanged: 1 },
      ...{ snapshotsIngested: 6, filesIngested: 9, bytesRead: 30, upstreamRequests: 17 },
    });
  });

  it('are absent until they count something', () => {
    const counters = [
      'viewsScanned',
      'viewsChanged',
      'viewsMissing',
      'tablesDropped',
      'viewsDropped',
      'snapshotsDropped',
    ];
    job.addTable(outcome);
    job.addMissing('tables', { marked: 2 });
    for (const counter of counters) expect(job.progress.counters).not.toHaveProperty(counter);
    job.addViews({ scanned: 2, changed: 1, errors: 0, failures: [] });
    job.addViews({ scanned: 1, changed: 0, errors: 1, failures: [] });
    job.addMissing('views', { marked: 3 });
    job.addDrops({ tables: 1, views: 0, snapshots: 5 });
    expect(job.progress.counters).toMatchObject({
      ...{ tablesMissing: 2, viewsScanned: 3, viewsChanged: 1, viewsMissing: 3, errors: 1 },
      ...{ tablesDropped: 1, snapshotsDropped: 5 },
    });
  });

  it('of a dry run say what would be dropped', () => {
    job.addTable({ ...outcome, snapshotsDropped: 2 });
    job.addTable({ ...outcome, snapshotsDropped: 1 });
    job.addMissing('tables', { marked: 4, dropped: 3 });
    job.addMissing('views', { marked: 1, dropped: 1 });
    expect(job.progress.counters).toMatchObject({ snapshotsDropped: 3, tablesDropped: 3, viewsDropped: 1 });
  });
});

describe('what is in flight', () => {
  it('is begun and ended; each change is shown', () => {
    const shown: string[] = [];
    const job = new Job({
      ...{ jobId: 'j', runId: 'r', request: { connector: 'lake' } },
      onChange: ({ progress }) => shown.push(progress.inFlight.join()),
    });
    job.begin('a');
    job.begin('b');
    job.end('a');
    job.end('a');
    expect(shown).toEqual(['a', 'a,b', 'b', 'b']);
  });
});

describe('a pause', () => {
  it('hides the phase, also one that begins meanwhile', () => {
    const job = runningJob();
    job.enterPhase('scanning');
    job.pause();
    expect(job.progress).toMatchObject({
      paused: true,
      phase: 'paused: resume it with reconciler connector resume lake',
    });
    job.enterPhase('dropping');
    expect(job.progress.phase).toMatch(/^paused/);
    job.resume();
    expect(job.progress.phase).toBe('dropping');
    expect(job.progress).not.toHaveProperty('paused');
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
    job.addViews({ scanned: 1, changed: 0, errors: 1, failures: [failure] });
    expect(job.progress.counters.errors).toBe(62);
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

  it('of namespaces that may not be listed make the listing incomplete', () => {
    const job = runningJob();
    const refused = { table: 'namespace n', code: 'PERMISSION_DENIED', message: '', failedAtMs: 0 };
    job.addPage({ scanned: 1, unchanged: 1, filtered: 0, changed: [], listed: '0' });
    expect(job.hasRefusedNamespaces).toBe(false);
    job.addPage({ scanned: 0, unchanged: 0, filtered: 0, changed: [], listed: '0', refused: [refused] });
    job.addPage({ scanned: 1, unchanged: 1, filtered: 0, changed: [], listed: '0' });
    expect(job.hasRefusedNamespaces).toBe(true);
    expect(recordAll(job)).toEqual([['namespace n']]);
  });

  it('of views are not recorded again, and may make the listing incomplete', () => {
    const job = runningJob();
    const failures = [{ table: 'view v', code: 'X', message: '', failedAtMs: 0 }];
    job.addViews({ scanned: 1, changed: 0, errors: 1, failures, refused: true });
    job.addViews({ scanned: 1, changed: 0, errors: 0, failures: [] });
    expect(job.hasRefusedNamespaces).toBe(true);
    expect(job.failures).toEqual(failures);
    expect(recordAll(job)).toEqual([[]]);
  });
});

describe('the record', () => {
  it('of a job that waits has no connector and no times', () => {
    expect(newJob({ full: true }).record()).toMatchObject({
      ...{ jobId: 'job-1', runId: 'run-1', connectorId: '', connectorName: 'con_1', full: true },
      ...{ startedAtMs: undefined, finishedAtMs: undefined, request: { connector: 'con_1', full: true } },
      progress: { state: 'JS_QUEUED' },
    });
  });

  it('is a copy without what is in flight', () => {
    const job = runningJob();
    job.begin('a');
    const record = job.record();
    job.addTable(outcome);
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
    job.pause();
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
  job.addTable(outcome);
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
  next.pause();
  next.resume();
  expect(next.progress.phase).toBe('scanning');
});
