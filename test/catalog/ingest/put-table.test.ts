import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { added, type Put, TestTable } from '../files.ts';
import { failure, TestCatalog } from '../harness.ts';

let catalog: TestCatalog;
beforeAll(async () => {
  catalog = await TestCatalog.start();
});
afterAll(() => catalog[Symbol.asyncDispose]());

const names = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => `s3://b/${from + i}.parquet`);
const add = (paths: string[]) => paths.map((filePath) => added({ filePath }));

/** A stream that carries its snapshot and makes it the table's current one. */
const moving = (table: TestTable, put: Put): Put => ({
  inHeader: true,
  ...put,
  updateTable: {
    updateMask: ['current_snapshot_id', 'properties'],
    table: {
      tableId: table.tableId,
      currentSnapshotId: BigInt(put.snapshotId),
      properties: { by: `${put.snapshotId}` },
    },
  },
});
const current = async ({ tableId }: TestTable) => {
  const { currentSnapshotId, properties } = await catalog.clients.tables.getTable({ tableId });
  return { currentSnapshotId, properties };
};

describe('A stream with its snapshot in the header and an update of its table in the finish', () => {
  it.each([3, 2000, 4500])('stores all of it at once (%i files)', async (count) => {
    const table = await TestTable.create(catalog);
    const put = moving(table, { snapshotId: 1, changes: add(names(0, count)), expected: { data: count } });
    expect(await table.send(put)).toMatchObject({ complete: true, tableUpdated: true, filesAdded: BigInt(count) });
    expect(await table.paths(1)).toHaveLength(count);
    expect(await current(table)).toEqual({ currentSnapshotId: 1n, properties: { by: '1' } });

    const next = moving(table, { snapshotId: 2, base: 1, changes: add(names(count, count + 2)) });
    expect(await table.send(next)).toMatchObject({ complete: true, tableUpdated: true });
    expect(await table.paths(2)).toHaveLength(count + 2);
    expect(await current(table)).toEqual({ currentSnapshotId: 2n, properties: { by: '2' } });
  });

  it.each([3, 4500])('makes neither visible if the number of files differs (%i files)', async (count) => {
    const table = await TestTable.create(catalog);
    await table.send(moving(table, { snapshotId: 1, changes: add(names(0, 2)) }));
    const wrong = moving(table, { snapshotId: 2, base: 1, changes: add(names(2, count)), expected: { data: 7 } });
    expect(await failure(table.send(wrong))).toMatchObject({ code: 'FAILED_PRECONDITION' });
    expect(await failure(table.paths(2))).toMatchObject({ code: 'NOT_FOUND' });
    expect(await current(table)).toEqual({ currentSnapshotId: 1n, properties: { by: '1' } });

    const right = moving(table, { snapshotId: 2, base: null, changes: add(names(0, 7)), expected: { data: 7 } });
    expect(await table.send(right)).toMatchObject({ complete: true, tableUpdated: true });
    expect(await table.paths(2)).toEqual(names(0, 7));
  });

  it('makes neither visible if the update of the table is invalid', async () => {
    const table = await TestTable.create(catalog);
    const put = moving(table, { snapshotId: 1, changes: add(names(0, 2)) });
    const { updateTable } = put;
    const other = { ...updateTable, table: { ...updateTable?.table, currentSnapshotId: 9n } };
    expect(await failure(table.send({ ...put, updateTable: other }))).toMatchObject({
      code: 'FAILED_PRECONDITION',
      message: expect.stringContaining('snapshot 9 of table'),
    });
    expect(await failure(table.paths(1))).toMatchObject({ code: 'NOT_FOUND' });
    expect(await current(table)).toEqual({ currentSnapshotId: undefined, properties: {} });
  });

  it('keeps the staged changes if only the table cannot be updated', async () => {
    const table = await TestTable.create(catalog);
    const put = moving(table, { snapshotId: 1, changes: add(names(0, 4500)), expected: { data: 4500 } });
    const other = { ...put.updateTable, table: { ...put.updateTable?.table, currentSnapshotId: 9n } };
    expect(await failure(table.send({ ...put, updateTable: other }))).toMatchObject({ code: 'FAILED_PRECONDITION' });
    // The first 4,000 files are stored already and are not written again.
    expect(await table.send(put)).toMatchObject({ complete: true, tableUpdated: true, rowsWritten: 1001n });
    expect(await table.paths(1)).toHaveLength(4500);
  });

  it('reports that it did not update the table if the snapshot was complete', async () => {
    const table = await TestTable.create(catalog);
    await table.send({ snapshotId: 1, inHeader: true, changes: add(names(0, 2)) });
    const again = moving(table, { snapshotId: 1, changes: add(names(0, 2)) });
    expect(await table.send(again)).toMatchObject({ complete: true, tableUpdated: false, rowsWritten: 0n });
    expect(await current(table)).toEqual({ currentSnapshotId: undefined, properties: {} });
  });

  it('continues with the changes that an ended stream left', async () => {
    const table = await TestTable.create(catalog);
    const part = { snapshotId: 1, inHeader: true, changes: add(names(0, 5)), finish: false };
    expect(await table.send(part)).toMatchObject({ complete: false, tableUpdated: false, rowsWritten: 10n });
    const rest = moving(table, { snapshotId: 1, changes: add(names(5, 8)), expected: { data: 8 } });
    expect(await table.send(rest)).toMatchObject({ complete: true, tableUpdated: true });
    expect(await table.paths(1)).toEqual(names(0, 8));
    expect(await current(table)).toMatchObject({ currentSnapshotId: 1n });
  });

  it('is refused with replace, for another table, and without a mask', async () => {
    const table = await TestTable.create(catalog);
    const other = await TestTable.create(catalog);
    const put = moving(table, { snapshotId: 1, changes: add(names(0, 2)) });
    const refused = (changed: Partial<Put>) => failure(table.send({ ...put, ...changed }));
    expect(await refused({ replace: true })).toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringContaining('finish.update_table: is allowed only without replace'),
    });
    expect(await refused({ updateTable: moving(other, put).updateTable })).toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringContaining('finish.update_table: has another table id than the header'),
    });
    expect(await refused({ updateTable: { table: { tableId: table.tableId } } })).toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringContaining('update_mask: is required'),
    });
    expect(await current(table)).toEqual({ currentSnapshotId: undefined, properties: {} });
  });
});
