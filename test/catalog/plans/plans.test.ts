import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { FileContent, FileFormat } from '../../../src/generated/reconciler/v1/statistics.ts';
import { type AddedFile, added, long, removed, TestTable } from '../files.ts';
import { all, failure, TestCatalog } from '../harness.ts';

let catalog: TestCatalog;
beforeAll(async () => {
  catalog = await TestCatalog.start();
});
afterAll(() => catalog[Symbol.asyncDispose]());

/** Spec 0 has no fields, spec 1 has one, and spec 2 has only a void one. */
const partitionSpecs = [
  { specId: 0, fields: [] },
  { specId: 1, fields: [{ fieldId: 1000, name: 'day', transform: 'day', sourceIds: [1] }] },
  { specId: 2, fields: [{ fieldId: 1001, name: 'gone', transform: 'void', sourceIds: [1] }] },
];

const day = (n: number) => ({
  specId: 1,
  partition: [{ fieldId: 1000, name: 'day', type: 'date', value: Buffer.from([n, 0, 0, 0]), text: undefined }],
});
/** The same value after the column has become a timestamp. */
const atMidnight = (n: number) => ({
  specId: 1,
  partition: [{ fieldId: 1000, name: 'day', type: 'timestamp', value: long(n * 86_400_000_000), text: undefined }],
});
/** The same value as the spec says it; Iceberg Java says date. */
const dayAsInt = (n: number) => ({
  specId: 1,
  partition: [{ fieldId: 1000, name: 'day', type: 'int', value: Buffer.from([n, 0, 0, 0]), text: undefined }],
});
/** A day and null, in either order. */
const dayAndMore = (n: number, reversed = false) => {
  const fields = [...day(n).partition, { fieldId: 999, name: 'more', type: 'int', value: undefined, text: undefined }];
  return { specId: 1, partition: reversed ? fields.reverse() : fields };
};
const noDay = {
  specId: 1,
  partition: [{ fieldId: 1000, name: 'day', type: 'date', value: undefined, text: undefined }],
};
const voidField = {
  specId: 2,
  partition: [{ fieldId: 1001, name: 'gone', type: 'int', value: undefined, text: undefined }],
};

const data = (file: AddedFile) => added(file);
const position = (file: AddedFile) => added({ fileContent: FileContent.FILE_CONTENT_POSITION_DELETES, ...file });
const equality = (file: AddedFile) =>
  added({ fileContent: FileContent.FILE_CONTENT_EQUALITY_DELETES, equalityIds: [1], ...file });
const vector = (file: AddedFile & { contentOffset: bigint }) =>
  position({ fileFormat: FileFormat.FILE_FORMAT_PUFFIN, contentSizeInBytes: 10n, ...file });

async function plan(table: TestTable, snapshotId: number, pageSize = 100): Promise<Record<string, string[]>> {
  const result: Record<string, string[]> = {};
  let pageToken = '';
  do {
    const page = await catalog.clients.plans.getPlan({
      tableId: table.tableId,
      snapshotId: BigInt(snapshotId),
      pageSize,
      pageToken,
    });
    for (const { file, deleteFiles } of page.files) {
      result[file?.filePath ?? ''] = deleteFiles
        .map(({ filePath, contentOffset }) => filePath + (contentOffset === undefined ? '' : `@${contentOffset}`))
        .sort();
    }
    pageToken = page.nextPageToken;
  } while (pageToken !== '');
  return result;
}

/** The planned deletes of the data file `a`. */
async function deletesOf(a: Partial<AddedFile>, deletes: ReturnType<typeof added>[]): Promise<string[] | undefined> {
  const table = await TestTable.create(catalog, { partitionSpecs });
  await table.put({ snapshotId: 1, changes: [data({ filePath: 'a', seq: 5, ...a }), ...deletes] });
  return (await plan(table, 1)).a;
}

