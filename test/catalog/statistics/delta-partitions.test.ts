import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { TableFormat } from '../../../src/generated/reconciler/v1/tables.ts';
import { added, TestTable } from '../files.ts';
import { TestCatalog } from '../harness.ts';

let catalog: TestCatalog;
beforeAll(async () => {
  catalog = await TestCatalog.start();
});
afterAll(() => catalog[Symbol.asyncDispose]());

const schema = (schemaId: number, name: string, type = 'string') => ({
  schemaId,
  json: JSON.stringify({ type: 'struct', fields: [{ id: 1, name, required: false, type }] }),
});
const partition = [{ fieldId: 1000, name: 'part', type: 'string', value: Buffer.from('x') }];
const partitionSpecs = [
  { specId: 0, fields: [{ fieldId: 1000, name: 'part', transform: 'identity', sourceIds: [1] }] },
];

// Delta partitions by columns; in Iceberg, a partition field has a name of its own ("Partition Evolution").
it.each([
  ['DELTA', ['part', 'region']],
  ['ICEBERG', ['part', 'part']],
] as const)('the partition of a renamed column in a table of format %s has the names %p', async (format, names) => {
  const table = await TestTable.create(catalog, {
    format: TableFormat[`TABLE_FORMAT_${format}`],
    schema: schema(0, 'part'),
    partitionSpecs,
  });
  const { tableId } = table;
  await catalog.clients.tables.putTableSchema({ tableId, schema: schema(1, 'region') });
  await table.put({ snapshotId: 1, snapshot: { schemaId: 0 }, changes: [added({ filePath: 'a', partition })] });
  await table.put({ snapshotId: 2, base: 1, snapshot: { schemaId: 1 } });
  const nameAt = async (snapshotId: number) => (await table.files(snapshotId))[0]?.partition[0]?.name;
  expect([await nameAt(1), await nameAt(2)]).toEqual(names);
});

it.each([
  ['DELTA', ['int', 'double'], ['7', '7.0']],
  ['ICEBERG', ['double', 'double'], ['7.0', '7.0']],
] as const)(
  'the partition of a widened column in a table of format %s has the types %p',
  async (format, types, texts) => {
    const table = await TestTable.create(catalog, {
      format: TableFormat[`TABLE_FORMAT_${format}`],
      schema: schema(1, 'part', 'double'),
      partitionSpecs,
    });
    const { tableId } = table;
    await catalog.clients.tables.putTableSchema({ tableId, schema: schema(0, 'part', 'int') });
    // As integers are stored, whatever their width.
    const seven = { fieldId: 1000, name: 'part', type: 'long', value: Buffer.of(7, 0, 0, 0, 0, 0, 0, 0) };
    await table.put({
      snapshotId: 1,
      snapshot: { schemaId: 0 },
      changes: [added({ filePath: 'a', partition: [seven] })],
    });
    await table.put({ snapshotId: 2, base: 1, snapshot: { schemaId: 1 } });
    const shown = async (snapshotId: number) => (await table.files(snapshotId))[0]?.partition[0];
    const both = [await shown(1), await shown(2)];
    expect(both.map((value) => value?.type)).toEqual(types);
    expect(both.map((value) => value?.text)).toEqual(texts);
  },
);
