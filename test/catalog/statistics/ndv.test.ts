import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { openDatabase } from '../../../src/catalog/store/database/database.ts';
import { statisticsChanged } from '../../../src/catalog/store/files/recompute.ts';
import { derivedNdv } from '../../../src/catalog/store/statistics/derived-ndv.ts';
import { snapshotSchemas } from '../../../src/catalog/store/tables/table-schemas.ts';
import type { FileSketches } from '../../../src/generated/reconciler/internal/v1/ingestion.ts';
import { FileContent, FileFormat } from '../../../src/generated/reconciler/v1/statistics.ts';
import { decodeCompactTheta, THETA_TYPE } from '../../../src/stats/ndv/compact-theta.ts';
import { hashBytes, thetaHash } from '../../../src/stats/ndv/murmur3.ts';
import { ThetaSketch } from '../../../src/stats/ndv/theta-sketch.ts';
import { added, long, removed, TestTable } from '../files.ts';
import { failure, TestCatalog } from '../harness.ts';

let catalog: TestCatalog;
beforeAll(async () => {
  catalog = await TestCatalog.start();
});
afterAll(() => catalog[Symbol.asyncDispose]());

const ALL = { sampleFraction: 1, maxFiles: 0n };

/** A sketch of the longs from `from` up to, but not including, `to`. */
function theta(from: number, to: number): Buffer {
  const sketch = new ThetaSketch(512);
  for (let value = from; value < to; value++) {
    hashBytes(long(value));
    sketch.add(thetaHash.high, thetaHash.low);
  }
  return Buffer.from(sketch.toCompact());
}

function sketched(filePath: string, from: number, to: number, more: Partial<FileSketches> = {}): FileSketches {
  const column = { columnId: 1, logicalType: 'long', theta: theta(from, to), estimate: to - from, complete: true };
  return { filePath, columns: [column], lastColumnId: 5, unreadable: '', columnsKey: '', ...more };
}

async function put(table: TestTable, ...files: FileSketches[]) {
  return (await catalog.clients.ingestion.putFileSketches({ tableId: table.tableId, files })).filesPut;
}

/** Paths of the files to sketch, listed in pages of two. */
async function toSketch(table: TestTable, options: object = ALL): Promise<string[]> {
  const paths: string[] = [];
  let pageToken = '';
  do {
    const page = await catalog.clients.ingestion.listFilesToSketch({
      tableId: table.tableId,
      ...ALL,
      ...options,
      pageSize: 2,
      pageToken,
    });
    expect(page.files.length).toBeLessThanOrEqual(2);
    paths.push(...page.files.map((file) => file.filePath));
    pageToken = page.nextPageToken;
  } while (pageToken !== '');
  return paths;
}

async function ndv(table: TestTable, snapshotId: number, columnId = 1) {
  const { columns } = await catalog.clients.statistics.listColumnStats({
    tableId: table.tableId,
    snapshotId: BigInt(snapshotId),
  });
  return columns.find((column) => column.columnId === columnId)?.ndv;
}

async function setCurrent({ tableId }: TestTable, currentSnapshotId: bigint): Promise<void> {
  await catalog.clients.tables.updateTable({
    table: { tableId, currentSnapshotId },
    updateMask: ['current_snapshot_id'],
  });
}

const names = (count: number, prefix = 'file') => Array.from({ length: count }, (_, i) => `${prefix} ${i}`);