describe('plans follow the spec as Iceberg Java does', () => {
  it.each([
    [
      'equality deletes that are newer than the file, not those of the same age',
      {},
      [equality({ filePath: 'd5', seq: 5 }), equality({ filePath: 'd6', seq: 6 })],
      ['d6'],
    ],
    [
      'position deletes of the same age or newer',
      {},
      [
        position({ filePath: 'd4', seq: 4 }),
        position({ filePath: 'd5', seq: 5 }),
        position({ filePath: 'd6', seq: 6 }),
      ],
      ['d5', 'd6'],
    ],
    [
      'deletes of the same partition',
      day(1),
      [
        equality({ filePath: 'e1', seq: 6, ...day(1) }),
        equality({ filePath: 'e2', seq: 6, ...day(2) }),
        position({ filePath: 'p1', seq: 6, ...day(1) }),
        position({ filePath: 'p2', seq: 6, ...day(2) }),
      ],
      ['e1', 'p1'],
    ],
    [
      'deletes of the same partition, whose column was widened in between',
      day(1),
      [
        equality({ filePath: 'e1', seq: 6, ...atMidnight(1) }),
        equality({ filePath: 'e2', seq: 6, ...atMidnight(2) }),
        position({ filePath: 'p1', seq: 6, ...atMidnight(1) }),
      ],
      ['e1', 'p1'],
    ],
    [
      'deletes of the same partition, whose value another client stated in another type',
      day(1),
      [
        equality({ filePath: 'e1', seq: 6, ...dayAsInt(1) }),
        equality({ filePath: 'e2', seq: 6, ...dayAsInt(2) }),
        position({ filePath: 'p1', seq: 6, ...dayAsInt(1) }),
      ],
      ['e1', 'p1'],
    ],
    [
      'deletes of the same partition, whose fields another client sent in another order',
      dayAndMore(1),
      [
        equality({ filePath: 'e1', seq: 6, ...dayAndMore(1, true) }),
        equality({ filePath: 'e2', seq: 6, ...dayAndMore(2, true) }),
      ],
      ['e1'],
    ],
    [
      'deletes of the null partition',
      noDay,
      [equality({ filePath: 'e1', seq: 6, ...day(0) }), equality({ filePath: 'en', seq: 6, ...noDay })],
      ['en'],
    ],
    [
      'equality deletes of unpartitioned specs, whatever the partition; position deletes of the same spec only',
      day(1),
      [
        equality({ filePath: 'e0', seq: 6, specId: 0 }),
        equality({ filePath: 'e2', seq: 6, ...voidField }),
        position({ filePath: 'p0', seq: 6, specId: 0 }),
      ],
      ['e0', 'e2'],
    ],
    [
      'not deletes of another spec with an equal partition value',
      day(1),
      [equality({ filePath: 'e', seq: 6, specId: 7, partition: day(1).partition })],
      [],
    ],
    [
      'position deletes for the file by its path, whatever the partition',
      day(1),
      [
        position({ filePath: 'p', seq: 6, referencedDataFile: 'a', ...day(2) }),
        position({ filePath: 'q', seq: 6, referencedDataFile: 'b', ...day(1) }),
      ],
      ['p'],
    ],
    [
      'a deletion vector instead of position deletes, beside equality deletes',
      {},
      [
        vector({ filePath: 'v', contentOffset: 4n, seq: 7, referencedDataFile: 'a' }),
        vector({ filePath: 'v', contentOffset: 90n, seq: 7, referencedDataFile: 'b' }),
        position({ filePath: 'p', seq: 7 }),
        position({ filePath: 'q', seq: 7, referencedDataFile: 'a' }),
        equality({ filePath: 'e', seq: 6 }),
      ],
      ['e', 'v@4'],
    ],
  ])('%s', async (_, a, deletes, expected) => {
    expect(await deletesOf(a, deletes)).toEqual(expected);
  });

  const column = (stats: object) => ({ columns: [{ columnId: 1, ...stats }] });
  const nameColumn = (stats: object) => ({ columns: [{ columnId: 2, ...stats }] });
  const range = (from: number, to: number) =>
    column({ nullCount: 0n, valueCount: 10n, lowerBound: long(from), upperBound: long(to) });
  const text = (from: string, to: string) => ({ lowerBound: Buffer.from(from), upperBound: Buffer.from(to) });
  it.each([
    ['ranges apart', range(1, 5), range(6, 9), 1, false],
    ['ranges that touch', range(1, 6), range(6, 9), 1, true],
    ['an unknown bound', range(1, 5), column({ nullCount: 0n, lowerBound: long(6) }), 1, true],
    [
      'nulls in both',
      nameColumn({ nullCount: 1n, valueCount: 10n, ...text('a', 'b') }),
      nameColumn({ nullCount: 1n, valueCount: 2n, ...text('x', 'y') }),
      2,
      true,
    ],
    ['nulls unknown in both', nameColumn(text('a', 'b')), nameColumn(text('x', 'y')), 2, true],
    [
      'nulls unknown in the data, none deleted, ranges apart',
      nameColumn(text('a', 'b')),
      nameColumn({ nullCount: 0n, ...text('x', 'y') }),
      2,
      false,
    ],
    [
      'only nulls in the data, none deleted',
      nameColumn({ nullCount: 10n, valueCount: 10n }),
      nameColumn({ nullCount: 0n, valueCount: 2n }),
      2,
      false,
    ],
    [
      'only nulls deleted, none in the data',
      nameColumn({ nullCount: 0n, valueCount: 10n }),
      nameColumn({ nullCount: 2n, valueCount: 2n }),
      2,
      false,
    ],
    [
      'a struct or a dropped column',
      nameColumn({ nullCount: 0n, ...text('a', 'b') }),
      nameColumn({ nullCount: 0n, ...text('x', 'y') }),
      4,
      true,
    ],
  ])('leaves out equality deletes that cannot match: %s', async (_, data, del, id, applies) => {
    expect(await deletesOf(data, [equality({ filePath: 'e', seq: 6, equalityIds: [id], ...del })])).toEqual(
      applies ? ['e'] : [],
    );
  });

  // Java orders UUIDs by signed halves, Parquet by unsigned bytes.
  it.each([
    ['overlap as Java orders them', ['ffff', '0001'], ['0000', '0000'], true],
    ['overlap as Parquet orders them', ['7fff', '8001'], ['8000', '8000'], true],
    ['are apart in both orders', ['0001', '0002'], ['0003', '0004'], false],
    ['are apart in both orders, in the upper half', ['8001', '8002'], ['8003', '8004'], false],
  ])('bounds of UUIDs that %s', async (_, [from, to], [deletedFrom, deletedTo], applies) => {
    const uuid = (start = '') => Buffer.from(start.padEnd(32, '0'), 'hex');
    const bounds = (lower?: string, upper?: string) =>
      column({ nullCount: 0n, valueCount: 9n, lowerBound: uuid(lower), upperBound: uuid(upper) });
    const json = JSON.stringify({
      ...{ type: 'struct', 'schema-id': 0 },
      fields: [{ id: 1, name: 'id', required: true, type: 'uuid' }],
    });
    const table = await TestTable.create(catalog, { partitionSpecs, schema: { schemaId: 0, json } });
    const changes = [
      data({ filePath: 'a', seq: 5, ...bounds(from, to) }),
      equality({ filePath: 'e', seq: 6, ...bounds(deletedFrom, deletedTo) }),
    ];
    await table.put({ snapshotId: 1, changes });
    expect((await plan(table, 1)).a).toEqual(applies ? ['e'] : []);
  });

  it('for each snapshot of a history with forks', async () => {
    const table = await TestTable.create(catalog, { partitionSpecs });
    await table.put({ snapshotId: 1, changes: [data({ filePath: 'a' }), data({ filePath: 'b' })] });
    await table.put({
      snapshotId: 2,
      base: 1,
      changes: [position({ filePath: 'p', seq: 2, referencedDataFile: 'a' })],
    });
    await table.put({
      snapshotId: 3,
      base: 2,
      changes: [removed('p'), vector({ filePath: 'v', contentOffset: 0n, seq: 3, referencedDataFile: 'a' })],
    });
    await table.put({
      snapshotId: 4,
      base: 2,
      changes: [equality({ filePath: 'e', seq: 3 }), removed('b'), data({ filePath: 'c', seq: 3 })],
    });
    expect(await plan(table, 1)).toEqual({ a: [], b: [] });
    expect(await plan(table, 2)).toEqual({ a: ['p'], b: [] });
    expect(await plan(table, 3)).toEqual({ a: ['v@0'], b: [] });
    expect(await plan(table, 4)).toEqual({ a: ['e', 'p'], c: [] });
  });
});

