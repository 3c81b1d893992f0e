import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { Metadata } from 'nice-grpc';
import { pino } from 'pino';
import { createPurge } from '../../../src/catalog/store/cleanup/purge.ts';
import { underClaim } from '../../../src/catalog/store/database/claim-fence.ts';
import { openDatabase } from '../../../src/catalog/store/database/database.ts';
import { Sqlite } from '../../../src/catalog/store/database/sqlite.ts';
import { isClaimLost, withClaim } from '../../../src/catalog-client/claim.ts';
import { JobState } from '../../../src/generated/reconciler/v1/jobs.ts';
import type { PutColumnStatsRequest } from '../../../src/generated/reconciler/v1/statistics.ts';
import { poll } from '../../jest/poll.ts';
import { added, type Put, SCHEMA, TestTable } from '../files.ts';
import { connectorSpec, DROPS, failure, refusal, TestCatalog } from '../harness.ts';

let catalog: TestCatalog;
beforeAll(async () => {
  catalog = await TestCatalog.start();
});
afterAll(() => catalog[Symbol.asyncDispose]());

let count = 0;
/** A connector that a job has claimed. `under` makes calls with its claim, or with one that differs. */
async function claimed() {
  const { connectorId } = await catalog.clients.connectors.createConnector({ connector: connectorSpec(DROPS) });
  const jobId = `fenced-${++count}`;
  const runId = `run-1-of-${jobId}`;
  const epoch = Number((await catalog.claim(connectorId, jobId, { runId })).epoch);
  const under = <T>(work: () => T, other: { epoch?: number; runId?: string } = {}) =>
    withClaim({ connectorId, epoch, runId, ...other }, work);
  return { connectorId, jobId, epoch, runId, under };
}
/** 'done', or 'lost' if the call was refused because of its claim. */
const outcome = (call: Promise<unknown>) =>
  call.then(
    () => 'done',
    (error) => {
      if (!isClaimLost(error)) throw error;
      return 'lost';
    },
  );
const running = (jobId: string, connectorId: string) => ({ jobId, connectorId, state: JobState.JS_RUNNING });

