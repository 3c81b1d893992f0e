import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { TableFormat } from '../../../src/generated/reconciler/v1/tables.ts';
import { added, TestTable } from '../files.ts';
import { TestCatalog } from '../harness.ts';

let catalog: TestCatalog;
beforeAll(async () => {
  catalog = await TestCatalog.start();
});
afterAll(() => catalog[Symbol.asyncDispose]());

const schema = (schemaId: number, ...types: string[]) => ({
  schemaId,
  json: JSON.stringify({
    type: 'struct',
    fields: types.map((type, i) => ({ id: i + 1, name: `c${i + 1}`, required: false, type })),
  }),
});

function int(value: number): Buffer {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(value);
  return bytes;
}

function double(value: number): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleLE(value);
  return bytes;
}

// Delta's widenings that Iceberg does not have (Delta protocol, "Type Widening"): 7 as an int is the float 9.8e-45 if it is read as one.
it('shows the bounds of a file, and of a snapshot, in the types of the snapshot', async () => {
  const table = await TestTable.create(catalog, {
    format: TableFormat.TABLE_FORMAT_DELTA,
    schema: schema(0, 'int', 'decimal(6, 2)', 'int'),
  });
  const { tableId } = table;
  const widened = schema(1, 'double', 'decimal(12, 4)', 'decimal(12, 1)');
  await catalog.clients.tables.putTableSchema({ tableId, schema: widened });
  const columns = (lower: Buffer[], upper: Buffer[]) =>
    lower.map((lowerBound, i) => ({
      columnId: i + 1,
      valueCount: 10n,
      nullCount: 0n,
      lowerBound,
      upperBound: upper[i],
    }));
  const first = added({
    filePath: 'a',
    schemaId: 0,
    columns: columns([int(7), Buffer.from([0x7b]), int(-3)], [int(9), Buffer.from([0x01, 0x00]), int(5)]),
  });
  const second = added({
    filePath: 'b',
    schemaId: 1,
    columns: columns(
      [double(8.5), Buffer.from([0x64]), Buffer.from([0x05])],
      [double(8.75), Buffer.from([0x65]), Buffer.from([0x06])],
    ),
  });
  await table.put({ snapshotId: 1, snapshot: { schemaId: 0 }, changes: [first] });
  const bounds = (metrics: { min?: string | undefined; max?: string | undefined }[]) =>
    metrics.map(({ min, max }) => `${min} to ${max}`);
  // Derived and stored, so that the next snapshot's can be derived from it.
  expect(bounds(await table.columns(1))).toEqual(['7 to 9', '1.23 to 2.56', '-3 to 5']);
  await table.put({ snapshotId: 2, base: 1, snapshot: { schemaId: 1 }, changes: [second] });
  expect(bounds(await table.columns(2))).toEqual(['7.0 to 9.0', '0.0100 to 2.5600', '-3.0 to 5.0']);
  const files = await table.files(2);
  const fileOf = (path: string) => files.find(({ filePath }) => filePath === path)?.columns ?? [];
  expect(bounds(fileOf('a'))).toEqual(['7.0 to 9.0', '1.2300 to 2.5600', '-3.0 to 5.0']);
  expect(bounds(fileOf('b'))).toEqual(['8.5 to 8.75', '0.0100 to 0.0101', '0.5 to 0.6']);
  // From all files: the ancestor's are not used if most files are new.
  await table.put({ snapshotId: 3, snapshot: { schemaId: 1 }, changes: [first, second] });
  expect(bounds(await table.columns(3))).toEqual(['7.0 to 9.0', '0.0100 to 2.5600', '-3.0 to 5.0']);
});
