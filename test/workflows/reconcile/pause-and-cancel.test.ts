import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { WorkflowHandle } from '@temporalio/client';
import type { Progress } from '../../../src/contract/job.ts';
import {
  busyForAMinute,
  fails,
  hangs,
  paused,
  pausedForAMinute,
  returns,
  stillPaused,
  waitUntil,
} from './behaviours.ts';
import { flat, ReconcileEnvironment } from './reconcile-environment.ts';
import { type Behaviour, cursorTo, manyTables, StubUpstream } from './stub-upstream.ts';

let environment: ReconcileEnvironment;
beforeAll(async () => {
  environment = await ReconcileEnvironment.start();
});
afterAll(() => environment?.[Symbol.asyncDispose]());

const done = { changed: true, snapshots: 1, files: 2, bytesRead: 100 };
const views = { scanned: 1, changed: 1, errors: 0, failures: [] };

describe('while its connector is paused', () => {
  it('a job waits with its scan, which costs no history, and resumes', async () => {
    let meanwhile: Progress | undefined;
    let handle: WorkflowHandle | undefined;
    const upstream = new StubUpstream({ a: 'changed' }, { b: 'changed' })
      .on('scanTables page 2', paused)
      .on('awaitActive', stillPaused, stillPaused, async () => {
        meanwhile = await handle?.query<Progress>('progress');
      });
    handle = await environment.begin(upstream);
    const progress: Progress = await handle.result();
    expect(upstream.work.filter((step) => !step.startsWith('ingest'))).toEqual([
      ...['scanTables', 'scanTables page 2'],
      ...['awaitActive', 'awaitActive (attempt 2)', 'awaitActive (attempt 3)'],
      ...['scanTables page 2', 'reconcileMissing tables'],
    ]);
    const phase = 'paused: resume it with reconciler connector resume lake';
    expect(meanwhile).toMatchObject({ state: 'JS_RUNNING', paused: true, phase });
    expect(flat(progress)).toMatchObject({ tablesChanged: 2, errors: 0 });
    expect(progress).not.toHaveProperty('paused');
    const { events } = await handle.fetchHistory();
    const scheduled = events?.flatMap((event) => event.activityTaskScheduledEventAttributes?.activityType?.name ?? []);
    expect(scheduled?.filter((name) => name === 'awaitActive').length).toBe(1);
  });

  it('tables wait together, are not in flight, and then run again', async () => {
    let inFlight: string[] | undefined;
    let handle: WorkflowHandle | undefined;
    const upstream = new StubUpstream({ a: 'changed', b: 'changed' }).withConnector({ maxParallel: 2 });
    const bothStarted = () => waitUntil(() => upstream.work.filter((step) => /^ingestTable/.test(step)).length === 2);
    const pausedTogether: Behaviour = async (call) => {
      await bothStarted();
      return paused(call);
    };
    upstream
      .on('ingestTable a', pausedTogether)
      .on('ingestTable b', pausedTogether)
      .on('awaitActive', async () => {
        await waitUntil(() => upstream.work.length >= 4);
        inFlight = (await handle?.query<Progress>('progress'))?.inFlight;
      });
    handle = await environment.begin(upstream);
    expect(flat(await handle.result())).toMatchObject({ tablesChanged: 2, errors: 0 });
    expect(upstream.work.filter((step) => step.startsWith('awaitActive'))).toEqual(['awaitActive']);
    expect([...upstream.work].sort()).toEqual([
      ...['awaitActive', 'ingestTable a', 'ingestTable a', 'ingestTable b', 'ingestTable b'],
      ...['reconcileMissing tables', 'scanTables'],
    ]);
    expect(inFlight).toEqual([]);
  });

  it('a pack returns what is done; the rest of it waits', async () => {
    const upstream = new StubUpstream(manyTables(40))
      .on('ingestTables t1…t20', returns(Array(5).fill(done)))
      .on('ingestTables t6…t20', paused);
    const { progress } = await environment.reconcile(upstream);
    expect(upstream.work.filter((step) => step !== 'scanTables').slice(0, 4)).toEqual([
      ...['ingestTables t1…t20', 'ingestTables t6…t20', 'awaitActive', 'ingestTables t6…t20'],
    ]);
    expect(progress).toMatchObject({ tablesChanged: 40, snapshotsIngested: 40 });
  });

  it('file groups wait; those that are in stay', async () => {
    const upstream = new StubUpstream({ big: { split: 3 } }).on('ingestFileGroup big 2', paused);
    const { progress } = await environment.reconcile(upstream);
    expect(upstream.work.slice(1, -1)).toEqual([
      ...['ingestTable big', 'ingestFileGroup big 1', 'ingestFileGroup big 2', 'awaitActive'],
      ...['ingestFileGroup big 2', 'ingestFileGroup big 3', 'ingestTable big'],
    ]);
    expect(progress).toMatchObject({ tablesChanged: 1, filesIngested: 15 });
  });

  it('views stop with a cursor, wait, and resume there', async () => {
    const upstream = new StubUpstream({ a: 'changed' })
      .with({ views })
      .on('reconcileViews', returns({ ...views, cursor: cursorTo(2) }))
      .on('reconcileViews page 2', paused);
    const { progress } = await environment.reconcile(upstream);
    expect(upstream.work.filter((step) => /Views|await/.test(step))).toEqual([
      ...['reconcileViews', 'reconcileViews page 2', 'awaitActive', 'reconcileViews page 2'],
    ]);
    expect(progress).toMatchObject({ viewsScanned: 2, viewsChanged: 2 });
  });

  it('nothing is marked missing or dropped', async () => {
    const upstream = new StubUpstream({ a: 'changed' })
      .withConnector({ drops: true })
      .on('reconcileMissing tables', paused)
      .on('dropGone', paused);
    expect((await environment.reconcile(upstream)).failure).toBeUndefined();
    expect(upstream.work.slice(2)).toEqual([
      ...['reconcileMissing tables', 'awaitActive', 'reconcileMissing tables'],
      ...['dropGone', 'awaitActive', 'dropGone'],
    ]);
  });
});

