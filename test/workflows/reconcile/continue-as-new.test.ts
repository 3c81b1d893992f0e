import { afterAll, beforeAll, expect, it } from '@jest/globals';
import type { WorkflowHandle } from '@temporalio/client';
import type { Progress, TableFailure } from '../../../src/contract/job.ts';
import { jobRuns } from '../../synthetic/job-runs.ts';
import { waitUntil } from './behaviours.ts';
import { ReconcileEnvironment } from './reconcile-environment.ts';
import { manyTables, StubUpstream, type TableState } from './stub-upstream.ts';

/** Instead of Temporal's 4,096, so that a few steps fill a history. */
const EVENTS = 60;

let environment: ReconcileEnvironment;
beforeAll(async () => {
  environment = await ReconcileEnvironment.start(`limit.historyCount.suggestContinueAsNew=${EVENTS}`);
});
afterAll(() => environment?.[Symbol.asyncDispose]());

/** The events of each run of the job. */
async function runsOf(jobId: string): Promise<number[]> {
  const runs = [];
  for await (const { events } of jobRuns(environment.temporal.client, jobId)) runs.push(events.length);
  return runs;
}

const countOf = ({ steps }: StubUpstream, step: string) => steps.filter((one) => one === step).length;

it('a job continues as new at a page boundary, once its history is full, with all that it has counted', async () => {
  const page = (i: number): Record<string, TableState> => ({ [`c${i}`]: 'changed', [`u${i}`]: 'unchanged' });
  const upstream = new StubUpstream(...Array.from({ length: 12 }, (_, i) => page(i))).with({
    destination: { catalogId: 'cat_1', namespaceId: 'ns_1', before: { tables: 24, views: 0 } },
  });
  const { jobId, progress } = await environment.reconcile(upstream);
  const runs = await runsOf(jobId);
  expect(runs.length).toBeGreaterThan(1);
  // What was in flight at the boundary still ends in the same run.
  expect(Math.max(...runs)).toBeLessThan(2 * EVENTS);
  // Each run claims for itself; the destination stays.
  expect(countOf(upstream, 'beginJob')).toBe(runs.length);
  const [first, ...others] = upstream.inputsOf('beginJob').map(({ hasDestination }) => hasDestination);
  expect([first, new Set(others)]).toEqual([false, new Set([true])]);
  expect(upstream.inputsOf('endJob')).toMatchObject([{ epoch: runs.length, bind: { catalogId: 'cat_1' } }]);
  expect(upstream.work.filter((step) => step.startsWith('scanTables')).length).toBe(12);
  expect(upstream.work.filter((step) => step.startsWith('ingestTable')).length).toBe(12);
  expect(progress).toMatchObject({ tablesScanned: 24, tablesChanged: 12, tablesUnchanged: 12, tablesExpected: 24 });
  const begun = upstream.records.filter(({ startedAtMs }) => startedAtMs !== undefined);
  const starts = new Set(begun.map(({ startedAtMs }) => startedAtMs));
  expect(starts.size).toBe(1);
});

it('the listing is carried over, so that nothing is taken for gone', async () => {
  const upstream = new StubUpstream(...Array.from({ length: 20 }, (_, i) => manyTables(2, 'unchanged', 2 * i)));
  const { jobId } = await environment.reconcile(upstream);
  expect((await runsOf(jobId)).length).toBeGreaterThan(1);
  const listed = upstream.inputsOf('scanTables').map((input) => input.listed);
  expect(listed).toEqual(Array.from({ length: 20 }, (_, i) => String(20 * i)));
});

