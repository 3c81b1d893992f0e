import { setTimeout } from 'node:timers/promises';
import { deserialize, serialize } from 'node:v8';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { openDatabase } from '../../../src/catalog/store/database/database.ts';
import { added, encode, long, removed, TestTable } from '../files.ts';
import { failure, TestCatalog } from '../harness.ts';

let catalog: TestCatalog;
beforeAll(async () => {
  catalog = await TestCatalog.start();
});
afterAll(() => catalog[Symbol.asyncDispose]());

const file = (n: number, value = 1) =>
  added({
    filePath: `f${n}`,
    columns: [{ columnId: 1, valueCount: BigInt(value), lowerBound: long(value), upperBound: long(value) }],
  });
const range = (n: number, value = 1) => Array.from({ length: n }, (_, i) => file(i, value));

describe('a stream that replaces', () => {
  it('writes only differences, and nothing if nothing differs', async () => {
    const table = await TestTable.create(catalog);
    await table.put({ snapshotId: 1, changes: range(1500) });
    expect(
      await table.send({ snapshotId: 1, replace: true, key: 'again', changes: range(1500), expected: { data: 1500 } }),
    ).toMatchObject({ rowsWritten: 0n, complete: true, filesAdded: 1500n });
    const repaired = [...range(1498), file(1498, 9), file(2000)];
    // The statistics of one file differ, one file is new, and one is extraneous.
    expect(
      await table.send({ snapshotId: 1, replace: true, changes: repaired, expected: { data: 1500 } }),
    ).toMatchObject({ rowsWritten: 5n });
    expect(await table.paths(1)).toContain('f2000');
    expect(await table.paths(1)).not.toContain('f1499');
    expect((await table.columns(1, ['id']))[0]).toMatchObject({ valueCount: 1508n, max: '9' });
  });

  it('updates the totals and columns of the snapshots that are based on it', async () => {
    const table = await TestTable.create(catalog);
    await table.put({ snapshotId: 1, changes: range(3) });
    await table.put({ snapshotId: 2, base: 1, changes: [file(7)] });
    await table.put({ snapshotId: 3, base: 1, changes: [removed('f0')] });
    expect((await table.columns(3, ['id']))[0]).toMatchObject({ valueCount: 2n });
    await table.send({
      snapshotId: 1,
      replace: true,
      changes: [...range(2), file(5, 4), file(6, 4)],
      expected: { data: 4 },
    });
    expect(await table.stats(2)).toMatchObject({ dataFileCount: 5n, rowCount: 50n });
    expect(await table.stats(3)).toMatchObject({ dataFileCount: 3n });
    expect((await table.columns(3, ['id']))[0]).toMatchObject({ valueCount: 9n, max: '4' });
  });

  it('changes nothing if its count is wrong or it is interrupted', async () => {
    const table = await TestTable.create(catalog);
    await table.put({ snapshotId: 1, changes: range(3) });
    expect(
      await failure(table.send({ snapshotId: 1, replace: true, changes: range(9), expected: { data: 8 } })),
    ).toMatchObject({ code: 'FAILED_PRECONDITION', message: expect.stringContaining('9 data files live, expected 8') });
    expect(await table.send({ snapshotId: 1, replace: true, changes: range(9), finish: false })).toMatchObject({
      complete: false,
      rowsWritten: 0n,
    });
    expect(await table.paths(1)).toEqual(['f0', 'f1', 'f2']);
    expect(
      await failure(table.send({ snapshotId: 1, replace: true, whole: true, changes: [removed('f1')] })),
    ).toMatchObject({ code: 'INVALID_ARGUMENT' });
  });

  it('can contain all files of a snapshot whose base was dropped upstream', async () => {
    const table = await TestTable.create(catalog);
    await table.put({ snapshotId: 1, changes: range(3) });
    await table.put({ snapshotId: 2, base: 1, changes: [file(3), removed('f0')] });
    const whole = { snapshotId: 2, replace: true, whole: true };
    expect(await table.send({ ...whole, changes: [file(1), file(2), file(3)], expected: { data: 3 } })).toMatchObject({
      rowsWritten: 0n,
    });
    await table.send({ ...whole, changes: [file(0), file(2), file(9)], expected: { data: 3 } });
    expect(await table.paths(2)).toEqual(['f0', 'f2', 'f9']);
    expect(await table.paths(1)).toEqual(['f0', 'f1', 'f2']);
    await table.createSnapshot({ snapshotId: 3, base: 2 });
    expect(await failure(table.send({ snapshotId: 3, replace: true, whole: true, changes: [file(1)] }))).toMatchObject({
      code: 'FAILED_PRECONDITION',
      message: expect.stringContaining('without a base'),
    });
  });

  it('of all files counts each as often as it arrives', async () => {
    const table = await TestTable.create(catalog);
    await table.put({ snapshotId: 1, changes: [file(1), file(2)] });
    await table.put({ snapshotId: 2, base: 1, changes: [file(1)] });
    const whole = { snapshotId: 2, replace: true, whole: true };
    const twice = [file(1), file(2), file(1)];
    expect(await table.send({ ...whole, changes: twice, expected: { data: 3 } })).toMatchObject({ rowsWritten: 0n });
    expect(await table.send({ ...whole, changes: [file(1), file(2)], expected: { data: 2 } })).toMatchObject({
      rowsWritten: 1n,
    });
    expect(await table.paths(2)).toEqual(['f1', 'f2']);
    expect(await table.paths(1)).toEqual(['f1', 'f2']);
    const other = added({ filePath: 'f1', seq: 7 });
    await table.send({ ...whole, changes: [other, file(2)], expected: { data: 2 } });
    const numbers = async (snapshotId: number) =>
      (await table.files(snapshotId)).map(({ filePath, sequenceNumber }) => `${filePath} ${sequenceNumber}`).sort();
    expect([await numbers(1), await numbers(2)]).toEqual([
      ['f1 1', 'f2 1'],
      ['f1 7', 'f2 1'],
    ]);
  });

  it('keeps only what differs, and only until its end', async () => {
    const table = await TestTable.create(catalog);
    await table.put({ snapshotId: 1, changes: range(4500) });
    const { db, close } = await openDatabase(catalog.file);
    const kept = async () => {
      const rows = await db.selectFrom('replacement_changes').select('changes').execute();
      return rows.reduce((sum, row) => sum + (deserialize(row.changes) as unknown[]).length, 0);
    };
    /** The catalog writes the differences among the first 4,000 changes at once and keeps the last 500 in memory. */
    async function* requests(finish: boolean) {
      const changes = [...range(2500), ...Array.from({ length: 2000 }, (_, n) => file(2500 + n, 2))];
      yield* table.requests({ snapshotId: 1, replace: true, changes, finish: false });
      while ((await kept()) < 1500) await setTimeout(10);
      expect(await kept()).toBe(1500);
      if (finish) yield encode({ $case: 'finish', value: { expectedDataFileCount: 4500n } });
    }
    const { fileChanges } = catalog.clients;
    expect(await fileChanges.commitSnapshot(requests(false))).toMatchObject({ complete: false, rowsWritten: 0n });
    expect(await kept()).toBe(0);
    expect(await fileChanges.commitSnapshot(requests(true))).toMatchObject({ complete: true, rowsWritten: 4000n });
    expect(await kept()).toBe(0);
    expect((await table.columns(1, ['id']))[0]).toMatchObject({ valueCount: 6500n });

    const left = { stream_id: 'of a process that was killed', batch: 1, changes: serialize([]) };
    await db.insertInto('replacement_changes').values(left).execute();
    await close();
    await catalog.restart();
    const restarted = await openDatabase(catalog.file);
    expect(await restarted.db.selectFrom('replacement_changes').selectAll().execute()).toEqual([]);
    await restarted.close();
  });

  it('ends any number of files that it does not contain, and keeps them only until its end', async () => {
    const table = await TestTable.create(catalog);
    const few = range(3);
    const many = range(1700);
    await table.put({ snapshotId: 1, changes: many });
    // Half of the files are removed in the same chain, and half in a fork of it.
    await table.put({ snapshotId: 2, base: 1, changes: [] });
    await table.put({ snapshotId: 3, base: 1, changes: many.slice(3).map(({ file }) => removed(file.filePath)) });
    await table.put({ snapshotId: 4, base: 2, changes: many.slice(3).map(({ file }) => removed(file.filePath)) });
    for (const snapshotId of [3, 4]) {
      expect(await table.paths(snapshotId)).toEqual(['f0', 'f1', 'f2']);
      expect(await table.send({ snapshotId, replace: true, expected: { data: 1700 } })).toMatchObject({
        rowsWritten: 1697n,
      });
      expect(await table.stats(snapshotId)).toMatchObject({ dataFileCount: 1700n });
      expect(
        await table.send({ snapshotId, replace: true, whole: true, changes: few, expected: { data: 3 } }),
      ).toMatchObject({ rowsWritten: 1697n });
      expect(await table.paths(snapshotId)).toEqual(['f0', 'f1', 'f2']);
    }
    const wrong = table.send({ snapshotId: 1, replace: true, changes: few, expected: { data: 4 } });
    expect(await failure(wrong)).toMatchObject({ code: 'FAILED_PRECONDITION' });
    expect(await table.stats(1)).toMatchObject({ dataFileCount: 1700n });
    expect(await table.send({ snapshotId: 1, replace: true, changes: few, expected: { data: 3 } })).toMatchObject({
      rowsWritten: 1697n,
    });
    expect(await table.paths(1)).toEqual(['f0', 'f1', 'f2']);
    const { db, close } = await openDatabase(catalog.file);
    expect(await db.selectFrom('replacement_changes').select('batch').execute()).toEqual([]);
    await close();
  });

  it('shows readers the old statistics or the new ones, never a mix', async () => {
    const table = await TestTable.create(catalog);
    const count = 3000;
    await table.put({ snapshotId: 1, changes: range(count, 1) });
    let stop = false;
    const seen = new Set<string>();
    let refused = 0;
    const readFiles = async () => {
      while (!stop) {
        try {
          const values = new Set((await table.files(1, 500)).map(({ columns }) => String(columns[0]?.valueCount)));
          seen.add([...values].join());
        } catch (error) {
          // A list that began before the replacement is refused and starts again.
          expect(String(error)).toContain('ABORTED');
          refused += 1;
        }
      }
    };
    const readColumns = async () => {
      while (!stop) {
        const [column] = await table.columns(1, ['id']);
        expect([...'12345'].map((value) => BigInt(count) * BigInt(value))).toContain(column?.valueCount);
      }
    };
    const readers = Promise.all([readFiles(), readColumns()]);
    for (const value of [2, 3, 4, 5]) {
      await table.send({
        snapshotId: 1,
        replace: true,
        changes: range(count, value),
        chunk: 300,
        expected: { data: count },
      });
    }
    stop = true;
    await readers;
    expect([...seen].every((values) => /^[1-5]$/.test(values))).toBe(true);
    expect(seen.size + refused).toBeGreaterThan(1);
    expect(new Set((await table.files(1)).map(({ columns }) => columns[0]?.valueCount))).toEqual(new Set([5n]));
  });

  it('is refused at its finish if another stream changed the snapshot after the comparison', async () => {
    const table = await TestTable.create(catalog);
    await table.put({ snapshotId: 1, changes: range(2000) });
    const { db, close } = await openDatabase(catalog.file);
    async function* requests() {
      const changes = [...range(1999), file(1999, 9)];
      yield* table.requests({ snapshotId: 1, replace: true, changes, finish: false });
      // Once the last change is stored, all were compared.
      while (!(await db.selectFrom('replacement_changes').select('batch').executeTakeFirst())) await setTimeout(10);
      await table.send({ snapshotId: 1, replace: true, changes: range(2000, 2), expected: { data: 2000 } });
      yield encode({ $case: 'finish', value: { expectedDataFileCount: 2000n } });
    }
    expect(await failure(catalog.clients.fileChanges.commitSnapshot(requests()))).toMatchObject({
      code: 'ABORTED',
    });
    await close();
    expect((await table.columns(1, ['id']))[0]).toMatchObject({ valueCount: 4000n });
  });

  it('is refused if another one finished first', async () => {
    const table = await TestTable.create(catalog);
    await table.put({ snapshotId: 1, changes: range(2000) });
    const results = await Promise.allSettled(
      [2, 3].map((value) => table.send({ snapshotId: 1, replace: true, changes: range(2000, value) })),
    );
    const done = results.filter((result) => result.status === 'fulfilled');
    expect(done.length).toBeGreaterThan(0);
    for (const result of results) if (result.status === 'rejected') expect(String(result.reason)).toContain('ABORTED');
    expect(new Set((await table.files(1)).map(({ columns }) => columns[0]?.valueCount)).size).toBe(1);
  });
});
