import { setTimeout } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { openDatabase } from '../../../src/catalog/store/database/database.ts';
import { countLiveRows } from '../../../src/catalog/store/files/live-row-count.ts';
import { totalsFromText } from '../../../src/catalog/store/files/totals.ts';
import { FileContent, FileFormat } from '../../../src/generated/reconciler/v1/statistics.ts';
import { poll } from '../../jest/poll.ts';
import { added, long, removed, TestTable } from '../files.ts';
import { all, failure, TestCatalog } from '../harness.ts';

let catalog: TestCatalog;
beforeAll(async () => {
  catalog = await TestCatalog.start();
});
afterAll(() => catalog[Symbol.asyncDispose]());

const text = (value: string) => Buffer.from(value);

describe('column statistics', () => {
  it('are sums and bounds of metrics that every live file has', async () => {
    const table = await TestTable.create(catalog);
    const file = (name: string, from: number, to: number) =>
      added({
        filePath: name,
        columns: [
          {
            columnId: 1,
            valueCount: 10n,
            nullCount: 0n,
            sizeInBytes: 80n,
            lowerBound: long(from),
            upperBound: long(to),
          },
          { columnId: 5, valueCount: 10n, nullCount: 2n, lowerBound: text(`c${from}`), upperBound: text(`c${to}`) },
        ],
      });
    await table.put({ snapshotId: 1, changes: [file('a', -5, 3), file('b', 2, 20)] });
    const [id, name, price, city] = await table.columns(1);
    expect(id).toMatchObject({
      columnId: 1,
      columnName: 'id',
      logicalType: 'long',
      valueCount: 20n,
      nullCount: 0n,
      nanCount: undefined,
      min: '-5',
      max: '20',
      sizeInBytes: 160n,
      dropped: false,
    });
    expect(id?.lowerBound).toEqual(long(-5));
    expect(city).toMatchObject({
      columnId: 5,
      columnName: 'where.city',
      valueCount: 20n,
      nullCount: 4n,
      min: 'c-5',
      max: 'c3',
      sizeInBytes: undefined,
    });
    for (const silent of [name, price]) {
      expect(silent).toMatchObject({ valueCount: undefined, nullCount: undefined, min: undefined, max: undefined });
    }
  });

  it('are unknown if one file lacks the metric', async () => {
    const table = await TestTable.create(catalog);
    await table.put({
      snapshotId: 1,
      changes: [
        added({
          filePath: 'a',
          columns: [
            { columnId: 1, valueCount: 10n, lowerBound: long(1), upperBound: long(2) },
            { columnId: 2, valueCount: 10n, nullCount: 1n, lowerBound: text('a') },
          ],
        }),
        added({
          filePath: 'b',
          columns: [
            { columnId: 1, nullCount: 0n, upperBound: long(9) },
            { columnId: 2, valueCount: 10n, nullCount: 1n, lowerBound: text('b'), upperBound: text('c') },
          ],
        }),
      ],
    });
    const [id, name] = await table.columns(1, ['id', 'name']);
    expect(id).toMatchObject({ valueCount: undefined, nullCount: undefined, min: undefined, max: '9' });
    expect(name).toMatchObject({ valueCount: 20n, nullCount: 2n, min: 'a', max: undefined });
  });

  it('have the bounds of files whose records nobody counted', async () => {
    const table = await TestTable.create(catalog);
    const file = (filePath: string, recordCount: bigint | undefined, from: number, to: number) =>
      added({ filePath, recordCount, columns: [{ columnId: 1, lowerBound: long(from), upperBound: long(to) }] });
    await table.put({ snapshotId: 1, changes: [file('a', undefined, 1, 100), file('b', 5n, 40, 50)] });
    expect(await table.columns(1, ['id'])).toMatchObject([{ min: '1', max: '100' }]);
  });

  it('have bounds even if files without values have none', async () => {
    const table = await TestTable.create(catalog);
    await table.put({
      snapshotId: 1,
      changes: [
        added({
          filePath: 'a',
          columns: [
            { columnId: 2, valueCount: 10n, nullCount: 10n },
            { columnId: 3, valueCount: 10n, nullCount: 4n, nanCount: 6n },
          ],
        }),
        added({ filePath: 'empty', recordCount: 0n }),
        added({
          filePath: 'b',
          columns: [
            { columnId: 2, valueCount: 10n, nullCount: 0n, lowerBound: text('m'), upperBound: text('n') },
            { columnId: 3, valueCount: 10n, nullCount: 0n, nanCount: 0n },
          ],
        }),
      ],
    });
    const [name, price] = await table.columns(1, ['name', '#3']);
    expect(name).toMatchObject({ columnId: 2, min: 'm', max: 'n' });
    // File b has values and no bounds.
    expect(price).toMatchObject({ columnId: 3, min: undefined, max: undefined });
  });

  it('are 0 without files, and without bounds', async () => {
    const table = await TestTable.create(catalog);
    await table.put({ snapshotId: 1 });
    const [id, , price] = await table.columns(1);
    expect(id).toMatchObject({ valueCount: 0n, nullCount: 0n, nanCount: undefined, min: undefined });
    expect(price).toMatchObject({ nanCount: 0n });
    expect(await table.stats(1)).toMatchObject({ rowCount: 0n, liveRowCount: 0n, dataFileCount: 0n });
  });

  it('follow additions and removals as if computed from all files', async () => {
    const table = await TestTable.create(catalog);
    const file = (n: number) =>
      added({
        filePath: `f${n}`,
        columns: [{ columnId: 1, valueCount: BigInt(n), lowerBound: long(n), upperBound: long(n) }],
      });
    await table.put({ snapshotId: 1, changes: [1, 5, 6, 7, 9].map(file) });
    expect((await table.columns(1, ['id']))[0]).toMatchObject({ valueCount: 28n, min: '1', max: '9' });
    await table.put({ snapshotId: 2, base: 1, changes: [file(8), removed('f5')] });
    await table.put({ snapshotId: 3, base: 2, changes: [added({ filePath: 'silent' })] });
    await table.put({ snapshotId: 4, base: 3, changes: [removed('silent'), removed('f1'), removed('f9')] });
    expect((await table.columns(2, ['id']))[0]).toMatchObject({ valueCount: 31n, min: '1', max: '9' });
    expect((await table.columns(3, ['id']))[0]).toMatchObject({ valueCount: undefined, min: undefined });
    expect((await table.columns(4, ['id']))[0]).toMatchObject({ valueCount: 21n, min: '6', max: '8' });
    // A snapshot on a fork.
    await table.put({ snapshotId: 5, base: 1, changes: [removed('f1'), file(10)] });
    expect((await table.columns(5, ['id']))[0]).toMatchObject({ valueCount: 37n, min: '5', max: '10' });
    await table.put({ snapshotId: 6, base: 5, changes: [removed('f7')] });
    expect((await table.columns(6, ['id']))[0]).toMatchObject({ valueCount: 30n, min: '5', max: '10' });
  });

  it('use the types and names of the snapshot', async () => {
    const int = Buffer.from([5, 0, 0, 0]);
    const fields = (type: string, name: string) =>
      JSON.stringify({ type: 'struct', fields: [{ id: 1, name, required: false, type }] });
    const table = await TestTable.create(catalog, { schema: { schemaId: 0, json: fields('int', 'old') } });
    await catalog.clients.tables.putTableSchema({
      tableId: table.tableId,
      schema: { schemaId: 1, json: fields('long', 'new') },
    });
    await catalog.clients.tables.putTableSchema({
      tableId: table.tableId,
      schema: {
        schemaId: 2,
        json: JSON.stringify({ type: 'struct', fields: [{ id: 7, name: 'other', required: false, type: 'string' }] }),
      },
    });
    await table.put({
      snapshotId: 1,
      changes: [added({ filePath: 'a', columns: [{ columnId: 1, lowerBound: int, upperBound: int }] })],
    });
    await table.put({
      snapshotId: 2,
      base: 1,
      snapshot: { schemaId: 1 },
      changes: [added({ filePath: 'b', columns: [{ columnId: 1, lowerBound: long(-7), upperBound: long(2) }] })],
    });
    await table.put({ snapshotId: 3, base: 2, snapshot: { schemaId: 2 } });
    expect((await table.columns(1))[0]).toMatchObject({ columnName: 'old', logicalType: 'int', min: '5', max: '5' });
    const [widened] = await table.columns(2);
    expect(widened).toMatchObject({ columnName: 'new', logicalType: 'long', min: '-7', max: '5' });
    expect(widened?.upperBound).toEqual(long(5));
    const [dropped, other] = await table.columns(3);
    expect(dropped).toMatchObject({ columnId: 1, columnName: 'new', dropped: true, max: '5' });
    expect(other).toMatchObject({ columnId: 7, dropped: false });
    // The bounds of the file itself keep their width.
    const file = (await table.files(2)).find((one) => one.filePath === 'a');
    expect(file?.columns[0]).toMatchObject({ columnName: 'new', logicalType: 'long', lowerBound: int, min: '5' });
  });

  it('refuse an unknown column, and are listed in pages', async () => {
    const table = await TestTable.create(catalog);
    await table.put({ snapshotId: 1, changes: [added({ filePath: 'a' })] });
    expect(await failure(table.columns(1, ['nope']))).toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringContaining('nope'),
    });
    expect(await failure(table.files(1, 10, ['#99']))).toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringContaining('#99'),
    });
    const request = { tableId: table.tableId, snapshotId: 1n, pageSize: 3 };
    const first = await catalog.clients.statistics.listColumnStats(request);
    const second = await catalog.clients.statistics.listColumnStats({ ...request, pageToken: first.nextPageToken });
    expect([...first.columns, ...second.columns].map((column) => column.columnId)).toEqual([1, 2, 3, 5]);
    expect(second.nextPageToken).toBe('');
  });

  it('return stored NDV, sketches and counts, which take precedence over derived ones', async () => {
    const table = await TestTable.create(catalog);
    await table.put({
      snapshotId: 1,
      changes: [added({ filePath: 'a', columns: [{ columnId: 1, valueCount: 10n }] })],
    });
    const put = (key: string, ndv: number) =>
      catalog.clients.statistics.putColumnStats(
        (async function* () {
          yield {
            request: {
              $case: 'header' as const,
              value: { tableId: table.tableId, snapshotId: 1n, idempotencyKey: key },
            },
          };
          yield {
            request: {
              $case: 'column' as const,
              value: {
                columnId: 1,
                nullCount: 3n,
                upperBound: long(8),
                ndv: { estimate: ndv, sketches: [{ type: 'theta', data: Buffer.from('x') }] },
              },
            },
          };
        })(),
      );
    expect(await put('k', 7)).toEqual({ columnsPut: 1n });
    expect(await put('k', 8)).toEqual({ columnsPut: 0n });
    expect((await table.columns(1, ['id']))[0]).toMatchObject({
      valueCount: 10n,
      nullCount: 3n,
      max: '8',
      ndv: { estimate: 7, sketches: [{ type: 'theta' }] },
    });
    const giveUp = new AbortController();
    const broken = (async function* () {
      const value = { tableId: table.tableId, snapshotId: 1n, idempotencyKey: 'l' };
      yield { request: { $case: 'header' as const, value } };
      yield { request: { $case: 'column' as const, value: { columnId: 1, ndv: { estimate: 5 } } } };
      await poll(async () => (await table.columns(1, ['id']))[0]?.ndv?.estimate).toBe(5);
      giveUp.abort();
    })();
    await expect(catalog.clients.statistics.putColumnStats(broken, { signal: giveUp.signal })).rejects.toThrow();
    // The service notices the end a moment later than the client.
    await setTimeout(200);
    expect(await put('l', 9)).toEqual({ columnsPut: 1n });
    expect((await table.columns(1, ['id']))[0]?.ndv).toMatchObject({ estimate: 9 });
    const bad = (async function* () {
      yield { request: { $case: 'column' as const, value: { columnId: 1 } } };
    })();
    expect(await failure(catalog.clients.statistics.putColumnStats(bad))).toMatchObject({ code: 'INVALID_ARGUMENT' });
    expect(
      (await catalog.clients.statistics.putTableStats({ tableId: table.tableId, snapshotId: 1n, ndv: 12n })).ndv,
    ).toBe(12n);
    expect((await table.stats(1)).ndv).toBe(12n);
    expect(
      await failure(catalog.clients.statistics.putTableStats({ tableId: table.tableId, snapshotId: 1n })),
    ).toMatchObject({ code: 'INVALID_ARGUMENT' });
  });
});