it('tables that failed in packs run by themselves in as many runs as it takes; each failure is counted and recorded once', async () => {
  const upstream = new StubUpstream({ ...manyTables(60, 'broken'), t30: 'flaky' });
  const { jobId, progress, failure } = await environment.reconcile(upstream);
  const runs = await runsOf(jobId);
  expect(runs.length).toBeGreaterThan(2);
  expect(Math.max(...runs)).toBeLessThan(2 * EVENTS);
  expect(failure?.message).toMatch(/^Partial failure \(59\): sales\.t1: the manifest is truncated;/);
  expect(progress).toMatchObject({ tablesScanned: 60, tablesChanged: 1, errors: 59 });
  const recorded = upstream.records.flatMap(({ failures }) => failures.map(({ table }) => table));
  expect(recorded.length).toBe(59);
  expect(new Set(recorded).size).toBe(59);
  expect(upstream.work.filter((step) => step.startsWith('ingestTable ')).length).toBe(60);
  const handle = environment.temporal.client.workflow.getHandle(jobId);
  expect((await handle.query<TableFailure[]>('failures')).length).toBe(50);
  expect((await handle.query<Progress>('progress')).counters.errors).toBe(59);
});

it('tables that are split side by side go over with the groups that the history has no room for', async () => {
  const tables = { a: { split: 16 }, b: { split: 16 }, c: { split: 16 }, d: { split: 16 } };
  const upstream = new StubUpstream(tables).withConnector({ maxParallel: 8 });
  const { jobId, progress, failure } = await environment.reconcile(upstream);
  const runs = await runsOf(jobId);
  expect(runs.length).toBeGreaterThan(1);
  // Eight steps end after the history is overfull.
  expect(Math.max(...runs)).toBeLessThan(2.5 * EVENTS);
  expect(failure).toBeUndefined();
  // Each group once, but for tables that had no run left in which to be split.
  const groups = upstream.work.filter((step) => step.startsWith('ingestFileGroup'));
  expect(groups.length).toBeGreaterThan(16);
  expect(new Set(groups).size).toBe(groups.length);
  expect(progress).toMatchObject({ tablesScanned: 4, tablesChanged: 4, errors: 0 });
});

it('a table is not split once the history is full, while others go on beside a slow one', async () => {
  const upstream = new StubUpstream({ slow: 'changed', ...manyTables(9), last: { split: 30 } });
  upstream.withConnector({ maxParallel: 2 }).on('ingestTable slow', async () => {
    await waitUntil(() => upstream.steps.includes('ingestTable last'));
  });
  const { failure } = await environment.reconcile(upstream);
  expect(failure).toBeUndefined();
  const asked = upstream.inputsOf('ingestTable');
  // Two begin at once, in any order.
  expect(asked.find(({ table }) => table.name === 'slow')).toMatchObject({ split: true });
  expect(asked.at(-1)).toMatchObject({ table: { name: 'last' }, split: false });
  expect(upstream.work.some((step) => step.startsWith('ingestFileGroup'))).toBe(false);
});

it('a slow table does not hold up the others: it goes over to the next run at the end of its slice', async () => {
  const quick = Array.from({ length: 14 }, (_, i) => ({ [`a${i}`]: 'changed', [`b${i}`]: 'changed' }) as const);
  const upstream = new StubUpstream({ slow: { slices: 3 } }, ...quick).withConnector({ maxParallel: 2 });
  // Its first slice lasts until the history is full and others have gone on beside it.
  upstream.on('ingestTable slow', async () => {
    await waitUntil(() => upstream.steps.filter((step) => step.startsWith('ingestTable')).length > 8);
  });
  const { jobId, progress } = await environment.reconcile(upstream);
  const runs = await runsOf(jobId);
  expect(runs.length).toBeGreaterThan(1);
  expect(Math.max(...runs)).toBeLessThan(2 * EVENTS);
  expect(upstream.inputsOf('ingestTable').filter(({ table }) => table.name === 'slow').length).toBe(3);
  expect(progress).toMatchObject({ tablesScanned: 29, tablesChanged: 29, errors: 0 });
});

it('what people have set goes over to the next run', async () => {
  const upstream = new StubUpstream(...Array.from({ length: 14 }, (_, i) => ({ [`t${i}`]: 'changed' }) as const));
  let handle: WorkflowHandle | undefined;
  upstream.on('scanTables', async () => {
    await handle?.executeUpdate('skipTable', { args: ['sales.t13'] });
  });
  handle = await environment.begin(upstream);
  await expect(handle.result()).rejects.toThrow(/Workflow execution failed/);
  expect((await runsOf(handle.workflowId)).length).toBeGreaterThan(1);
  expect(upstream.steps).not.toContain('ingestTable t13');
});
