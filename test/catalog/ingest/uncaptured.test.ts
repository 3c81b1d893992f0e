import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { added, removed, TestTable } from '../files.ts';
import { failure, refusal, TestCatalog } from '../harness.ts';

let catalog: TestCatalog;
beforeAll(async () => {
  catalog = await TestCatalog.start();
});
afterAll(() => catalog[Symbol.asyncDispose]());

const file = (name: string) => added({ filePath: `s3://b/${name}.parquet` });

/** A table with the snapshots 1, 2 and 3, each a child of the previous one, without their files. */
async function table(): Promise<TestTable> {
  // The coverage belongs to the upstream from which the table was ingested.
  const created = await TestTable.create(catalog, { upstream: { namespacePath: ['src'], tableName: 't' } });
  for (const id of [1n, 2n, 3n]) {
    const snapshot = { tableId: created.tableId, snapshotId: id, parentSnapshotId: id > 1n ? id - 1n : undefined };
    const answer = await catalog.clients.snapshots.createSnapshot({
      snapshot: { ...snapshot, committedAt: new Date(Number(id) * 1000) },
      metadataOnly: true,
    });
    expect(answer.captured).toBe(false);
  }
  return created;
}

const setCurrent = ({ tableId }: TestTable, currentSnapshotId: bigint, coverage: string) =>
  catalog.clients.ingestion.updateTable({
    table: { tableId, currentSnapshotId, upstream: { coverage } },
    updateMask: ['current_snapshot_id', 'upstream.coverage'],
  });

async function listed({ tableId }: TestTable): Promise<string[]> {
  const { snapshots } = await catalog.clients.snapshots.listSnapshots({ tableId });
  return snapshots.map(({ snapshotId, captured }) => `${snapshotId}${captured ? ' captured' : ''}`);
}

describe('a snapshot without files', () => {
  it('is visible, and has no statistics and no plan', async () => {
    const created = await table();
    expect(await listed(created)).toEqual(['1', '2', '3']);
    const { tableId } = created;
    const { snapshots, statistics, plans } = catalog.clients;
    expect(await snapshots.getSnapshot({ tableId, snapshotId: 2n })).toMatchObject({ captured: false });
    const without = refusal('FAILED_PRECONDITION', `snapshot 2 of table ${tableId} has no files and statistics yet`);
    const of = { tableId, snapshotId: 2n };
    expect(await failure(statistics.getTableStats(of))).toEqual(without);
    expect(await failure(statistics.putTableStats({ ...of, ndv: 3n }))).toEqual(without);
    expect(await failure(statistics.listColumnStats(of))).toEqual(without);
    expect(await failure(statistics.listFileColumnStats(of))).toEqual(without);
    expect(await failure(plans.getPlan(of))).toEqual(without);
    expect(await failure(plans.getPlan({ tableId, snapshotId: 9n }))).toEqual(refusal('NOT_FOUND', 'snapshot 9'));
  });

  it('cannot be a base, and stays visible while it is captured', async () => {
    const created = await table();
    const based = created.createSnapshot({ snapshotId: 4, base: 3 });
    expect(await failure(based)).toEqual(refusal('FAILED_PRECONDITION', 'based on 3, which is not complete'));

    await created.put({ snapshotId: 3, base: null, changes: [file('a'), file('c')] });
    expect(await listed(created)).toEqual(['1', '2', '3 captured']);
    await created.put({ snapshotId: 1, base: null, changes: [file('a')], finish: false });
    expect(await listed(created)).toEqual(['1', '2', '3 captured']);
    await created.send({ snapshotId: 1, changes: [file('b')] });
    // The snapshot now gets a base, which it did not have before.
    await created.put({ snapshotId: 2, base: 1, changes: [file('c'), removed('s3://b/b.parquet')], finish: false });
    expect(await listed(created)).toEqual(['2', '3 captured', '1 captured']);
    await created.send({ snapshotId: 2 });
    expect((await listed(created)).sort()).toEqual(['1 captured', '2 captured', '3 captured']);
    const names = async (id: number) => (await created.paths(id)).map((path) => path.slice(7, 8)).join('');
    expect([await names(1), await names(2), await names(3)]).toEqual(['ab', 'ac', 'ac']);
    // Totals are recomputed in the order of the bases.
    await created.send({ snapshotId: 1, changes: [file('a'), file('b'), file('d')], replace: true });
    expect([await names(1), await names(2), await names(3)]).toEqual(['abd', 'acd', 'ac']);
    expect((await created.stats(2)).dataFileCount).toBe(3n);
  });

  it('can be updated, can expire and can be deleted', async () => {
    const created = await table();
    const { snapshots, ingestion } = catalog.clients;
    const { tableId } = created;
    const snapshot = { tableId, snapshotId: 2n, operation: 'overwrite' };
    expect(await snapshots.createSnapshot({ snapshot, metadataOnly: true })).toMatchObject({ operation: 'overwrite' });
    expect(await listed(created)).toEqual(['1', '2', '3']);
    expect(await ingestion.expireSnapshots({ tableId, snapshotIds: [1n] })).toEqual({ expired: 1n });
    expect(await listed(created)).toEqual(['2', '3']);
    await snapshots.deleteSnapshot({ tableId, snapshotId: 2n });
    expect(await listed(created)).toEqual(['3']);
    // A captured snapshot stays captured.
    await created.put({ snapshotId: 3, base: null, changes: [file('a')] });
    const again = { tableId, snapshotId: 3n };
    expect(await snapshots.createSnapshot({ snapshot: again, metadataOnly: true })).toMatchObject({ captured: true });
    expect(await created.paths(3)).toEqual(['s3://b/a.parquet']);
  });
});

describe('the current snapshot', () => {
  it('has its files unless the coverage shows that some snapshots have none', async () => {
    const created = await table();
    expect(await failure(setCurrent(created, 3n, ''))).toEqual(refusal('FAILED_PRECONDITION', 'is not complete'));
    await setCurrent(created, 3n, 'snapshots=all');
    const { plans } = catalog.clients;
    const { tableId } = created;
    const without = refusal('FAILED_PRECONDITION', 'snapshot 3 of table');
    expect(await failure(plans.getPlan({ tableId }))).toEqual(without);
    expect(await failure(plans.getPlan({ tableId, asOf: new Date(3500) }))).toEqual(without);
    await created.send({ snapshotId: 2, changes: [file('a')] });
    expect(await plans.getPlan({ tableId, asOf: new Date(2500) })).toMatchObject({ snapshotId: 2n });

    await setCurrent(created, 7n, 'snapshots=latest:1 files=latest:1');
    const leftOut = refusal('FAILED_PRECONDITION', 'snapshot 7, the current one of table');
    expect(await failure(plans.getPlan({ tableId }))).toEqual(leftOut);
    const asOf = plans.getPlan({ tableId, asOf: new Date(2500) });
    expect(await failure(asOf)).toEqual(refusal('FAILED_PRECONDITION', 'is not known: snapshot 7 is not in'));
    expect(await plans.getPlan({ tableId, snapshotId: 2n })).toMatchObject({ snapshotId: 2n });
  });
});
