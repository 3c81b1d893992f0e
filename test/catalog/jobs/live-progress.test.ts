import { afterAll, afterEach, beforeAll, beforeEach, expect, it, jest } from '@jest/globals';
import type { Counters, Progress } from '../../../src/contract/job.ts';
import { JobState } from '../../../src/generated/reconciler/v1/jobs.ts';
import { fakeOnly } from '../../jest/fake-timers.ts';
import { connectorSpec, TestCatalog } from '../harness.ts';

let catalog: TestCatalog;
beforeAll(async () => {
  catalog = await TestCatalog.start();
});
afterAll(() => catalog[Symbol.asyncDispose]());
beforeEach(() => fakeOnly(['performance']));
afterEach(() => void jest.useRealTimers());

const SHARED_MS = 3_000;
const later = () => jest.advanceTimersByTime(SHARED_MS);

/** A job that runs, and functions that set what its workflow reports and read what the catalog returns. */
async function running() {
  const { connectors, reconciliation } = catalog.clients;
  const { connectorId } = await connectors.createConnector({ connector: connectorSpec() });
  const { jobId } = await connectors.triggerReconcile({ connectorId });
  const report = (counters: Counters | undefined, fields: Partial<Progress> = {}) => {
    const progress: Progress = {
      state: 'JS_RUNNING',
      phase: 'scanning',
      inFlight: [],
      counters: counters ?? {},
      ...fields,
    };
    if (counters) catalog.jobs.progressOf.set(jobId, progress);
    else catalog.jobs.progressOf.delete(jobId);
  };
  const get = () => connectors.getReconcileJob({ jobId });
  const scanned = async () => (await get()).counters?.tablesScanned;
  const record = (tablesScanned: bigint) =>
    reconciliation.recordJob({ job: { jobId, connectorId, state: JobState.JS_RUNNING, counters: { tablesScanned } } });
  await catalog.claim(connectorId, jobId);
  return { connectorId, jobId, report, get, scanned, record, queries: () => queriesOf(jobId) };
}
const queriesOf = (jobId: string) => catalog.jobs.queried.filter((queried) => queried === jobId).length;

it('is queried once for all callers, until it is three seconds old', async () => {
  const { report, get, scanned, queries } = await running();
  report({ tablesScanned: 5 });
  const jobs = await Promise.all(Array.from({ length: 10 }, get));
  expect(jobs.map(({ counters }) => counters?.tablesScanned)).toEqual(Array.from({ length: 10 }, () => 5n));
  report({ tablesScanned: 6 });
  jest.advanceTimersByTime(SHARED_MS - 1);
  expect(await scanned()).toBe(5n);
  expect(queries()).toBe(1);
  jest.advanceTimersByTime(1);
  expect(await scanned()).toBe(6n);
  expect(queries()).toBe(2);
});

it('takes the place of the status in Temporal for as long', async () => {
  const { report, get, jobId } = await running();
  const described = () => catalog.jobs.described.filter((id) => id === jobId).length;
  report({ tablesScanned: 5 });
  await get();
  const before = described();
  catalog.jobs.statuses.set(jobId, 'TERMINATED');
  jest.advanceTimersByTime(SHARED_MS - 1);
  expect((await get()).state).toBe(JobState.JS_RUNNING);
  expect(described()).toBe(before);
  jest.advanceTimersByTime(1);
  expect((await get()).state).toBe(JobState.JS_FAILED);
});

it('is not queried again while no worker answers', async () => {
  const { get, queries } = await running();
  await Promise.all([get(), get()]);
  await get();
  expect(queries()).toBe(1);
});

