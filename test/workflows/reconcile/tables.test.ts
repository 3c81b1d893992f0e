import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { fails, failsOnce, returns, waitUntil } from './behaviours.ts';
import { ReconcileEnvironment } from './reconcile-environment.ts';
import { lossOf, manyTables, StubUpstream } from './stub-upstream.ts';

let environment: ReconcileEnvironment;
beforeAll(async () => {
  environment = await ReconcileEnvironment.start();
});
afterAll(() => environment?.[Symbol.asyncDispose]());

const done = { snapshotsIngested: 12, filesIngested: 24, tablesChanged: 12 };

describe('pages', () => {
  it('are scanned one after the other, and each page’s tables ingested', async () => {
    const upstream = new StubUpstream({ a: 'changed' }, { b: 'unchanged' }, { c: 'changed', d: 'filtered' });
    const { progress } = await environment.reconcile(upstream);
    expect(upstream.work.filter((step) => step.startsWith('scan'))).toEqual([
      'scanTables',
      'scanTables page 2',
      'scanTables page 3',
    ]);
    expect(upstream.work.filter((step) => step.startsWith('ingest'))).toEqual(['ingestTable a', 'ingestTable c']);
    expect(progress).toMatchObject({ tablesScanned: 3, tablesChanged: 2, tablesUnchanged: 1, tablesFiltered: 1 });
  });

  it('are scanned while slow tables of earlier pages are still being ingested', async () => {
    const upstream = new StubUpstream({ slow: 'changed' }, { a: 'unchanged' }, { b: 'unchanged' });
    upstream.on('ingestTable slow', () => waitUntil(() => upstream.steps.includes('scanTables page 3')));
    expect((await environment.reconcile(upstream)).failure).toBeUndefined();
  });

  it('record what the job has counted so far', async () => {
    const upstream = new StubUpstream({ a: 'broken', b: 'unchanged' }, { c: 'changed' }, { d: 'changed' });
    await environment.reconcile(upstream);
    expect(upstream.inputsOf('scanTables').map(({ record }) => record.progress.counters.tablesScanned ?? 0)).toEqual([
      0, 2, 3,
    ]);
    const recorded = upstream.records.flatMap(({ failures }) => failures.map(({ table }) => table));
    expect(recorded).toEqual(['sales.a']);
  });

  it('that cannot be scanned fail the job, after the tables in flight have ended', async () => {
    let [ended, endedBeforeRelease] = [false, false];
    const upstream = new StubUpstream({ a: 'changed' }, { b: 'changed' })
      .on('scanTables page 2', fails('UNAUTHENTICATED'))
      .on('ingestTable a', async () => {
        await sleep(100);
        ended = true;
      })
      .on('endJob JS_FAILED', () => {
        endedBeforeRelease = ended;
      });
    const { failure, progress } = await environment.reconcile(upstream);
    expect(failure).toMatchObject({ type: 'RECONCILE_FAILED' });
    expect(progress).toMatchObject({ state: 'JS_FAILED', tablesChanged: 1, errors: 1 });
    expect(endedBeforeRelease).toBe(true);
    expect(upstream.steps).not.toContain('reconcileMissing tables');
    expect(upstream.inputsOf('endJob')[0]?.bind).toBeUndefined();
  });
});

