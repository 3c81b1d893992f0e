import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { TableFormat } from '../../../src/generated/reconciler/v1/tables.ts';
import { added, TestTable } from '../files.ts';
import { TestCatalog } from '../harness.ts';

let catalog: TestCatalog;
beforeAll(async () => {
  catalog = await TestCatalog.start();
});
afterAll(() => catalog[Symbol.asyncDispose]());

const schema = (schemaId: number, columns: Record<string, number>) => ({
  schemaId,
  json: JSON.stringify({
    type: 'struct',
    fields: Object.entries(columns).map(([name, id]) => ({ id, name, required: false, type: 'int' })),
  }),
});

// With column mapping, a column that is added again has another id, and files keep the statistics of the dropped one.
it('a column that was dropped is not shown under a name that another column of the snapshot has', async () => {
  const table = await TestTable.create(catalog, {
    format: TableFormat.TABLE_FORMAT_DELTA,
    schema: schema(0, { x: 1, y: 2 }),
  });
  const { tableId } = table;
  const columns = [1, 2].map((columnId) => ({ columnId, valueCount: 10n, nullCount: BigInt(columnId) }));
  await table.put({ snapshotId: 1, snapshot: { schemaId: 0 }, changes: [added({ filePath: 'a', columns })] });
  await catalog.clients.tables.putTableSchema({ tableId, schema: schema(1, { x: 1 }) });
  await table.put({ snapshotId: 2, base: 1, snapshot: { schemaId: 1 } });
  await catalog.clients.tables.putTableSchema({ tableId, schema: schema(2, { x: 1, y: 3 }) });
  await table.put({ snapshotId: 3, base: 2, snapshot: { schemaId: 2 } });
  const shown = async (snapshotId: number) =>
    (await table.files(snapshotId))[0]?.columns.map(({ columnId, columnName }) => `${columnId} ${columnName}`);
  expect(await shown(1)).toEqual(['1 x', '2 y']);
  expect(await shown(2)).toEqual(['1 x', '2 y']);
  expect(await shown(3)).toEqual(['1 x']);
});