describe('files to sketch', () => {
  it('are the Parquet data files without sketches, each once and in a fixed order', async () => {
    const table = await TestTable.create(catalog);
    const paths = names(7);
    const changes = [
      ...paths.map((filePath) => added({ filePath })),
      added({ filePath: 'orc', fileFormat: FileFormat.FILE_FORMAT_ORC }),
      added({ filePath: 'deletes', fileContent: FileContent.FILE_CONTENT_POSITION_DELETES }),
    ];
    await table.put({ snapshotId: 1, changes });
    const order = await toSketch(table);
    expect([...order].sort()).toEqual(paths);
    expect(order).not.toEqual(paths);
    expect(await put(table, sketched(order[2]!, 0, 1), sketched('another', 0, 1))).toBe(1n);
    expect(await toSketch(table)).toEqual(order.filter((_, i) => i !== 2));
  });

  it('are a share of all files, and always the same ones', async () => {
    const table = await TestTable.create(catalog);
    await table.put({ snapshotId: 1, changes: names(200).map((filePath) => added({ filePath })) });
    const all = await toSketch(table);
    const tenth = await toSketch(table, { sampleFraction: 0.1 });
    expect(tenth).toEqual(all.slice(0, tenth.length));
    expect(tenth.length).toBeGreaterThan(8);
    expect(tenth.length).toBeLessThan(35);
    await table.put({ snapshotId: 2, changes: names(200, 'more').map((filePath) => added({ filePath })) });
    const later = await toSketch(table, { sampleFraction: 0.1 });
    expect(later.filter((path) => path.startsWith('file'))).toEqual(tenth);
  });

  it('are up to a number of files of the current snapshot, including those that are sketched', async () => {
    const table = await TestTable.create(catalog);
    await table.put({ snapshotId: 1, changes: names(20).map((filePath) => added({ filePath })) });
    await setCurrent(table, 1n);
    const all = await toSketch(table);
    const five = await toSketch(table, { maxFiles: 5n });
    expect(five).toEqual(all.slice(0, 5));
    await put(table, ...five.map((path) => sketched(path, 0, 1)));
    expect(await toSketch(table, { maxFiles: 5n })).toEqual([]);
    // The next file is sketched when a sketched file is removed.
    await table.put({ snapshotId: 2, base: 1, changes: [removed(five[0]!)] });
    await setCurrent(table, 2n);
    expect(await toSketch(table, { maxFiles: 5n })).toEqual([all[5]]);
  });

  it('are files of snapshots that have not expired', async () => {
    const table = await TestTable.create(catalog);
    await table.put({ snapshotId: 1, changes: [added({ filePath: 'old' }), added({ filePath: 'kept' })] });
    await table.put({ snapshotId: 2, base: 1, changes: [removed('old'), added({ filePath: 'new' })] });
    await setCurrent(table, 2n);
    expect((await toSketch(table)).sort()).toEqual(['kept', 'new', 'old']);
    await catalog.clients.ingestion.expireSnapshots({ tableId: table.tableId, snapshotIds: [1n] });
    expect((await toSketch(table)).sort()).toEqual(['kept', 'new']);
  });

  it('exclude files that could not be read, unless requested', async () => {
    const table = await TestTable.create(catalog);
    await table.put({ snapshotId: 1, changes: [added({ filePath: 'a' }), added({ filePath: 'b' })] });
    await put(
      table,
      { filePath: 'a', columns: [], lastColumnId: 5, unreadable: 'it is gone', columnsKey: '' },
      sketched('b', 0, 1),
    );
    expect(await toSketch(table)).toEqual([]);
    expect(await toSketch(table, { retryUnreadable: true })).toEqual(['a']);
  });

  it('include files that were sketched for other columns', async () => {
    const table = await TestTable.create(catalog);
    const changes = ['a', 'b', 'c'].map((filePath) => added({ filePath }));
    await table.put({ snapshotId: 1, changes });
    await put(table, sketched('a', 0, 1), sketched('b', 0, 1, { columnsKey: 'some' }));
    expect((await toSketch(table)).sort()).toEqual(['b', 'c']);
    expect((await toSketch(table, { columnsKey: 'some' })).sort()).toEqual(['a', 'c']);
    await put(table, sketched('b', 0, 1), sketched('c', 0, 1));
    expect(await toSketch(table)).toEqual([]);
  });

  it('are listed in pages, which may be empty if many files are already sketched', async () => {
    const table = await TestTable.create(catalog);
    const paths = names(12_000);
    await table.put({
      snapshotId: 1,
      changes: paths.map((filePath) => added({ filePath, fileFormat: FileFormat.FILE_FORMAT_ORC })),
    });
    await table.put({ snapshotId: 2, base: 1, changes: [added({ filePath: 'parquet' })] });
    const first = await catalog.clients.ingestion.listFilesToSketch({ tableId: table.tableId, ...ALL });
    expect(first.nextPageToken).not.toBe('');
    expect(await toSketch(table)).toEqual(['parquet']);
  });

  it.each([
    [{ sampleFraction: 0 }, 'sample_fraction'],
    [{ sampleFraction: 1.1 }, 'sample_fraction'],
    [{ sampleFraction: Number.NaN }, 'sample_fraction'],
    [{ maxFiles: -1n }, 'max_files'],
  ])('are refused for %o', async (options, field) => {
    const table = await TestTable.create(catalog);
    expect(await failure(toSketch(table, options))).toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringContaining(field),
    });
  });
});

