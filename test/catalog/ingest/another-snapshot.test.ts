import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { Sqlite } from '../../../src/catalog/store/database/sqlite.ts';
import { poll } from '../../jest/poll.ts';
import { added, encode, removed, TestTable } from '../files.ts';
import { failure, refusal, TestCatalog } from '../harness.ts';

let catalog: TestCatalog;
beforeAll(async () => {
  catalog = await TestCatalog.start();
});
afterAll(() => catalog[Symbol.asyncDispose]());

const file = (name: string, rows = 10) => added({ filePath: name, recordCount: BigInt(rows) });

/** A table with the snapshots 1 (a), 2 (a and b) and 3 (a, b and c). */
async function threeSnapshots(): Promise<TestTable> {
  const table = await TestTable.create(catalog);
  await table.put({ snapshotId: 1, changes: [file('a')] });
  await table.put({ snapshotId: 2, base: 1, changes: [file('b')] });
  await table.put({ snapshotId: 3, base: 2, changes: [file('c')] });
  return table;
}

/** Another snapshot 2, with a and x. */
const another = {
  snapshotId: 2,
  base: 1,
  key: 'another',
  inHeader: true,
  snapshot: { manifestList: 'another' },
  changes: [file('x', 7)],
};

it('readers see the old snapshot until the other one with its id is complete, and what is based on it stays', async () => {
  const table = await threeSnapshots();
  const old = { dataFileCount: 2n, rowCount: 20n };
  await table.send({ ...another, finish: false });
  expect(await table.paths(2)).toEqual(['a', 'b']);
  expect(await table.stats(2)).toMatchObject(old);
  // Other counts than those that are expected: nothing changes.
  expect(await failure(table.send({ ...another, expected: { data: 7 } }))).toEqual(
    refusal('FAILED_PRECONDITION', 'has 2 data files live, expected 7'),
  );
  expect(await table.stats(2)).toMatchObject(old);

  expect(await table.send({ ...another, expected: { data: 2 } })).toMatchObject({ complete: true });
  expect(await table.paths(2)).toEqual(['a', 'x']);
  expect(await table.stats(2)).toMatchObject({ dataFileCount: 2n, rowCount: 17n });
  expect(await table.paths(3)).toEqual(['a', 'b', 'c']);
  expect(await table.stats(3)).toMatchObject({ dataFileCount: 3n, rowCount: 30n });
  const { snapshots } = await catalog.clients.snapshots.listSnapshots({ tableId: table.tableId });
  expect(snapshots.map(({ snapshotId, manifestList }) => `${snapshotId} ${manifestList}`)).toEqual([
    '1 ',
    '3 ',
    '2 another',
  ]);
  // It is sent again: it is complete already.
  expect(await table.send(another)).toMatchObject({ complete: true, rowsWritten: 0n });
  await table.put({ snapshotId: 4, base: 2, changes: [file('d'), removed('a')], expected: { data: 2 } });
  expect(await table.paths(4)).toEqual(['d', 'x']);
});

it('a snapshot that is staged on the old one is staged again on the new one', async () => {
  const table = await threeSnapshots();
  const next = { snapshotId: 4, base: 2, inHeader: true, changes: [file('d'), removed('a')] };
  await table.send({ ...next, finish: false });
  await table.send(another);
  const late = { ...next, inHeader: false };
  expect(await failure(table.send(late))).toEqual(
    refusal('FAILED_PRECONDITION', 'is based on 2, which is another snapshot by now'),
  );
  await table.send({ ...next, expected: { data: 2 } });
  expect(await table.paths(4)).toEqual(['d', 'x']);
  expect(await table.stats(4)).toMatchObject({ dataFileCount: 2n, rowCount: 17n });
});

it('a stream that has begun on the old one cannot finish', async () => {
  const table = await threeSnapshots();
  // So many that some are written before the stream ends.
  const changes = Array.from({ length: 2500 }, (_, i) => file(`d${i}`));
  const next = { snapshotId: 4, base: 2, inHeader: true, changes, chunk: 2500 };
  async function* replacedMeanwhile() {
    for await (const request of table.requests({ ...next, finish: false })) yield request;
    await poll(() => stagedAt(table, 4)).toBeGreaterThan(0);
    await table.send(another);
    yield encode({ $case: 'finish', value: {} });
  }
  expect(await failure(catalog.clients.fileChanges.commitSnapshot(replacedMeanwhile()))).toEqual(
    refusal('ABORTED', 'snapshot 4'),
  );
  await table.send({ ...next, expected: { data: 2502 } });
  expect(await table.paths(4)).toEqual(['a', ...changes.map(({ file }) => file?.filePath), 'x'].sort());
});

/** Number of files that a snapshot adds, though it is only staged. */
function stagedAt({ tableId }: TestTable, snapshotId: number): unknown {
  const db = new Sqlite(catalog.file, { readonly: true });
  const count = db
    .prepare(
      `select count(*) from memberships m join snapshots s on s.chain_num = m.chain_num and s.ord = m.added_ord
       join tables t on t.table_num = s.table_num where t.table_id = ? and s.snapshot_id = ?`,
    )
    .pluck()
    .get(tableId, String(snapshotId));
  db.close();
  return count;
}

it('another snapshot without files takes the place of the old one with its files', async () => {
  const table = await threeSnapshots();
  const { snapshots } = catalog.clients;
  const { tableId } = table;
  const message = { tableId, snapshotId: 2n, parentSnapshotId: 1n, operation: 'append', manifestList: 'another' };
  expect(await snapshots.createSnapshot({ snapshot: message, metadataOnly: true })).toMatchObject({ captured: false });
  expect(await failure(table.paths(2))).toEqual(refusal('FAILED_PRECONDITION', 'only its metadata was ingested'));
  expect(await table.paths(3)).toEqual(['a', 'b', 'c']);
  await table.send(another);
  expect(await table.paths(2)).toEqual(['a', 'x']);
});

it('what was computed for other snapshots stays: otherwise many snapshots that are replaced would cost their square', async () => {
  const table = await threeSnapshots();
  for (const id of [1, 2, 3]) {
    await table.stats(id);
    await table.columns(id);
  }
  await table.send(another);
  const db = new Sqlite(catalog.file, { readonly: true });
  const inTable = 'from snapshots where table_num = (select table_num from tables where table_id = ?)';
  const ids = (text: string) => db.prepare(text).pluck().all(table.tableId);
  expect(ids(`select snapshot_id ${inTable} and live_rows is not null order by snapshot_id`)).toEqual(['1', '3']);
  const computed = `select snapshot_num ${inTable}`;
  expect(ids(`select count(*) from column_states where snapshot_num in (${computed})`)).toEqual([2]);
  db.close();
  expect(await table.stats(2)).toMatchObject({ rowCount: 17n, liveRowCount: 17n });
  expect(await table.stats(3)).toMatchObject({ rowCount: 30n, liveRowCount: 30n });
});