describe('a cancelled job', () => {
  /** The connector is released last, and only when everything that read or wrote has stopped. */
  function expectStopped(upstream: StubUpstream, ...running: string[]): void {
    const stopped = running.map((step) => `${step} stopped`);
    const at = upstream.steps.findIndex((step) => step.endsWith(' stopped'));
    expect(upstream.steps.slice(at, at + running.length).sort()).toEqual(stopped.sort());
    expect(upstream.steps.slice(at + running.length)).toEqual(['recordJob JS_CANCELLED', 'releaseConnector']);
  }

  it('ends while it waits for the connector', async () => {
    const upstream = new StubUpstream({ a: 'changed' }).on('claimConnector', async (call) => {
      await environment.cancelsJob(call);
      return busyForAMinute(call);
    });
    const { failure, progress } = await environment.reconcile(upstream);
    expect(failure).toMatchObject({ type: 'CANCELLED' });
    expect(upstream.steps.slice(2)).toEqual(['claimConnector', 'recordJob JS_CANCELLED', 'releaseConnector']);
    expect(progress).toMatchObject({ state: 'JS_CANCELLED', tablesScanned: 0, errors: 0 });
    expect(upstream.records.at(-1)).toMatchObject({ finishedAtMs: expect.any(Number) });
    expect(upstream.records.at(-1)?.startedAtMs).toBeUndefined();
  });

  it('ends in the middle of a page, with the tables that are in flight', async () => {
    const upstream = new StubUpstream({ a: 'changed', b: 'changed' }, { c: 'changed' })
      .on('ingestTable b', hangs)
      .on('scanTables page 2', environment.hangsUntilJobIsCancelled);
    const { failure, progress, message } = await environment.reconcile(upstream);
    expect(failure).toMatchObject({ type: 'CANCELLED' });
    expectStopped(upstream, 'scanTables page 2', 'ingestTable b');
    expect(message).toBe('Cancelled after 1 changed table; what came in stays');
    expect(progress).toMatchObject({ state: 'JS_CANCELLED', tablesChanged: 1, errors: 0, inFlight: [] });
  });

  it('ends in the middle of packs, and begins no other', async () => {
    const upstream = new StubUpstream(manyTables(80)).withConnector({ maxParallel: 2 });
    upstream.on('ingestTables t1…t20', hangs).on('ingestTables t21…t40', async (call) => {
      await waitUntil(() => upstream.steps.includes('ingestTables t1…t20'));
      return environment.hangsUntilJobIsCancelled(call);
    });
    const { progress } = await environment.reconcile(upstream);
    expectStopped(upstream, 'ingestTables t1…t20', 'ingestTables t21…t40');
    expect(progress).toMatchObject({ state: 'JS_CANCELLED', tablesChanged: 0, errors: 0 });
  });

  it('keeps what a pack has done', async () => {
    const upstream = new StubUpstream(manyTables(40)).on('ingestTables t1…t20', async (call) => {
      await environment.cancelsJob(call);
      return Array(7).fill(done);
    });
    const { progress } = await environment.reconcile(upstream);
    expect(progress).toMatchObject({ state: 'JS_CANCELLED', tablesChanged: 7 });
    expect(upstream.steps.slice(-2)).toEqual(['recordJob JS_CANCELLED', 'releaseConnector']);
  });

  it('ends in the middle of file groups', async () => {
    const upstream = new StubUpstream({ big: { split: 3 } }).on(
      'ingestFileGroup big 2',
      environment.hangsUntilJobIsCancelled,
    );
    const { progress } = await environment.reconcile(upstream);
    expectStopped(upstream, 'ingestFileGroup big 2');
    expect(progress).toMatchObject({ state: 'JS_CANCELLED', filesIngested: 5, errors: 0 });
  });

  it('ends while it is paused', async () => {
    const upstream = new StubUpstream({ a: 'changed' }).on('scanTables', paused).on('awaitActive', async (call) => {
      await environment.cancelsJob(call);
      return pausedForAMinute(call);
    });
    const { progress } = await environment.reconcile(upstream);
    expect(upstream.steps.slice(-3)).toEqual(['awaitActive', 'recordJob JS_CANCELLED', 'releaseConnector']);
    expect(progress).not.toHaveProperty('paused');
  });

  it('marks nothing missing, even if its last table still succeeds', async () => {
    const upstream = new StubUpstream({ a: 'changed' }).on('ingestTable a', async (call) => {
      await environment.cancelsJob(call);
    });
    const { progress } = await environment.reconcile(upstream);
    expect(upstream.work).toEqual(['scanTables', 'ingestTable a']);
    expect(progress).toMatchObject({ state: 'JS_CANCELLED', tablesChanged: 1 });
  });

  it('is cancelled even if no step is left that the cancel could end', async () => {
    const upstream = new StubUpstream({ a: 'unchanged' }).on('scanTables', environment.cancelsJob);
    const { failure } = await environment.reconcile(upstream, { dryRun: true, scope: { table: 'a' } });
    expect(failure).toMatchObject({ type: 'CANCELLED' });
    expect(upstream.work).toEqual(['scanTables']);
  });

  it('is cancelled and not failed if a step then fails for another reason', async () => {
    const upstream = new StubUpstream({ a: 'changed' }).on('reconcileMissing tables', async (call) => {
      await environment.cancelsJob(call);
      return fails('FAILED_PRECONDITION', 'the connector is being deleted')(call);
    });
    const { failure, progress } = await environment.reconcile(upstream);
    expect(failure).toMatchObject({ type: 'CANCELLED' });
    expect(progress).toMatchObject({ state: 'JS_CANCELLED', errors: 0 });
  });
});