describe('numbers of distinct values of a snapshot', () => {
  it('are derived from its own live files', async () => {
    const table = await TestTable.create(catalog);
    await table.put({ snapshotId: 1, changes: [added({ filePath: 'a', recordCount: 100n })] });
    await table.put({ snapshotId: 2, base: 1, changes: [added({ filePath: 'b', recordCount: 100n })] });
    await table.put({ snapshotId: 3, base: 2, changes: [removed('a')] });
    await put(table, sketched('a', 0, 100), sketched('b', 50, 150));
    const exact = async (id: number) => (await ndv(table, id))?.exact;
    expect([await exact(1), await exact(2), await exact(3)]).toEqual([100n, 150n, 100n]);
    const [sketch] = (await ndv(table, 2))!.sketches;
    expect([sketch!.type, decodeCompactTheta(sketch!.data)!.hashes.length]).toEqual([THETA_TYPE, 300]);
    expect(await ndv(table, 2, 2)).toBeUndefined();
  });

  it('are updated when further files are sketched', async () => {
    const table = await TestTable.create(catalog);
    const changes = ['a', 'b'].map((filePath) => added({ filePath, recordCount: 100n }));
    await table.put({ snapshotId: 1, changes });
    await put(table, sketched('a', 0, 100));
    // One of two files is sketched: between 100 and 200 values.
    expect((await ndv(table, 1))!.estimate).toBeCloseTo(100 * Math.SQRT2);
    await put(table, sketched('b', 100, 200));
    expect((await ndv(table, 1))!.exact).toBe(200n);
    await put(table, sketched('b', 0, 100));
    expect((await ndv(table, 1))!.exact).toBe(100n);
  });

  it('are known for columns that were added after a file was written, and unknown for columns that were not sketched', async () => {
    const table = await TestTable.create(catalog);
    await table.put({ snapshotId: 1, changes: [added({ filePath: 'a' })] });
    await put(table, sketched('a', 0, 10, { lastColumnId: 3 }));
    expect([(await ndv(table, 1, 5))?.exact, await ndv(table, 1, 3)]).toEqual([0n, undefined]);
  });

  it('are not derived from hashes of different types after a type was widened', async () => {
    const table = await TestTable.create(catalog);
    const changes = ['a', 'b'].map((filePath) => added({ filePath, recordCount: 100n }));
    await table.put({ snapshotId: 1, changes });
    const narrow = sketched('b', 0, 100);
    narrow.columns[0]!.logicalType = 'int';
    await put(table, sketched('a', 0, 100), narrow);
    expect(await ndv(table, 1)).toMatchObject({ exact: undefined, estimate: expect.closeTo(100 * Math.SQRT2) });
  });

  it('do not exceed what the value counts and bounds allow', async () => {
    const table = await TestTable.create(catalog);
    const column = { columnId: 1, valueCount: 100n, nullCount: 0n, lowerBound: long(0), upperBound: long(109) };
    const changes = ['a', 'b', 'c', 'd'].map((filePath) => added({ filePath, recordCount: 100n, columns: [column] }));
    await table.put({ snapshotId: 1, changes });
    await put(table, sketched('a', 0, 100));
    expect((await ndv(table, 1))!.estimate).toBe(110);
  });

  it('are those that a caller stored, if there are any', async () => {
    const table = await TestTable.create(catalog);
    await table.put({ snapshotId: 1, changes: [added({ filePath: 'a' })] });
    await put(table, sketched('a', 0, 10));
    await catalog.clients.statistics.putColumnStats(
      (async function* () {
        const header = { tableId: table.tableId, snapshotId: 1n, idempotencyKey: 'k' };
        yield { request: { $case: 'header' as const, value: header } };
        yield { request: { $case: 'column' as const, value: { columnId: 1, ndv: { estimate: 7 } } } };
      })(),
    );
    expect(await ndv(table, 1)).toMatchObject({ estimate: 7, exact: undefined });
    const { snapshots } = await catalog.clients.snapshots.listSnapshots({ tableId: table.tableId });
    expect(snapshots[0]!.columnStatsKey).toBe('k');
  });

  it('follow a repair of the snapshot', async () => {
    const table = await TestTable.create(catalog);
    const [a, b] = ['a', 'b'].map((filePath) => added({ filePath, recordCount: 10n }));
    await table.put({ snapshotId: 1, changes: [a!] });
    await put(table, sketched('a', 0, 10));
    expect((await ndv(table, 1))!.exact).toBe(10n);
    await table.put({ snapshotId: 1, changes: [a!, b!], replace: true });
    await put(table, sketched('b', 10, 30));
    expect((await ndv(table, 1))!.exact).toBe(30n);
  });

  it.each(['a repair', 'a deletion'])('are not stored after %s of the snapshot meanwhile', async (what) => {
    const table = await TestTable.create(catalog);
    await table.put({ snapshotId: 1, changes: [added({ filePath: 'a' })] });
    await put(table, sketched('a', 0, 10));
    const { db, close } = await openDatabase(catalog.file);
    const row = await db
      .selectFrom('snapshots as s')
      .innerJoin('tables as t', 't.table_num', 's.table_num')
      .selectAll('s')
      .where('t.table_id', '=', table.tableId)
      .executeTakeFirstOrThrow();
    const between = async () => {
      if (what === 'a repair') await statisticsChanged(db, row.table_num);
      else await db.deleteFrom('snapshots').where('snapshot_num', '=', row.snapshot_num).execute();
    };
    // The only transaction stores the derived numbers.
    const disturbed = new Proxy(db, {
      get(target, name) {
        if (name !== 'transaction') return Reflect.get(target, name).bind(target);
        return () => ({
          execute: async (work: never) => {
            await between();
            return target.transaction().execute(work);
          },
        });
      },
    });
    const schemas = await snapshotSchemas(db, row.table_num, row.schema_id, null);
    await derivedNdv(disturbed, row, schemas, [1]);
    const kept = await db.selectFrom('derived_ndv').selectAll().where('table_num', '=', row.table_num).execute();
    await close();
    expect(kept).toEqual([]);
  });

  it.each([
    ['no sketch', { theta: Buffer.from('none') }, 'theta'],
    ['no estimate', { estimate: Number.NaN }, 'estimate'],
    ['a negative column', { columnId: -1 }, 'column_id'],
    ['no type', { logicalType: '' }, 'logical_type'],
  ])('refuse %s', async (_, column, field) => {
    const table = await TestTable.create(catalog);
    await table.put({ snapshotId: 1, changes: [added({ filePath: 'a' })] });
    const file = sketched('a', 0, 10);
    Object.assign(file.columns[0]!, column);
    expect(await failure(put(table, file))).toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringContaining(`files[0].columns[0].${field}`),
    });
  });
});
