import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { WorkflowHandle } from '@temporalio/client';
import { WorkflowUpdateFailedError } from '@temporalio/client';
import type { ApplicationFailure } from '@temporalio/common';
import type { Progress } from '../../../src/contract/job.ts';
import { REPORT_SIGNAL } from '../../../src/contract/names.ts';
import { claimLost, hangs, waitUntil } from './behaviours.ts';
import { flat, ReconcileEnvironment } from './reconcile-environment.ts';
import { type Behaviour, manyTables, StubUpstream } from './stub-upstream.ts';

let environment: ReconcileEnvironment;
beforeAll(async () => {
  environment = await ReconcileEnvironment.start();
});
afterAll(() => environment?.[Symbol.asyncDispose]());

const progressOf = (handle: WorkflowHandle) => handle.query<Progress>('progress');
const update = (handle: WorkflowHandle, name: string, arg: unknown) => handle.executeUpdate(name, { args: [arg] });

describe('people', () => {
  it('pause a job with a signal: what is in flight ends, nothing else begins; and resume it', async () => {
    let handle: WorkflowHandle | undefined;
    const upstream = new StubUpstream({ a: 'changed', b: 'changed' }, { c: 'changed' });
    upstream.on('ingestTable a', async () => {
      await handle?.signal('pause');
    });
    handle = await environment.begin(upstream);
    await waitUntil(() => upstream.records.at(-1)?.progress.paused === true);
    const progress = await progressOf(handle);
    expect(progress).toMatchObject({ paused: true, inFlight: [], counters: { tablesChanged: 1 } });
    expect(progress.phase).toBe(
      `paused in Temporal: resume it with temporal workflow signal --name resume --workflow-id ${handle.workflowId}`,
    );
    const begun = upstream.work.length;
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(upstream.work.length).toBe(begun);
    await handle.signal('resume');
    expect(flat(await handle.result())).toMatchObject({ tablesChanged: 3, errors: 0 });
  });

  it('cancel a job that they have paused', async () => {
    const upstream = new StubUpstream({ a: 'changed' });
    const handle = await environment.begin(upstream);
    await handle.signal('pause');
    await waitUntil(() => upstream.records.at(-1)?.progress.paused === true);
    await handle.cancel();
    await expect(handle.result()).rejects.toThrow();
    expect(upstream.steps.at(-1)).toBe('endJob JS_CANCELLED');
  });

  it('set how many tables are ingested at once', async () => {
    let handle: WorkflowHandle | undefined;
    let answer: unknown;
    const upstream = new StubUpstream({ first: 'changed', ...manyTables(9) }).with({ ingestMs: 30 });
    upstream.on('ingestTable first', async () => {
      answer = await update(handle!, 'setMaxParallel', 3);
    });
    handle = await environment.begin(upstream);
    await handle.result();
    expect(answer).toBe('At most 3 at once, in this job');
    expect(upstream.mostAtOnce('ingestTable')).toBe(3);
  });

  it('skip a table before it begins, and one that is in flight; both count as failed', async () => {
    let handle: WorkflowHandle | undefined;
    const upstream = new StubUpstream({ a: 'changed', b: 'changed', c: 'changed' });
    upstream.on('ingestTable a', async (call) => {
      await update(handle!, 'skipTable', 'sales.b');
      await update(handle!, 'skipTable', 'sales.a');
      return hangs(call);
    });
    handle = await environment.begin(upstream);
    await expect(handle.result()).rejects.toThrow();
    expect(upstream.work.filter((step) => step.startsWith('ingest'))).toEqual([
      ...['ingestTable a', 'ingestTable a stopped', 'ingestTable c'],
    ]);
    const failures = upstream.records.at(-1)?.failures.map(({ table, code }) => [table, code]);
    expect(failures?.sort()).toEqual([
      ['sales.a', 'CANCELLED'],
      ['sales.b', 'CANCELLED'],
    ]);
    expect(flat(upstream.records.at(-1)!.progress)).toMatchObject({ tablesChanged: 1, errors: 2 });
  });

  it('skip a table of a pack', async () => {
    let handle: WorkflowHandle | undefined;
    const upstream = new StubUpstream(manyTables(40)).on('scanTables', async () => {
      await update(handle!, 'skipTable', 'sales.t7');
    });
    handle = await environment.begin(upstream);
    await expect(handle.result()).rejects.toThrow();
    expect(upstream.inputsOf('ingestTables')[0]?.tables.length).toBe(39);
    expect(flat(upstream.records.at(-1)!.progress)).toMatchObject({ tablesChanged: 39, errors: 1 });
  });

  it.each([
    ['setMaxParallel', 0, 'setMaxParallel takes a whole number from 1 to 64, not 0.'],
    ['setMaxParallel', '8', 'setMaxParallel takes a whole number from 1 to 64, not "8".'],
    ['skipTable', '', 'skipTable takes the name of a table as the progress shows it, for example "sales.orders".'],
  ])('are told what is wrong with an update: %s %p', async (name, arg, message) => {
    let handle: WorkflowHandle | undefined;
    let refused: unknown;
    const upstream = new StubUpstream({ a: 'changed' }).on('ingestTable a', async () => {
      refused = await update(handle!, name, arg).catch((error) => error);
    });
    handle = await environment.begin(upstream);
    await handle.result();
    expect(refused).toBeInstanceOf(WorkflowUpdateFailedError);
    expect(((refused as WorkflowUpdateFailedError).cause as ApplicationFailure).message).toBe(message);
  });

  it('see in the UI what queries, signals and updates do', async () => {
    const upstream = new StubUpstream({ a: 'changed' });
    const handle = await environment.begin(upstream);
    await handle.result();
    const { definition } = await handle.query<{
      definition: Record<string, { name: string; description?: string }[]>;
    }>('__temporal_workflow_metadata');
    const all = [definition.queryDefinitions, definition.signalDefinitions, definition.updateDefinitions].flat();
    const ours = all.filter((one) => one && !one.name.startsWith('__'));
    expect(ours.map((one) => one?.name).sort()).toEqual([
      ...['failures', 'pause', 'progress', 'report', 'resume', 'setMaxParallel', 'skipTable', 'wake'],
    ]);
    for (const one of ours) expect(one?.description).toMatch(/\w+ .*[.:]/);
  });
});