describe('changed tables', () => {
  it('are ingested max_parallel at once, and no more', async () => {
    const upstream = new StubUpstream(manyTables(12)).withConnector({ maxParallel: 3 }).with({ ingestMs: 20 });
    await environment.reconcile(upstream);
    expect(upstream.mostAtOnce('ingestTable')).toBe(3);
  });

  it('get an activity each up to 20 per job, and are packed past that', async () => {
    const upstream = new StubUpstream(
      { ...manyTables(20), ...manyTables(90, 'unchanged', 100) },
      manyTables(101, 'changed', 21),
    );
    const { progress } = await environment.reconcile(upstream);
    const ingests = upstream.work.filter((step) => step.startsWith('ingest'));
    expect(ingests.slice(0, 20)).toEqual(Array.from({ length: 20 }, (_, i) => `ingestTable t${i + 1}`));
    expect(ingests.slice(20)).toEqual(['ingestTables t21…t70', 'ingestTables t71…t120', 'ingestTable t121']);
    expect(progress).toMatchObject({
      tablesChanged: 121,
      tablesUnchanged: 90,
      snapshotsIngested: 121,
      filesIngested: 242,
    });
  });

  it('are packed so that every lane gets some', async () => {
    const upstream = new StubUpstream(manyTables(40)).withConnector({ maxParallel: 4 });
    await environment.reconcile(upstream);
    const packs = upstream.inputsOf('ingestTables').map(({ tables }) => tables.length);
    expect(packs).toEqual([10, 10, 10, 10]);
  });

  it('that fail in a pack are run by themselves', async () => {
    const upstream = new StubUpstream({ ...manyTables(80), t3: 'flaky', t7: 'broken' });
    const { progress, failure } = await environment.reconcile(upstream);
    const ingests = upstream.work.filter((step) => step.startsWith('ingest'));
    expect(ingests).toEqual(['ingestTables t1…t50', 'ingestTables t51…t80', 'ingestTable t3', 'ingestTable t7']);
    expect(failure?.message).toBe('Partial failure (1): sales.t7: the manifest is truncated');
    expect(progress).toMatchObject({ tablesChanged: 79, errors: 1 });
  });

  it('are all run by themselves if their pack fails as a whole', async () => {
    const upstream = new StubUpstream(manyTables(80)).on('ingestTables t1…t50', fails('INTERNAL'));
    const { progress, failure } = await environment.reconcile(upstream);
    expect(failure).toBeUndefined();
    expect(upstream.work.filter((step) => step.startsWith('ingestTable ')).length).toBe(50);
    expect(progress).toMatchObject({ tablesChanged: 80, errors: 0 });
  });

  it('that a pack did not get to are packed again', async () => {
    const upstream = new StubUpstream(manyTables(40)).on(
      'ingestTables t1…t40',
      returns({ counts: done, done: 12, again: [] }),
    );
    const { progress } = await environment.reconcile(upstream);
    expect(upstream.work.filter((step) => step.startsWith('ingest'))).toEqual([
      'ingestTables t1…t40',
      'ingestTables t13…t40',
    ]);
    expect(progress.tablesChanged).toBe(40);
  });

  it('are retried, and then nothing of that is counted', async () => {
    const upstream = new StubUpstream({ a: 'changed' }).on(
      'ingestTable a',
      failsOnce('UNAVAILABLE'),
      failsOnce('UNAVAILABLE'),
    );
    const { failure, progress } = await environment.reconcile(upstream);
    expect(failure).toBeUndefined();
    expect(upstream.steps).toContain('ingestTable a (attempt 3)');
    expect(progress).toMatchObject({ tablesChanged: 1, errors: 0 });
  });

  it('that fail after their retries are counted and recorded; the others stay, and the workflow fails', async () => {
    const upstream = new StubUpstream({ a: 'changed', b: 'changed', c: 'broken', d: 'changed' }).on(
      'ingestTable b',
      failsOnce('UNAVAILABLE'),
      fails('UNAVAILABLE', 'the catalog answers 503'),
    );
    const { failure, progress } = await environment.reconcile(upstream);
    const message = 'Partial failure (2): sales.b: the catalog answers 503; sales.c: the manifest is truncated';
    expect(failure).toEqual({ type: 'PARTIAL_FAILURE', message });
    expect(progress).toMatchObject({ state: 'JS_FAILED', tablesScanned: 4, tablesChanged: 2, errors: 2 });
    expect(upstream.records.flatMap(({ failures }) => failures)).toMatchObject([
      { table: 'sales.b', code: 'UNAVAILABLE', message: 'the catalog answers 503' },
      { table: 'sales.c', code: 'DATA_LOSS' },
    ]);
    expect(upstream.steps.slice(-2)).toEqual(['reconcileMissing tables', 'endJob JS_FAILED']);
    expect(upstream.inputsOf('endJob')).toMatchObject([{ bind: { catalogId: 'cat_1' } }]);
  });
});