describe('the RPCs of Plans', () => {
  it('return the same pages and streams, with the requested columns', async () => {
    const table = await TestTable.create(catalog, { partitionSpecs });
    const files = Array.from({ length: 230 }, (_, i) =>
      data({
        filePath: `f${i}`,
        columns: [
          { columnId: 1, lowerBound: long(i) },
          { columnId: 2, nullCount: 0n },
        ],
      }),
    );
    await table.put({ snapshotId: 1, changes: [...files, equality({ filePath: 'e', seq: 2 })] });
    const paged = await plan(table, 1, 37);
    expect(Object.keys(paged)).toHaveLength(230);
    const streamed = (
      await all(catalog.clients.plans.streamPlan({ tableId: table.tableId, snapshotId: 1n, columns: ['id'] }))
    ).flatMap((part) => part.files);
    expect(streamed.map(({ file }) => file?.filePath)).toEqual(Object.keys(paged));
    expect(streamed[7]?.file?.columns).toMatchObject([{ columnId: 1, columnName: 'id', min: '7' }]);
    expect(streamed[7]?.deleteFiles[0]).toMatchObject({ filePath: 'e', sequenceNumber: 2n, equalityIds: [1] });
    expect(
      await failure(catalog.clients.plans.getPlan({ tableId: table.tableId, snapshotId: 1n, columns: ['x'] })),
    ).toMatchObject({ code: 'INVALID_ARGUMENT' });
    const token = (await catalog.clients.plans.getPlan({ tableId: table.tableId, snapshotId: 1n, pageSize: 5 }))
      .nextPageToken;
    expect(await failure(catalog.clients.plans.getPlan({ tableId: table.tableId, pageToken: token }))).toMatchObject({
      code: 'INVALID_ARGUMENT',
    });
  });

  it('use the current snapshot, or the one that was current at a time', async () => {
    const table = await TestTable.create(catalog);
    const at = (hour: number) => new Date(Date.UTC(2024, 0, 1, hour));
    for (const id of [1, 2, 3]) {
      await table.put({
        snapshotId: id,
        base: id > 1 ? id - 1 : null,
        snapshot: { committedAt: at(id) },
        changes: [data({ filePath: `f${id}` })],
      });
    }
    await table.put({ snapshotId: 9, base: 1, snapshot: { committedAt: at(2) } });
    await catalog.clients.tables.updateTable({
      table: { tableId: table.tableId, currentSnapshotId: 3n },
      updateMask: ['current_snapshot_id'],
    });
    const get = (asOf?: Date) => catalog.clients.plans.getPlan({ tableId: table.tableId, asOf });
    expect((await get()).snapshotId).toBe(3n);
    expect((await get(at(2))).snapshotId).toBe(2n);
    expect((await get(new Date(at(2).getTime() + 1))).snapshotId).toBe(2n);
    expect((await get(at(1))).files.map(({ file }) => file?.filePath)).toEqual(['f1']);
    expect(await failure(get(at(0)))).toMatchObject({
      code: 'NOT_FOUND',
      message: expect.stringContaining('current at'),
    });
  });
});