describe('a write with a claim', () => {
  it('is accepted while the claim is the present one', async () => {
    const { connectorId, jobId, under } = await claimed();
    const { reconciliation } = catalog.clients;
    await under(() => reconciliation.recordJob({ job: running(jobId, connectorId) }));
    await under(() => reconciliation.ensureDestination({ connectorId, destination: { catalogName: `dest ${jobId}` } }));
  });

  it.each([
    ['an old epoch', { epoch: 1 }, 'has passed to'],
    ['a future epoch', { epoch: 3 }, 'has passed to'],
    ['an old run', { runId: 'old' }, 'has passed to'],
  ])('is refused with %s', async (_, other, text) => {
    const { connectorId, jobId, under, runId } = await claimed();
    const { reconciliation } = catalog.clients;
    // The claim gets epoch 2.
    await catalog.claim(connectorId, jobId, { runId: 'new-run' });
    const claim = { epoch: 2, runId: 'new-run', ...other };
    const record = () => reconciliation.recordJob({ job: { ...running(jobId, connectorId), message: 'late' } });
    expect(await outcome(under(record, claim))).toBe('lost');
    expect(await failure(under(record, claim))).toMatchObject(refusal('FAILED_PRECONDITION', text));
    expect((await catalog.clients.connectors.getReconcileJob({ jobId })).message).not.toBe('late');
    expect(await outcome(under(record, { epoch: 2, runId: 'new-run' }))).toBe('done');
    expect(await outcome(under(record, { epoch: 1, runId }))).toBe('lost');
  });

  it('is refused with a message that names who has the connector now', async () => {
    const { connectorId, jobId, under } = await claimed();
    const { reconciliation } = catalog.clients;
    const record = () => under(() => reconciliation.recordJob({ job: running(jobId, connectorId) }));
    await catalog.claim(connectorId, jobId, { runId: `run-2-of-${jobId}` });
    expect((await failure(record())).message).toBe(
      `The claim on the connector has passed to another run of job ${jobId}: this run of job ${jobId} may no longer write.`,
    );
    await catalog.claim(connectorId, `${jobId}-next`, { dead: jobId });
    expect((await failure(record())).message).toBe(
      `The claim on the connector has passed to job ${jobId}-next: this run of job ${jobId} may no longer write.`,
    );
    await catalog.endJob(connectorId, `${jobId}-next`);
    expect((await failure(record())).message).toBe(
      `The claim on the connector has ended: this run of job ${jobId} may no longer write.`,
    );
    await catalog.clients.connectors.deleteConnector({ connectorId });
    expect((await failure(record())).message).toContain('has ended');
  });

  it('is refused by every RPC that a job calls to write, and nothing is written', async () => {
    const { connectorId, jobId, under } = await claimed();
    const { clients } = catalog;
    const { namespaceId } = await catalog.namespace();
    const table = await TestTable.create(catalog, { upstream: { connectorId, tableName: 't' } });
    const { tableId } = table;
    await table.put({ snapshotId: 1, changes: [added({ filePath: 'a' })] });
    await catalog.claim(connectorId, `${jobId}-next`, { dead: jobId });
    const upstream = { namespacePath: ['src'], name: 'x' };
    const calls: Record<string, () => Promise<unknown>> = {
      recordJob: () => clients.reconciliation.recordJob({ job: running(jobId, connectorId) }),
      recordJobChanges: () => clients.reconciliation.recordJobChanges({ jobId }),
      endJob: () => clients.reconciliation.endJob({ job: { jobId, state: JobState.JS_SUCCEEDED }, connectorId }),
      ensureDestination: () => clients.reconciliation.ensureDestination({ connectorId }),
      bindDestination: () => clients.reconciliation.bindDestination({ connectorId, destination: {} }),
      dropMissing: () => clients.reconciliation.dropMissing({ connectorId }),
      ensureTable: () =>
        clients.bindings.ensureTable({
          connectorId,
          upstream,
          namespaceId,
          name: 'x',
          format: 'TABLE_FORMAT_DELTA' as never,
        }),
      'ensureTable (validateOnly)': () =>
        clients.bindings.ensureTable({
          ...{ connectorId, upstream, namespaceId, name: 'x', format: 'TABLE_FORMAT_DELTA' as never },
          validateOnly: true,
        }),
      ensureView: () =>
        clients.bindings.ensureView({
          ...{ connectorId, upstream, fingerprint: 'f' },
          view: { namespaceId, name: 'v', representations: [{ sql: 'select 1', dialect: 'spark' }] },
        }),
      markMissing: () =>
        clients.bindings.markMissing({ connectorId, kind: 'OBJECT_KIND_TABLE' as never, objectIds: [tableId] }),
      createNamespace: async () => {
        const { catalogId } = await clients.namespaces.getNamespace({ namespaceId });
        return clients.namespaces.createNamespace({ namespace: { catalogId, path: ['more'] } });
      },
      updateTable: () =>
        clients.ingestion.updateTable({ table: { tableId, description: 'late' }, updateMask: ['description'] }),
      putTableSchema: () => clients.tables.putTableSchema({ tableId, schema: SCHEMA }),
      expireSnapshots: () => clients.ingestion.expireSnapshots({ tableId, snapshotIds: [1n] }),
      createSnapshot: () => clients.snapshots.createSnapshot({ snapshot: { tableId, snapshotId: 2n } }),
      deleteSnapshot: () => clients.snapshots.deleteSnapshot({ tableId, snapshotId: 1n }),
      putTableStats: () => clients.statistics.putTableStats({ tableId, snapshotId: 1n, ndv: 1n }),
      putFileSketches: () => clients.ingestion.putFileSketches({ tableId }),
      'commitSnapshot (new, at once)': () => table.send({ snapshotId: 3, inHeader: true }),
      'commitSnapshot (known)': () => table.send({ snapshotId: 1, replace: true, changes: [added({ filePath: 'b' })] }),
    };
    const outcomes = Object.fromEntries(
      await Promise.all(Object.entries(calls).map(async ([name, call]) => [name, await outcome(under(call))] as const)),
    );
    expect(outcomes).toEqual(Object.fromEntries(Object.keys(calls).map((name) => [name, 'lost'])));
    expect(await table.paths(1)).toEqual(['a']);
    // Reading is allowed, and so are calls without a claim.
    expect(await outcome(under(() => clients.tables.getTable({ tableId })))).toBe('done');
    expect(await outcome(clients.tables.putTableSchema({ tableId, schema: SCHEMA }))).toBe('done');
  });

  it('is refused after the job has ended, except for its repeated end', async () => {
    const { connectorId, jobId, epoch, runId, under } = await claimed();
    const end = () => under(() => catalog.endJob(connectorId, jobId));
    await end();
    const record = () => under(() => catalog.clients.reconciliation.recordJob({ job: running(jobId, connectorId) }));
    expect(await outcome(record())).toBe('lost');
    await end();
    const next = await catalog.claim(connectorId, `${jobId}-next`);
    await end();
    expect(await catalog.claim(connectorId, `${jobId}-next`)).toEqual(next);
    // Once the job was reset, the end of its former run is late.
    await catalog.endJob(connectorId, `${jobId}-next`);
    await catalog.claim(connectorId, jobId, { runId: `run-2-of-${jobId}` });
    expect(await outcome(end())).toBe('lost');
    await catalog.endJob(connectorId, jobId);
    expect(await outcome(withClaim({ connectorId, epoch, runId }, () => catalog.endJob(connectorId, jobId)))).toBe(
      'lost',
    );
  });

  it('does not hold up a claim, which ends the claim of an earlier run', async () => {
    const { connectorId, jobId, under } = await claimed();
    const claim = under(() => catalog.claim(connectorId, jobId, { runId: `run-2-of-${jobId}` }), { epoch: 77 });
    expect(await claim).toMatchObject({ holderJobId: jobId, epoch: 2n });
  });
});