describe('a table with a big snapshot', () => {
  const groupsOf = ({ work }: StubUpstream) => work.filter((step) => step.startsWith('ingestFileGroup')).sort();

  it('is split into file groups, four at once, and finished when all are in', async () => {
    const upstream = new StubUpstream({ big: { split: 8 } }).withConnector({ maxParallel: 8 }).with({ ingestMs: 30 });
    const { progress } = await environment.reconcile(upstream);
    const ingests = upstream.work.filter((step) => step.startsWith('ingest'));
    expect(ingests.at(0)).toBe('ingestTable big');
    expect(ingests.at(-1)).toBe('ingestTable big');
    expect(groupsOf(upstream)).toEqual(Array.from({ length: 8 }, (_, i) => `ingestFileGroup big ${i + 1}`));
    expect(ingests.length).toBe(10);
    expect(upstream.mostAtOnce('ingestFileGroup')).toBe(4);
    expect(upstream.inputsOf('ingestFileGroup')).toContainEqual({
      ...{ connectorId: 'con_lake', epoch: 1, table: { namespace: ['sales'], name: 'big' } },
      ...{ step: expect.any(String), sliceSeconds: expect.any(Number) },
      ...{ tableId: 'tbl_big', snapshotId: '7', key: 'k', group: { from: 0, to: 1 } },
    });
    expect(progress).toMatchObject({ tablesChanged: 1, snapshotsIngested: 1, filesIngested: 40, bytesRead: 510 });
  });

  it('has changed, even if its last look finds nothing left to do', async () => {
    const nothingLeft = { changed: false, counts: {} };
    const upstream = new StubUpstream({ big: { split: 2 } }).on(
      'ingestTable big',
      () => undefined,
      returns(nothingLeft),
    );
    expect((await environment.reconcile(upstream)).progress).toMatchObject({ tablesChanged: 1, tablesUnchanged: 0 });
  });

  it('takes no more than max_parallel', async () => {
    const upstream = new StubUpstream({ big: { split: 4 } }).with({ ingestMs: 10 });
    await environment.reconcile(upstream);
    expect(upstream.mostAtOnce('ingestFileGroup')).toBe(1);
    expect(groupsOf(upstream).length).toBe(4);
  });

  it('leaves its pack and is split by itself', async () => {
    const upstream = new StubUpstream({ ...manyTables(40), t5: { split: 2 } });
    const { progress } = await environment.reconcile(upstream);
    expect(upstream.work.slice(1, 6)).toEqual([
      'ingestTables t1…t40',
      'ingestTable t5',
      'ingestFileGroup t5 1',
      'ingestFileGroup t5 2',
      'ingestTable t5',
    ]);
    expect(progress).toMatchObject({ tablesChanged: 40, errors: 0 });
  });

  it('is looked at again if it changed while a group was read', async () => {
    const upstream = new StubUpstream({ big: { split: 3 } }).on('ingestFileGroup big 2', fails('ABORTED'));
    const { failure, progress } = await environment.reconcile(upstream);
    expect(failure).toBeUndefined();
    expect(upstream.work).toEqual([
      ...['scanTables', 'ingestTable big', 'ingestFileGroup big 1', 'ingestFileGroup big 2'],
      ...['ingestTable big', 'ingestFileGroup big 2', 'ingestFileGroup big 3', 'ingestTable big'],
      'reconcileMissing tables',
    ]);
    expect(progress).toMatchObject({ tablesChanged: 1, errors: 0 });
  });

  it('counts as changed, also if nothing is left to do after its groups', async () => {
    const unchanged = { changed: false, counts: { bytesRead: 10 } };
    const upstream = new StubUpstream({ big: { split: 2 } }).on('ingestTable big', () => undefined, returns(unchanged));
    const { progress } = await environment.reconcile(upstream);
    expect(progress).toMatchObject({ tablesChanged: 1, tablesUnchanged: 0, filesIngested: 10 });
  });

  it('fails after three splits', async () => {
    const aborts = [fails('ABORTED'), fails('ABORTED'), fails('ABORTED')];
    const upstream = new StubUpstream({ big: { split: 1 } }).on('ingestFileGroup big 1', ...aborts);
    const { failure } = await environment.reconcile(upstream);
    expect(failure?.message).toBe(
      'Partial failure (1): sales.big: Snapshot 7 was split 3 times, and the table changed each time. Trigger again when fewer write to it.',
    );
    expect(upstream.work.filter((step) => step === 'ingestTable big').length).toBe(4);
    expect(groupsOf(upstream).length).toBe(3);
  });

  it('fails with the first group that fails, and begins no other', async () => {
    const upstream = new StubUpstream({ big: { split: 5 } }).on('ingestFileGroup big 2', fails('PERMISSION_DENIED'));
    const { failure, progress } = await environment.reconcile(upstream);
    expect(failure?.message).toBe('Partial failure (1): sales.big: PERMISSION_DENIED by the test');
    expect(groupsOf(upstream)).toEqual(['ingestFileGroup big 1', 'ingestFileGroup big 2']);
    expect(progress).toMatchObject({ tablesChanged: 0, filesIngested: 5, errors: 1 });
  });

  it('is ingested without groups if a part of the snapshot is lost, which leaves out that snapshot', async () => {
    const upstream = new StubUpstream({ big: { split: 5 } })
      .on('ingestFileGroup big 2', fails('DATA_LOSS'))
      .on('ingestTable big', () => undefined, returns({ changed: true, counts: {}, failure: lossOf('big') }));
    const { failure, progress } = await environment.reconcile(upstream);
    expect(failure?.message).toBe('Partial failure (1): sales.big: Snapshot 4 cannot be read.');
    expect(groupsOf(upstream)).toEqual(['ingestFileGroup big 1', 'ingestFileGroup big 2']);
    expect(upstream.inputsOf('ingestTable').map(({ split }) => split)).toEqual([true, false]);
    expect(progress).toMatchObject({ tablesChanged: 0, filesIngested: 5, errors: 1 });
  });
});

