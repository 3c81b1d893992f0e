import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { WorkflowHandle } from '@temporalio/client';
import type { Progress } from '../../../src/contract/job.ts';
import { WAKE_SIGNAL } from '../../../src/contract/names.ts';
import { type JobRun, jobRuns } from '../../synthetic/job-runs.ts';
import { busy, claimLost, fails, paused, returns, waitUntil } from '../../workflows/reconcile/behaviours.ts';
import { flat, type ReconcileEnvironment } from '../../workflows/reconcile/reconcile-environment.ts';
import { type Behaviour, StubUpstream } from '../../workflows/reconcile/stub-upstream.ts';
import { HOUR_MS, MINUTE_MS, startTimeSkipping } from './time-skipping.ts';

let environment: ReconcileEnvironment;
beforeAll(async () => {
  environment = await startTimeSkipping();
});
afterAll(() => environment?.[Symbol.asyncDispose]());

/** A wait of an hour: 13 looks, and what comes with a claim. */
const MAX_EVENTS_PER_HOUR = 250;
const WAITING = 'waiting for job job-0, which has the connector or came first';

const now = () => environment.temporal.currentTimeMs();
const sleep = (ms: number) => environment.temporal.sleep(ms);
const times = (count: number, behaviour: Behaviour) => Array.from({ length: count }, () => behaviour);
const countOf = ({ steps }: StubUpstream, step: string) => steps.filter((one) => one === step).length;
const progressOf = (handle: WorkflowHandle) => handle.query<Progress>('progress');

async function runsOf({ workflowId }: WorkflowHandle): Promise<JobRun[]> {
  const runs = [];
  for await (const run of jobRuns(environment.temporal.client, workflowId)) runs.push(run);
  return runs;
}

/** A wait goes over to another run each hour, so no history grows with the time that passes. */
function expectHourly(runs: JobRun[], hours: number): void {
  expect(runs.length).toBeGreaterThanOrEqual(hours);
  expect(runs.length).toBeLessThanOrEqual(hours + 1);
  expect(Math.max(...runs.map(({ events }) => events.length))).toBeLessThan(MAX_EVENTS_PER_HOUR);
}