describe('a job whose claim is lost, since it was reset', () => {
  it.each(['scanTables', 'ingestTable a', 'reconcileMissing tables'])(
    'claims again in %s, and repeats only that',
    async (step) => {
      const upstream = new StubUpstream({ a: 'changed' }).on(step, claimLost);
      const { failure, progress } = await environment.reconcile(upstream);
      expect(failure).toBeUndefined();
      const at = upstream.steps.indexOf(step);
      expect(upstream.steps.slice(at, at + 3)).toEqual([step, 'beginJob', step]);
      expect(upstream.inputsOf('beginJob')[1]).toMatchObject({ hasDestination: true });
      const again = upstream.calls
        .filter((call) => call.step === step)
        .map(({ input }) => (input as { epoch: number }).epoch);
      expect(again).toEqual([1, 2]);
      expect(progress).toMatchObject({ state: 'JS_SUCCEEDED', tablesChanged: 1, errors: 0 });
    },
  );

  it('claims once for all tables that were in flight', async () => {
    const upstream = new StubUpstream({ a: 'changed', b: 'changed' }).withConnector({ maxParallel: 2 });
    const both: Behaviour = async (call) => {
      await waitUntil(() => upstream.work.length === 3);
      return claimLost(call);
    };
    upstream.on('ingestTable a', both).on('ingestTable b', both);
    expect((await environment.reconcile(upstream)).progress).toMatchObject({ tablesChanged: 2, errors: 0 });
    expect(upstream.steps.filter((step) => step === 'beginJob').length).toBe(2);
  });

  it('claims again at its very end, and ends as it would have', async () => {
    const upstream = new StubUpstream({ a: 'broken' }).on('endJob JS_FAILED', claimLost);
    const { failure, progress } = await environment.reconcile(upstream);
    expect(upstream.steps.slice(-3)).toEqual(['endJob JS_FAILED', 'beginJob', 'endJob JS_FAILED']);
    expect(failure).toMatchObject({ type: 'PARTIAL_FAILURE' });
    expect(progress).toMatchObject({ state: 'JS_FAILED', errors: 1 });
  });
});

describe('what workers report of running steps', () => {
  it.each([[undefined], [null], [{ 1: null }], ['x'], [{ 2: { filesIngested: 'many' } }]])(
    'is ignored if it is not a report: %j',
    async (report) => {
      let handle: WorkflowHandle | undefined;
      const upstream = new StubUpstream({ a: 'changed' }).on('ingestTable a', async () => {
        await handle?.signal(REPORT_SIGNAL, report);
      });
      handle = await environment.begin(upstream);
      expect(flat(await handle.result())).toMatchObject({ state: 'JS_SUCCEEDED', filesIngested: 2 });
    },
  );

  it('is in the progress at once, and is never counted twice', async () => {
    let handle: WorkflowHandle | undefined;
    const seen: Progress['counters'][] = [];
    const upstream = new StubUpstream({ a: 'changed' }).on('ingestTable a', async ({ input }) => {
      const { step } = input as { step: string };
      for (const filesIngested of [10, 70]) {
        await handle?.signal(REPORT_SIGNAL, { [step]: { filesIngested, bytesRead: 5 } });
        seen.push((await progressOf(handle!)).counters);
      }
      return { changed: true, counts: { filesIngested: 80, snapshotsIngested: 1, bytesRead: 6 } };
    });
    handle = await environment.begin(upstream);
    const progress = flat(await handle.result());
    expect(seen).toMatchObject([{ filesIngested: 10, bytesRead: 5 }, { filesIngested: 70 }]);
    expect(progress).toMatchObject({ filesIngested: 80, bytesRead: 6, snapshotsIngested: 1 });
    const { events } = await handle.fetchHistory();
    expect(events?.filter((event) => event.workflowExecutionSignaledEventAttributes).length).toBe(2);
  });
});
