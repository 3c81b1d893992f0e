import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { TableFailure } from '../../../src/contract/job.ts';
import { fails } from './behaviours.ts';
import { ReconcileEnvironment } from './reconcile-environment.ts';
import { refusedNamespace, StubUpstream } from './stub-upstream.ts';

let environment: ReconcileEnvironment;
beforeAll(async () => {
  environment = await ReconcileEnvironment.start();
});
afterAll(() => environment?.[Symbol.asyncDispose]());

const before = { tables: 4, views: 2 };
const destination = { catalogId: 'cat_1', namespaceId: 'ns_1', before };
const views = { counts: { viewsScanned: 3, viewsChanged: 1, upstreamRequests: 4 }, failures: [], listed: '0' };

describe('tables that are gone', () => {
  it('are marked after a complete listing, and counted', async () => {
    const missing = { tables: { counts: { tablesMissing: 2, upstreamRequests: 1 } }, views: { counts: {} } };
    const upstream = new StubUpstream({ a: 'changed' }).with({ destination, missing });
    const { progress, message } = await environment.reconcile(upstream);
    expect(upstream.inputsOf('reconcileMissing')).toEqual([
      { connectorId: 'con_lake', epoch: 1, step: '3', before: 4, refused: false, viewsListed: false, listed: '10' },
    ]);
    expect(progress).toMatchObject({ tablesMissing: 2, upstreamRequests: 5 });
    expect(message).toBe('1 table changed, 0 unchanged, 2 gone upstream');
  });

  it('cannot be any if all that was listed is all that is bound: the listing is passed on to the next page', async () => {
    const upstream = new StubUpstream({ a: 'unchanged', b: 'unchanged' }, { c: 'unchanged' });
    await environment.reconcile(upstream);
    expect(upstream.inputsOf('scanTables').map(({ listed }) => listed)).toEqual(['0', '20']);
  });

  it('are not looked for if the last page has found that nothing can be gone', async () => {
    const page = { nothingGone: true } as const;
    const upstream = new StubUpstream({ a: 'unchanged' }).with({ page });
    expect((await environment.reconcile(upstream)).failure).toBeUndefined();
    expect(upstream.steps).toEqual(['beginJob', 'scanTables', 'endJob JS_SUCCEEDED']);
    const both = new StubUpstream({ a: 'unchanged' }).with({ page, views: { ...views, nothingGone: true } });
    await environment.reconcile(both);
    expect(both.work).toEqual(['scanTables', 'reconcileViews']);
    const views1 = new StubUpstream({ a: 'unchanged' }).with({ page, views });
    await environment.reconcile(views1);
    expect(views1.work).toEqual(['scanTables', 'reconcileViews', 'reconcileMissing views']);
  });

  it('are not looked for in namespaces that may not be listed', async () => {
    const upstream = new StubUpstream({ a: 'changed' })
      .withConnector({ drops: true })
      .with({ page: { refused: [refusedNamespace] } });
    const { failure } = await environment.reconcile(upstream);
    expect(failure).toEqual({
      type: 'PARTIAL_FAILURE',
      message: 'Partial failure (1): namespace closed: may not be listed',
    });
    expect(upstream.inputsOf('reconcileMissing')).toEqual([expect.objectContaining({ refused: true })]);
    expect(upstream.inputsOf('dropGone')).toEqual([expect.objectContaining({ refused: true })]);
  });

  it.each<[string, object]>([
    ['by its scope', { scope: { namespaces: ['sales'] } }],
    ['to what failed', { retryOf: 'job-1' }],
  ])('are not looked for by a run that is narrowed %s', async (_, request) => {
    const upstream = new StubUpstream({ a: 'changed' }).withConnector({ drops: true });
    expect((await environment.reconcile(upstream, request)).failure).toBeUndefined();
    expect(upstream.work).toEqual(['scanTables', 'ingestTable a']);
  });

  it('fail the job if more are gone than the connector allows', async () => {
    const upstream = new StubUpstream({ a: 'changed' })
      .withConnector({ drops: true })
      .on('reconcileMissing tables', fails('FAILED_PRECONDITION', '3 of 4 tables are gone'));
    const { failure } = await environment.reconcile(upstream);
    expect(failure?.message).toBe('Failed: 3 of 4 tables are gone');
    expect(upstream.steps.slice(-2)).toEqual(['reconcileMissing tables', 'endJob JS_FAILED']);
  });

  it('are dropped after that if the connector says so', async () => {
    const upstream = new StubUpstream({ a: 'unchanged' })
      .withConnector({ drops: true })
      .with({ drops: { counts: { tablesDropped: 1, snapshotsDropped: 2, upstreamRequests: 1 } } });
    const { progress, message } = await environment.reconcile(upstream);
    expect(upstream.work).toEqual(['scanTables', 'reconcileMissing tables', 'dropGone']);
    expect(upstream.inputsOf('dropGone')).toMatchObject([
      { connectorId: 'con_lake', epoch: 1, refused: false, views: false },
    ]);
    expect(progress).toMatchObject({ tablesDropped: 1, viewsDropped: 0, snapshotsDropped: 2, upstreamRequests: 2 });
    expect(message).toBe('Nothing changed: 1 table; dropped 1 table and 2 expired snapshots');
  });
});