describe('a job that waits for its connector', () => {
  it('looks again every five minutes, without any signal', async () => {
    const looks: number[] = [];
    const look: Behaviour = async (call) => {
      looks.push(await now());
      return busy(call);
    };
    const upstream = new StubUpstream({ a: 'changed' }).on('beginJob', ...times(7, look));
    const handle = await environment.begin(upstream);
    await waitUntil(() => looks.length === 1);
    await sleep(31 * MINUTE_MS);
    expect(looks.map((at) => Math.round((at - looks[0]!) / MINUTE_MS))).toEqual([0, 5, 10, 15, 20, 25, 30]);
    expect(await progressOf(handle)).toMatchObject({ state: 'JS_QUEUED', phase: WAITING });
    expect(flat(await handle.result())).toMatchObject({ state: 'JS_SUCCEEDED', tablesChanged: 1 });
    expect(countOf(upstream, 'beginJob')).toBe(8);
  });

  it('continues as new each hour, and gets it in a later run', async () => {
    const end = (await now()) + 4 * HOUR_MS;
    const untilEnd: Behaviour = async (call) => ((await now()) < end ? busy(call) : undefined);
    const upstream = new StubUpstream({ a: 'changed' }).on('beginJob', ...times(60, untilEnd));
    const handle = await environment.begin(upstream, { trigger: 'schedule', full: true });
    await sleep(3.5 * HOUR_MS);
    expect(await progressOf(handle)).toMatchObject({ state: 'JS_QUEUED', phase: WAITING });
    expect(flat(await handle.result())).toMatchObject({ state: 'JS_SUCCEEDED', tablesChanged: 1 });
    const runs = await runsOf(handle);
    expectHourly(runs, 4);
    const begun = upstream.inputsOf('beginJob');
    expect(new Set(begun.map(({ request }) => JSON.stringify(request))).size).toBe(1);
    expect(begun.at(-1)).toMatchObject({
      request: { trigger: 'schedule', full: true },
      record: { connectorId: 'con_lake', message: WAITING, progress: { state: 'JS_QUEUED' } },
      hasDestination: false,
    });
    expect(begun.at(-1)?.record.startedAtMs).toBeUndefined();
    expect(new Set(begun.map(({ record }) => record.runId))).toEqual(new Set([runs[0]?.runId]));
    // It began when it got its connector.
    expect(upstream.records.at(-1)?.startedAtMs).toBeGreaterThanOrEqual(end);
  });

  it('after it had begun: keeps its start, its counters and its place', async () => {
    const upstream = new StubUpstream({ a: 'changed' }, { b: 'changed' })
      .on('beginJob', returns(undefined), ...times(30, busy))
      .on('scanTables page 2', claimLost);
    const handle = await environment.begin(upstream);
    await sleep(90 * MINUTE_MS);
    expect(await progressOf(handle)).toMatchObject({ state: 'JS_QUEUED', counters: { tablesChanged: 1 } });
    expect(flat(await handle.result())).toMatchObject({ tablesScanned: 2, tablesChanged: 2, errors: 0 });
    expectHourly(await runsOf(handle), 3);
    expect([...upstream.work].sort()).toEqual([
      ...['ingestTable a', 'ingestTable b', 'reconcileMissing tables'],
      ...['scanTables', 'scanTables page 2', 'scanTables page 2'],
    ]);
    const started = new Set(upstream.records.slice(1).map(({ startedAtMs }) => startedAtMs));
    expect(started.size).toBe(1);
    const { startedAtMs = 0, finishedAtMs = 0 } = upstream.records.at(-1)!;
    expect(finishedAtMs - startedAtMs).toBeGreaterThan(2 * HOUR_MS);
  });

  it.each([
    ['ends as it would have', 8, ['scanTables', 'endJob JS_FAILED', 'endJob JS_FAILED']],
    ['after an hour, leaves its record to the catalog', 30, ['scanTables', 'endJob JS_FAILED']],
  ])('at its very end: %s', async (_, looks, steps) => {
    const upstream = new StubUpstream({ a: 'changed' })
      .on('beginJob', returns(undefined), ...times(looks, busy))
      .on('scanTables', fails('DATA_LOSS'))
      .on('endJob JS_FAILED', claimLost);
    const handle = await environment.begin(upstream);
    await sleep(20 * MINUTE_MS);
    expect(await progressOf(handle)).toMatchObject({ state: 'JS_QUEUED', phase: WAITING });
    await expect(handle.result()).rejects.toMatchObject({ cause: { type: 'RECONCILE_FAILED' } });
    expect(upstream.steps.filter((step) => step !== 'beginJob')).toEqual(steps);
    expect((await runsOf(handle)).length).toBe(1);
  });

  it('is woken by a signal that arrives while it looks', async () => {
    let handle: WorkflowHandle | undefined;
    const looks: number[] = [];
    const look: Behaviour = async () => void looks.push(await now());
    const upstream = new StubUpstream({ a: 'changed' }).on(
      'beginJob',
      async (call) => {
        await look(call);
        await waitUntil(() => handle !== undefined);
        await handle?.signal(WAKE_SIGNAL);
        return busy(call);
      },
      look,
    );
    handle = await environment.begin(upstream);
    await handle.result();
    expect(looks.length).toBe(2);
    expect(looks[1]! - looks[0]!).toBeLessThan(4 * MINUTE_MS);
  });
});