it('is queried by one call at a time, however long a worker takes', async () => {
  const { report, get, queries, jobId } = await running();
  report({ tablesScanned: 5 });
  let answer = (_: Progress) => {};
  using query = jest.spyOn(catalog.jobs, 'progress').mockImplementationOnce(async (id) => {
    catalog.jobs.queried.push(id);
    return new Promise((resolve) => {
      answer = resolve;
    });
  });
  const first = get();
  // The other calls are made after the first one has asked.
  while (queries() === 0) await new Promise(setImmediate);
  const others = [get(), get()];
  await catalog.clients.catalogs.listCatalogs({});
  later();
  others.push(get());
  await catalog.clients.catalogs.listCatalogs({});
  answer(catalog.jobs.progressOf.get(jobId) as Progress);
  for (const job of await Promise.all([first, ...others])) expect(job.counters?.tablesScanned).toBe(5n);
  expect(query).toHaveBeenCalledTimes(1);
});

it('never has lower counters than before, whether a worker answers or not', async () => {
  const { report, scanned, get, record } = await running();
  report({ tablesScanned: 50, filesIngested: 7 });
  expect(await scanned()).toBe(50n);
  report(undefined);
  later();
  expect((await get()).counters).toMatchObject({ tablesScanned: 50n, filesIngested: 7n });
  // A record that the workflow made before it reported this.
  expect((await record(40n)).counters).toMatchObject({ tablesScanned: 50n, filesIngested: 7n });
  expect(await scanned()).toBe(50n);
  report({ tablesScanned: 45 });
  later();
  expect(await scanned()).toBe(50n);
  await record(60n);
  expect(await scanned()).toBe(60n);
});

it('does not hide that a job has begun', async () => {
  const { connectors } = catalog.clients;
  const { connectorId } = await connectors.createConnector({ connector: connectorSpec() });
  const { jobId } = await connectors.triggerReconcile({ connectorId });
  catalog.jobs.progressOf.set(jobId, { state: 'JS_QUEUED', phase: 'waiting', inFlight: [], counters: {} });
  expect(await connectors.getReconcileJob({ jobId })).toMatchObject({ state: JobState.JS_QUEUED, phase: 'waiting' });
  await catalog.claim(connectorId, jobId, { phase: 'listing' });
  expect(await connectors.getReconcileJob({ jobId })).toMatchObject({ state: JobState.JS_RUNNING, phase: 'listing' });
});

it('has the counters of the new run after a reset, even if a query of the former run is answered late', async () => {
  const { connectorId, jobId, report, get, scanned, queries } = await running();
  report({ tablesScanned: 50 });
  let answer = () => {};
  using _ = jest.spyOn(catalog.jobs, 'progress').mockImplementationOnce(async (id) => {
    catalog.jobs.queried.push(id);
    await new Promise<void>((resolve) => {
      answer = resolve;
    });
    return catalog.jobs.progressOf.get(id);
  });
  const late = get();
  while (queries() === 0) await new Promise(setImmediate);
  await catalog.claim(connectorId, jobId, { runId: 'reset', counters: { tablesScanned: 4n } as never });
  answer();
  await late;
  expect(await scanned()).toBe(4n);
  report({ tablesScanned: 5 });
  later();
  expect(await scanned()).toBe(5n);
});

it('is recorded so that metrics count it once', async () => {
  await using measured = await TestCatalog.start({ metricsAddress: '127.0.0.1:0' });
  const { connectors } = measured.clients;
  const { connectorId, displayName } = await connectors.createConnector({ connector: connectorSpec() });
  const { jobId } = await connectors.triggerReconcile({ connectorId });
  await measured.claim(connectorId, jobId, { connectorName: displayName });
  measured.jobs.progressOf.set(jobId, {
    state: 'JS_RUNNING',
    phase: 'x',
    inFlight: [],
    counters: { filesIngested: 5 },
  });
  await connectors.getReconcileJob({ jobId });
  await measured.endJob(connectorId, jobId, { connectorName: displayName, counters: { filesIngested: 8n } as never });
  const text = await (await fetch(`http://${measured.aside.metricsAddress}/metrics`)).text();
  expect(text).toContain(`reconciler_file_changes_total{tenant="default",connector="${displayName}"} 8`);
});