describe('live rows', () => {
  const deletes = (filePath: string, file: object, seq = 2) =>
    added({ filePath, fileContent: FileContent.FILE_CONTENT_POSITION_DELETES, recordCount: 3n, seq, ...file });
  const vector = (target: string, records: bigint) =>
    deletes('x.puffin', {
      fileFormat: FileFormat.FILE_FORMAT_PUFFIN,
      contentOffset: BigInt(target.length),
      contentSizeInBytes: 9n,
      referencedDataFile: target,
      recordCount: records,
    });

  it.each([
    ['no deletes', [], 20n],
    ['position deletes for one file', [deletes('d', { referencedDataFile: 'a' })], 17n],
    ['a deletion vector', [vector('a', 4n)], 16n],
    [
      'a deletion vector instead of position deletes',
      [deletes('d', { referencedDataFile: 'a' }), vector('a', 4n)],
      16n,
    ],
    ['position deletes that name no data file', [deletes('d', {})], undefined],
    [
      'two delete files for one data file',
      [deletes('d', { referencedDataFile: 'a' }), deletes('e', { referencedDataFile: 'a' })],
      undefined,
    ],
    ['a delete file for a file that is not live', [deletes('d', { referencedDataFile: 'zz' })], undefined],
    ['a delete file that is older than its data file', [deletes('d', { referencedDataFile: 'a' }, 0)], undefined],
    [
      'equality deletes',
      [added({ filePath: 'e', fileContent: FileContent.FILE_CONTENT_EQUALITY_DELETES, equalityIds: [1], seq: 2 })],
      undefined,
    ],
    ['a file whose records nobody counted', [added({ filePath: 'c', recordCount: undefined })], undefined],
    [
      'a delete file whose records nobody counted',
      [deletes('d', { referencedDataFile: 'a', recordCount: undefined })],
      undefined,
    ],
    ['more deletes than rows', [deletes('d', { referencedDataFile: 'a', recordCount: 50n })], undefined],
  ])('are counted or unknown with %s', async (_, files, live) => {
    const table = await TestTable.create(catalog);
    await table.put({ snapshotId: 1, changes: [added({ filePath: 'a' }), added({ filePath: 'b' }), ...files] });
    for (const time of ['computed', 'stored'])
      expect({ time, live: (await table.stats(1)).liveRowCount }).toEqual({ time, live });
  });

  it('are counted again when the file that nobody counted is gone', async () => {
    const table = await TestTable.create(catalog);
    await table.put({
      snapshotId: 1,
      changes: [added({ filePath: 'a' }), added({ filePath: 'b', recordCount: undefined })],
    });
    await table.put({ snapshotId: 2, base: 1, changes: [removed('b'), added({ filePath: 'c' })] });
    expect(await table.stats(1)).toMatchObject({ rowCount: undefined, liveRowCount: undefined, dataFileCount: 2n });
    expect(await table.stats(2)).toMatchObject({ rowCount: 20n, liveRowCount: 20n });
  });

  it('are those of the new files if the snapshot was replaced after its row was read', async () => {
    const table = await TestTable.create(catalog);
    await table.put({ snapshotId: 1, changes: [added({ filePath: 'a' }), added({ filePath: 'b' })] });
    const { db, close } = await openDatabase(catalog.file);
    const staleRow = await db
      .selectFrom('snapshots as s')
      .innerJoin('tables as t', 't.table_num', 's.table_num')
      .selectAll('s')
      .where('t.table_id', '=', table.tableId)
      .executeTakeFirstOrThrow();
    await table.put({ snapshotId: 1, changes: [added({ filePath: 'a' })], replace: true });
    const { row, liveRowCount } = await countLiveRows(db, staleRow);
    expect(liveRowCount).toBe(10n);
    // The totals are those of the same files, not of the row that was read before.
    expect(totalsFromText(row.totals as string)[1]).toMatchObject({ files: 1n, records: 10n });
    await close();
    expect((await table.stats(1)).liveRowCount).toBe(10n);
  });
});

