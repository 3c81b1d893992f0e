import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { WorkflowHandle } from '@temporalio/client';
import type { Progress } from '../../../src/contract/job.ts';
import { WAKE_SIGNAL } from '../../../src/contract/names.ts';
import { busy, fails, hangs, paused, returns, waitUntil } from './behaviours.ts';
import { flat, ReconcileEnvironment } from './reconcile-environment.ts';
import { type Behaviour, cursorTo, manyTables, StubUpstream } from './stub-upstream.ts';

let environment: ReconcileEnvironment;
beforeAll(async () => {
  environment = await ReconcileEnvironment.start();
});
afterAll(() => environment?.[Symbol.asyncDispose]());

const views = { counts: { viewsScanned: 1, viewsChanged: 1 }, failures: [], listed: '0' };
const stillPaused = returns(true);

describe('while its connector is paused', () => {
  it('a job waits with its scan until it is woken, and resumes', async () => {
    const upstream = new StubUpstream({ a: 'changed' }, { b: 'changed' })
      .on('scanTables page 2', paused)
      .on('isPaused', stillPaused, stillPaused);
    const handle = await environment.begin(upstream);
    const looks = (count: number) =>
      waitUntil(() => upstream.work.filter((step) => step === 'isPaused').length === count);
    await looks(1);
    const phase = 'paused: resume it with reconciler connector resume lake';
    expect(await handle.query('progress')).toMatchObject({ state: 'JS_RUNNING', paused: true, phase });
    expect(upstream.records.at(-1)?.progress).toMatchObject({ paused: true, phase });
    await handle.signal(WAKE_SIGNAL);
    await looks(2);
    await handle.signal(WAKE_SIGNAL);
    const progress: Progress = await handle.result();
    expect(upstream.work.filter((step) => !step.startsWith('ingest'))).toEqual([
      ...['scanTables', 'scanTables page 2', 'isPaused', 'isPaused', 'isPaused'],
      ...['scanTables page 2', 'reconcileMissing tables'],
    ]);
    expect(flat(progress)).toMatchObject({ tablesChanged: 2, errors: 0 });
    expect(progress).not.toHaveProperty('paused');
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
      .on('isPaused', async () => {
        inFlight = (await handle?.query<Progress>('progress'))?.inFlight;
      });
    handle = await environment.begin(upstream);
    expect(flat(await handle.result())).toMatchObject({ tablesChanged: 2, errors: 0 });
    expect([...upstream.work].sort()).toEqual([
      ...['ingestTable a', 'ingestTable a', 'ingestTable b', 'ingestTable b', 'isPaused'],
      ...['reconcileMissing tables', 'scanTables'],
    ]);
    expect(inFlight).toEqual([]);
  });

  it('a pack returns what is done; the rest of it waits', async () => {
    const counts = { tablesChanged: 5, snapshotsIngested: 5 };
    const upstream = new StubUpstream(manyTables(40))
      .on('ingestTables t1…t40', returns({ counts, done: 5, again: [] }))
      .on('ingestTables t6…t40', paused);
    const { progress } = await environment.reconcile(upstream);
    expect(upstream.work.slice(1, 5)).toEqual([
      ...['ingestTables t1…t40', 'ingestTables t6…t40', 'isPaused', 'ingestTables t6…t40'],
    ]);
    expect(progress).toMatchObject({ tablesChanged: 40, snapshotsIngested: 40 });
  });

  it('file groups wait; those that are in stay', async () => {
    const upstream = new StubUpstream({ big: { split: 3 } }).on('ingestFileGroup big 2', paused);
    const { progress } = await environment.reconcile(upstream);
    expect(upstream.work.slice(1, -1)).toEqual([
      ...['ingestTable big', 'ingestFileGroup big 1', 'ingestFileGroup big 2', 'isPaused'],
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
    expect(upstream.work.filter((step) => /Views|isPaused/.test(step))).toEqual([
      ...['reconcileViews', 'reconcileViews page 2', 'isPaused', 'reconcileViews page 2'],
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
      ...['reconcileMissing tables', 'isPaused', 'reconcileMissing tables'],
      ...['dropGone', 'isPaused', 'dropGone'],
    ]);
  });
});

describe('a cancelled job', () => {
  /** The connector is released last, and only when everything that read or wrote has stopped. */
  function expectStopped(upstream: StubUpstream, ...running: string[]): void {
    const stopped = running.map((step) => `${step} stopped`);
    const at = upstream.steps.findIndex((step) => step.endsWith(' stopped'));
    expect(upstream.steps.slice(at, at + running.length).sort()).toEqual(stopped.sort());
    expect(upstream.steps.slice(at + running.length)).toEqual(['endJob JS_CANCELLED']);
  }

  it('ends while it waits for the connector', async () => {
    const upstream = new StubUpstream({ a: 'changed' }).on('beginJob', async (call) => {
      await environment.cancelsJob(call);
      return busy(call);
    });
    const { failure, progress } = await environment.reconcile(upstream);
    expect(failure).toMatchObject({ type: 'CANCELLED' });
    expect(upstream.steps).toEqual(['beginJob', 'endJob JS_CANCELLED']);
    expect(upstream.inputsOf('endJob')[0]).not.toHaveProperty('epoch');
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
    expect(message).toBe('Cancelled after 1 changed table; what was ingested is kept');
    expect(progress).toMatchObject({ state: 'JS_CANCELLED', tablesChanged: 1, errors: 0, inFlight: [] });
  });

  it('ends in the middle of packs, and begins no other', async () => {
    const upstream = new StubUpstream(manyTables(80)).withConnector({ maxParallel: 2 });
    upstream.on('ingestTables t1…t40', hangs).on('ingestTables t41…t80', async (call) => {
      await waitUntil(() => upstream.steps.includes('ingestTables t1…t40'));
      return environment.hangsUntilJobIsCancelled(call);
    });
    const { progress } = await environment.reconcile(upstream);
    expectStopped(upstream, 'ingestTables t1…t40', 'ingestTables t41…t80');
    expect(progress).toMatchObject({ state: 'JS_CANCELLED', tablesChanged: 0, errors: 0 });
  });

  it('keeps what a pack has done', async () => {
    const upstream = new StubUpstream(manyTables(40)).on('ingestTables t1…t40', async (call) => {
      await environment.cancelsJob(call);
      return { counts: { tablesChanged: 7 }, done: 7, again: [] };
    });
    const { progress } = await environment.reconcile(upstream);
    expect(progress).toMatchObject({ state: 'JS_CANCELLED', tablesChanged: 7 });
    expect(upstream.steps.at(-1)).toBe('endJob JS_CANCELLED');
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
    const upstream = new StubUpstream({ a: 'changed' }).on('scanTables', paused).on('isPaused', async (call) => {
      await environment.cancelsJob(call);
      return true;
    });
    const { progress } = await environment.reconcile(upstream);
    expect(upstream.steps.slice(-2)).toEqual(['isPaused', 'endJob JS_CANCELLED']);
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