describe('a job that is paused for hours', () => {
  const HOURS = 5;
  const pages = [{ a: 'changed', b: 'changed', c: 'changed' }, { d: 'changed' }] as const;

  /** Everything was ingested once, and the listing went on where it was. */
  function expectComplete(upstream: StubUpstream, progress: Progress): void {
    expect(flat(progress)).toMatchObject({ state: 'JS_SUCCEEDED', tablesScanned: 4, tablesChanged: 4, errors: 0 });
    expect(progress).not.toHaveProperty('paused');
    expect(progress.counters).toMatchObject({ snapshotsIngested: 4 });
    expect(upstream.inputsOf('reconcileMissing').length).toBe(1);
    expect(
      new Set(
        upstream
          .inputsOf('beginJob')
          .slice(1)
          .map(({ hasDestination }) => hasDestination),
      ),
    ).toEqual(new Set([true]));
    const ends = upstream.inputsOf('endJob');
    expect(ends.length).toBe(1);
    expect(ends[0]).toMatchObject({ bind: { catalogId: 'cat_1' }, epoch: upstream.epoch - 1 });
  }

  const ingested = (upstream: StubUpstream) =>
    upstream
      .inputsOf('ingestTable')
      .map(({ table }) => table.name)
      .sort();

  /** The job is paused for queries, records and the search attribute, also where one run ends and the next begins. */
  function expectPausedThroughout(upstream: StubUpstream, runs: JobRun[]): void {
    const begun = upstream.inputsOf('beginJob').slice(1);
    expect(begun.length).toBe(runs.length - 1);
    for (const { record } of begun) expect(record.progress).toMatchObject({ state: 'JS_RUNNING', paused: true });
    for (const { events } of runs.slice(1, -1)) {
      expect(events.filter((event) => event.upsertWorkflowSearchAttributesEventAttributes)).toEqual([]);
    }
  }

  it('by its connector: is still paused in each run, and resumes where it was', async () => {
    const end = (await now()) + HOURS * HOUR_MS;
    const isPaused = async () => (await now()) < end;
    const refused: Behaviour = async (call) => ((await isPaused()) ? paused(call) : undefined);
    const upstream = new StubUpstream(...pages)
      .on('ingestTable b', ...times(20, refused))
      .on('isPaused', ...times(100, isPaused));
    const handle = await environment.begin(upstream);
    for (let hour = 0; hour < HOURS - 1; hour++) {
      await sleep(HOUR_MS);
      const phase = 'paused: resume it with reconciler connector resume lake';
      expect(await progressOf(handle)).toMatchObject({ state: 'JS_RUNNING', paused: true, phase });
    }
    const progress: Progress = await handle.result();
    const runs = await runsOf(handle);
    expectHourly(runs, HOURS);
    expectComplete(upstream, progress);
    expectPausedThroughout(upstream, runs);
    // What was refused was not tried again before the connector was active.
    expect(ingested(upstream)).toEqual(['a', 'b', 'b', 'c', 'd']);
    expect(upstream.inputsOf('scanTables').map(({ listed }) => listed)).toEqual(['0', '30']);
  });

  it('between the last group of a table and its end: ingests the table to its end', async () => {
    let handle: WorkflowHandle | undefined;
    const upstream = new StubUpstream({ big: { split: 2 } }).on('ingestFileGroup big 2', async () => {
      await handle?.signal('pause');
    });
    handle = await environment.begin(upstream);
    await sleep(1.5 * HOUR_MS);
    await handle.signal('resume');
    expect(flat(await handle.result())).toMatchObject({ tablesScanned: 1, tablesChanged: 1, errors: 0 });
    expectHourly(await runsOf(handle), 2);
    expect(upstream.work).toEqual([
      ...['scanTables', 'ingestTable big', 'ingestFileGroup big 1', 'ingestFileGroup big 2', 'ingestTable big'],
      'reconcileMissing tables',
    ]);
  });

  it('by a signal: is still paused in each run, and resumes where it was', async () => {
    let handle: WorkflowHandle | undefined;
    const upstream = new StubUpstream(...pages).on('ingestTable a', async () => {
      await waitUntil(() => handle !== undefined);
      await handle?.signal('pause');
    });
    handle = await environment.begin(upstream);
    for (let hour = 0; hour < HOURS; hour++) {
      await sleep(HOUR_MS);
      const phase = expect.stringMatching(/^paused in Temporal: resume it with .* --workflow-id job-/);
      expect(await progressOf(handle)).toMatchObject({ state: 'JS_RUNNING', paused: true, phase });
    }
    expect(upstream.inputsOf('ingestTable').length).toBe(1);
    await handle.signal('resume');
    const progress: Progress = await handle.result();
    const runs = await runsOf(handle);
    expectHourly(runs, HOURS);
    expectComplete(upstream, progress);
    expectPausedThroughout(upstream, runs);
    expect(ingested(upstream)).toEqual(['a', 'b', 'c', 'd']);
  });
});