describe('files', () => {
  it('are returned with names, types and texts, in pages and as a stream', async () => {
    const table = await TestTable.create(catalog);
    const changes = Array.from({ length: 250 }, (_, i) =>
      added({
        filePath: `f${i}`,
        partition: [
          { fieldId: 1000, name: 'day', type: 'date', value: Buffer.from([i, 0, 0, 0]), text: undefined },
          { fieldId: 1001, name: 'gone', type: 'string', value: undefined, text: undefined },
        ],
        columns: [
          { columnId: 1, valueCount: 10n, lowerBound: long(i), upperBound: long(i) },
          { columnId: 5, nullCount: 1n },
        ],
      }),
    );
    await table.put({ snapshotId: 1, changes });
    await catalog.clients.tables.updateTable({
      table: { tableId: table.tableId, currentSnapshotId: 1n },
      updateMask: ['current_snapshot_id'],
    });
    const files = await table.files(undefined, 60);
    expect(files).toHaveLength(250);
    expect(files[3]).toMatchObject({
      partition: [{ text: '1970-01-04' }, { text: undefined }],
      columns: [
        { columnName: 'id', logicalType: 'long', min: '3', max: '3' },
        { columnName: 'where.city', nullCount: 1n },
      ],
    });
    const streamed = (
      await all(catalog.clients.statistics.streamFileColumnStats({ tableId: table.tableId, columns: ['where'] }))
    ).flatMap((part) => part.files);
    expect(streamed.map((file) => file.filePath)).toEqual(files.map((file) => file.filePath));
    expect(streamed[0]?.columns.map((column) => column.columnId)).toEqual([5]);
    const deletes = await catalog.clients.statistics.listFileColumnStats({
      tableId: table.tableId,
      fileContent: FileContent.FILE_CONTENT_POSITION_DELETES,
    });
    expect(deletes.files).toEqual([]);
  });

  it('of very wide tables are returned in pages that are limited by size', async () => {
    const table = await TestTable.create(catalog);
    const columns = Array.from({ length: 500 }, (_, i) => ({
      columnId: i + 1,
      lowerBound: Buffer.alloc(800, 97),
      upperBound: Buffer.alloc(800, 98),
    }));
    await table.put({
      snapshotId: 1,
      changes: Array.from({ length: 15 }, (_, i) => added({ filePath: `f${i}`, columns })),
      chunk: 5,
    });
    const first = await catalog.clients.statistics.listFileColumnStats({
      tableId: table.tableId,
      snapshotId: 1n,
      pageSize: 1000,
    });
    expect(first.files.length).toBeLessThan(15);
    expect(first.nextPageToken).not.toBe('');
    expect(await table.paths(1)).toHaveLength(15);
  });

  it('refuse tokens of other requests', async () => {
    const table = await TestTable.create(catalog);
    await table.put({ snapshotId: 1, changes: [1, 2, 3].map((n) => added({ filePath: `f${n}` })) });
    const { statistics } = catalog.clients;
    const request = { tableId: table.tableId, snapshotId: 1n, pageSize: 1 };
    const { nextPageToken } = await statistics.listFileColumnStats(request);
    const forged = Buffer.from(JSON.stringify({ snapshot: '1', generation: 1, after: {} })).toString('base64url');
    for (const change of [
      { columns: ['id'] },
      { fileContent: FileContent.FILE_CONTENT_DATA },
      { snapshotId: 2n },
      { pageToken: `${nextPageToken}x` },
      { pageToken: 'AAAA' },
      { pageToken: `aaaaaaaaaaaa${forged}` },
      { pageToken: '\u0000'.repeat(50) },
      { pageToken: 'x'.repeat(100_000) },
    ]) {
      expect(
        await failure(statistics.listFileColumnStats({ ...request, pageToken: nextPageToken, ...change })),
      ).toMatchObject({ code: 'INVALID_ARGUMENT', message: expect.stringContaining('page_token') });
    }
    for (const pageSize of [-1, 1001])
      expect(await failure(statistics.listFileColumnStats({ ...request, pageSize }))).toMatchObject({
        code: 'INVALID_ARGUMENT',
        message: expect.stringContaining('page_size'),
      });
    expect(
      (await statistics.listFileColumnStats({ ...request, pageToken: nextPageToken, pageSize: 2 })).files,
    ).toHaveLength(2);
  });

  it('are not found without a table, snapshot or current snapshot', async () => {
    const table = await TestTable.create(catalog);
    const { statistics } = catalog.clients;
    expect(await failure(statistics.getTableStats({ tableId: table.tableId }))).toMatchObject({
      code: 'NOT_FOUND',
      message: expect.stringContaining('no current snapshot'),
    });
    expect(await failure(statistics.getTableStats({ tableId: table.tableId, snapshotId: 4n }))).toMatchObject({
      code: 'NOT_FOUND',
      message: expect.stringContaining('snapshot 4'),
    });
    expect(await failure(statistics.listColumnStats({ tableId: 'tbl_no' }))).toMatchObject({
      code: 'NOT_FOUND',
      message: 'table tbl_no does not exist',
    });
    expect(await failure(statistics.listFileColumnStats({ tableId: '' }))).toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: 'table_id: is required',
    });
  });
});