describe('views', () => {
  it('are ingested after the tables, and then those that are gone are marked', async () => {
    const missing = { tables: { counts: {} }, views: { counts: { viewsMissing: 1 } } };
    const upstream = new StubUpstream({ a: 'changed' }).with({ destination, views, missing });
    const { progress, message } = await environment.reconcile(upstream);
    expect(upstream.work).toEqual([
      ...['scanTables', 'ingestTable a', 'reconcileViews', 'reconcileMissing tables', 'reconcileMissing views'],
    ]);
    expect(upstream.inputsOf('reconcileMissing')).toMatchObject([
      { before: 4, viewsListed: true },
      { before: 2, views: true },
    ]);
    expect(progress).toMatchObject({ viewsScanned: 3, viewsChanged: 1, viewsMissing: 1, tablesMissing: 0 });
    expect(message).toBe('1 table changed, 0 unchanged, 1 view changed, 1 gone upstream');
  });

  it('alone are enough for a run to have found something', async () => {
    expect((await environment.reconcile(new StubUpstream().with({ views }))).failure).toBeUndefined();
  });

  it('that fail are counted and shown; their activity has recorded them', async () => {
    const failure: TableFailure = { table: 'view sales.v', code: 'INVALID_ARGUMENT', message: 'no SQL', failedAtMs: 1 };
    const upstream = new StubUpstream({ a: 'changed' }).with({
      views: { ...views, counts: { ...views.counts, errors: 1 }, failures: [failure] },
    });
    const ended = await environment.reconcile(upstream);
    expect(ended.failure?.message).toBe('Partial failure (1): view sales.v: no SQL');
    expect(ended.progress).toMatchObject({ viewsScanned: 3, errors: 1 });
    expect(upstream.records.flatMap(({ failures }) => failures)).toEqual([]);
  });

  it('are preceded by a record of what the tables failed with, which is not written again', async () => {
    const upstream = new StubUpstream({ a: 'broken' }).with({ views });
    await environment.reconcile(upstream);
    expect(upstream.inputsOf('reconcileViews')[0]?.record.failures).toMatchObject([{ table: 'sales.a' }]);
    expect(upstream.records.flatMap(({ failures }) => failures).length).toBe(1);
  });

  it('that cannot be listed leave the tables in, and none of them is taken for gone', async () => {
    const upstream = new StubUpstream({ a: 'changed' }).with({ views }).on('reconcileViews', fails('UNAVAILABLE'));
    const { failure, progress } = await environment.reconcile(upstream);
    expect(failure).toEqual({
      type: 'PARTIAL_FAILURE',
      message: 'Partial failure (1): views: UNAVAILABLE by the test',
    });
    expect(progress).toMatchObject({ tablesChanged: 1, errors: 1 });
    expect(upstream.inputsOf('reconcileMissing')).toEqual([expect.objectContaining({ viewsListed: false })]);
  });

  it('in namespaces that may not be listed are not looked for', async () => {
    const upstream = new StubUpstream({ a: 'changed' }).with({ views: { ...views, refused: true } });
    await environment.reconcile(upstream);
    expect(upstream.inputsOf('reconcileMissing')).toMatchObject([{ refused: true }, { refused: true, views: true }]);
  });

  it('of a retry are those that failed', async () => {
    const upstream = new StubUpstream({ a: 'changed' }).with({ views });
    await environment.reconcile(upstream, { retryOf: 'job-1' });
    expect(upstream.work).toEqual(['scanTables', 'ingestTable a', 'reconcileViews']);
    expect(upstream.inputsOf('reconcileViews')).toEqual([expect.objectContaining({ retryOf: 'job-1' })]);
  });
});

describe('a dry run', () => {
  it('takes every step as one, binds nothing, and says what would change', async () => {
    const upstream = new StubUpstream({ a: 'changed', b: 'unchanged' })
      .withConnector({ drops: true })
      .with({ views, missing: { tables: { counts: { tablesMissing: 2, tablesDropped: 1 } }, views: { counts: {} } } });
    const { failure, message, progress } = await environment.reconcile(upstream, { dryRun: true });
    expect(failure).toBeUndefined();
    expect(upstream.steps).toEqual([
      ...['beginJob', 'scanTables', 'ingestTable a', 'reconcileViews'],
      ...['reconcileMissing tables', 'reconcileMissing views', 'dropGone', 'endJob JS_SUCCEEDED'],
    ]);
    expect(upstream.inputsOf('endJob')[0]?.bind).toBeUndefined();
    const steps = ['scanTables', 'ingestTable', 'reconcileViews', 'reconcileMissing', 'dropGone'] as const;
    for (const step of steps)
      for (const input of upstream.inputsOf(step)) expect(input).toMatchObject({ dryRun: true });
    expect(progress.tablesDropped).toBe(1);
    expect(message).toBe(
      'Dry run: 1 table and 1 view would change, 2 tables would be missing, 1 table would be dropped',
    );
  });

  it('that fails says so as any run does', async () => {
    const { failure } = await environment.reconcile(new StubUpstream({ a: 'broken' }), { dryRun: true });
    expect(failure?.message).toBe('Dry run: Partial failure (1): sales.a: the manifest is truncated');
  });
});