describe('a stream', () => {
  /** Makes another run claim the connector after `after` messages. */
  async function* interrupted<T>(messages: AsyncIterable<T>, after: number, takeOver: () => Promise<unknown>) {
    let sent = 0;
    for await (const message of messages) {
      if (sent === after) await takeOver();
      yield message;
      sent += 1;
    }
  }
  async function setUp() {
    const claim = await claimed();
    const table = await TestTable.create(catalog);
    const takeOver = () => catalog.claim(claim.connectorId, claim.jobId, { runId: `run-2-of-${claim.jobId}` });
    const send = (put: Put, after: number, interruption: () => Promise<unknown> = takeOver) =>
      claim.under(() =>
        catalog.clients.fileChanges.commitSnapshot(interrupted(table.requests(put), after, interruption)),
      );
    return { ...claim, table, takeOver, send };
  }
  const files = (n: number) => Array.from({ length: n }, (_, i) => added({ filePath: `f${i}` }));

  it('of a snapshot is refused at its next transaction, and its successor continues', async () => {
    const { table, send, takeOver, connectorId, jobId } = await setUp();
    const put = { snapshotId: 1, changes: files(4_500), chunk: 1_000, expected: { data: 4_500 } };
    await table.createSnapshot(put);
    const db = new Sqlite(catalog.file, { readonly: true });
    const staged = db.prepare(
      'select count(*) as n from memberships where chain_num = (select max(chain_num) from snapshots)',
    );
    const lost = send(put, 6, async () => {
      await poll(() => staged.get()).toEqual({ n: 4_000 });
      await takeOver();
    });
    expect(await outcome(lost)).toBe('lost');
    // The last changes and the finish were refused; what was staged before is kept.
    expect(staged.get()).toEqual({ n: 4_000 });
    expect(await failure(table.paths(1))).toMatchObject({ code: 'NOT_FOUND' });
    db.close();
    const claim = { connectorId, epoch: 2, runId: `run-2-of-${jobId}` };
    const again = await withClaim(claim, () => table.send(put));
    expect(again).toMatchObject({ complete: true });
    // A file and its membership are a row each.
    expect(again.rowsWritten).toBe(1_001n);
  });

  it('that replaces a snapshot is refused at its finish', async () => {
    const { table, send } = await setUp();
    await table.put({ snapshotId: 1, changes: files(2) });
    const put = { snapshotId: 1, replace: true, whole: true, changes: [added({ filePath: 'other' })] };
    expect(await outcome(send(put, 2))).toBe('lost');
    expect(await table.paths(1)).toEqual(['f0', 'f1']);
  });

  it('of column statistics is refused at its next column', async () => {
    const { table, under, takeOver } = await setUp();
    const { tableId } = table;
    await table.put({ snapshotId: 1, changes: files(1) });
    async function* requests(): AsyncIterable<{ request: PutColumnStatsRequest['request'] }> {
      const header = { tableId, snapshotId: 1n, idempotencyKey: 'k' };
      yield { request: { $case: 'header', value: header } } as never;
      yield { request: { $case: 'column', value: { columnId: 1, nullCount: 7n } } } as never;
      yield { request: { $case: 'column', value: { columnId: 2, nullCount: 7n } } } as never;
    }
    const { statistics } = catalog.clients;
    expect(await outcome(under(() => statistics.putColumnStats(interrupted(requests(), 2, takeOver))))).toBe('lost');
    // Its key was not recorded, so that the stream can be sent again.
    expect(await statistics.putColumnStats(requests())).toEqual({ columnsPut: 2n });
  });

  it('without a claim is not bound to the claim of a stream at the same time', async () => {
    const { table, send, takeOver } = await setUp();
    const other = await TestTable.create(catalog);
    const put = { snapshotId: 1, changes: files(5_000), chunk: 500 };
    await table.createSnapshot(put);
    await takeOver();
    await other.createSnapshot(put);
    const both = await Promise.all([outcome(send(put, 99)), outcome(other.send(put))]);
    expect(both).toEqual(['lost', 'done']);
  });
});

it.each(['', 'con_1', 'con_1 1', 'con_1 x r', 'con_1 0 r', 'con_1 1 r r', 'con_1 99999999999999999999 r'])(
  'metadata %j is malformed',
  async (text) => {
    const metadata = Metadata({ 'reconciler-claim': text });
    const call = catalog.clients.catalogs.listCatalogs({}, { metadata });
    expect(await failure(call)).toMatchObject(refusal('INVALID_ARGUMENT', 'reconciler-claim'));
  },
);

it('the catalog purges what a job deleted, even if the job has lost its claim', async () => {
  const { db, close } = await openDatabase(':memory:');
  await db.insertInto('table_contents').values({ table_id: 'tbl_1', generation: 0, dropped: 1 }).execute();
  const purge = createPurge(db, pino({ level: 'silent' }));
  underClaim({ connectorId: 'con_none', epoch: 1, runId: 'r' }, purge.kick);
  await poll(() => db.selectFrom('table_contents').selectAll().execute()).toEqual([]);
  await purge.stop();
  await close();
});