describe('a table with a snapshot that cannot be read', () => {
  it.each([1, 40])('is a failure of the job, among %s tables, and is not tried again', async (count) => {
    const upstream = new StubUpstream({ ...manyTables(count), t1: 'lossy' });
    const { failure, progress } = await environment.reconcile(upstream);
    expect(failure?.message).toBe('Partial failure (1): sales.t1: Snapshot 4 cannot be read.');
    expect(progress).toMatchObject({ tablesScanned: count, tablesChanged: count - 1, errors: 1 });
    expect(upstream.work.filter((step) => step.includes('t1')).length).toBe(1);
  });
});

describe('a table that takes long', () => {
  it('is continued slice by slice where it stopped, and is one changed table', async () => {
    const upstream = new StubUpstream({ slow: { slices: 4 } });
    const { progress } = await environment.reconcile(upstream);
    const slices = upstream.inputsOf('ingestTable');
    expect(slices.map(({ cursor }) => cursor?.position)).toEqual([undefined, 1, 2, 3]);
    expect(new Set(slices.map(({ step }) => step)).size).toBe(4);
    // Short while nothing is counted yet.
    expect(slices.map(({ sliceSeconds }) => sliceSeconds)).toEqual([10, 60, 60, 60]);
    expect(progress).toMatchObject({ tablesChanged: 1, tablesUnchanged: 0, snapshotsIngested: 4, filesIngested: 8 });
  });

  it('is changed if only an early slice changed it', async () => {
    const last = returns({ changed: false, counts: {} });
    const upstream = new StubUpstream({ slow: { slices: 2 } }).on('ingestTable slow', () => undefined, last);
    expect((await environment.reconcile(upstream)).progress).toMatchObject({ tablesChanged: 1, tablesUnchanged: 0 });
  });

  it('gives way to the tables that wait: it costs its own lane and nothing else', async () => {
    const upstream = new StubUpstream({ slow: { slices: 3 }, a: 'changed', b: 'changed' });
    await environment.reconcile(upstream);
    expect(upstream.work.slice(1, 6)).toEqual([
      ...['ingestTable slow', 'ingestTable a', 'ingestTable b', 'ingestTable slow', 'ingestTable slow'],
    ]);
  });

  it('leaves its pack with its cursor, and the rest of the pack goes on without it', async () => {
    const upstream = new StubUpstream({ ...manyTables(40), t5: { slices: 3 } });
    upstream.on(
      'ingestTables t1…t40',
      returns({ counts: { tablesChanged: 4 }, done: 5, again: [{ table: 4, cursor: { position: 1 }, changed: true }] }),
    );
    const { progress } = await environment.reconcile(upstream);
    expect(upstream.work.slice(1, 5)).toEqual([
      ...['ingestTables t1…t40', 'ingestTable t5', 'ingestTables t6…t40', 'ingestTable t5'],
    ]);
    expect(upstream.inputsOf('ingestTable').map(({ cursor }) => cursor?.position)).toEqual([1, 2]);
    expect(progress).toMatchObject({ tablesChanged: 40, tablesUnchanged: 0 });
  });

  it('may be one group of a big snapshot, which continues where it stopped', async () => {
    const upstream = new StubUpstream({ big: { split: 2 } }).on(
      'ingestFileGroup big 1',
      returns({ counts: { filesIngested: 3 }, at: 42 }),
    );
    const { progress } = await environment.reconcile(upstream);
    expect(upstream.inputsOf('ingestFileGroup').map(({ group }) => group)).toEqual([
      { from: 0, to: 1 },
      { from: 1, to: 2 },
      { from: 0, to: 1, at: 42 },
    ]);
    expect(progress).toMatchObject({ tablesChanged: 1, filesIngested: 13, errors: 0 });
  });
});
