import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { added, long, removed, TestTable } from './files.ts';
import { failure, TestCatalog } from './harness.ts';

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
  it('writes only what differs, and nothing where nothing does', async () => {
    const table = await TestTable.create(catalog);
    await table.put({ snapshotId: 1, changes: range(1500) });
    expect(
      await table.send({ snapshotId: 1, replace: true, key: 'again', changes: range(1500), expected: { data: 1500 } }),
    ).toMatchObject({ rowsWritten: 0n, complete: true, filesAdded: 1500n });
    const repaired = [...range(1498), file(1498, 9), file(2000)];
    // One file's statistics differ, one file is new, one is too many.
    expect(
      await table.send({ snapshotId: 1, replace: true, changes: repaired, expected: { data: 1500 } }),
    ).toMatchObject({ rowsWritten: 4n });
    expect(await table.paths(1)).toContain('f2000');
    expect(await table.paths(1)).not.toContain('f1499');
    expect((await table.columns(1, ['id']))[0]).toMatchObject({ valueCount: 1508n, max: '9' });
  });

  it('reaches the totals and columns of the snapshots that are based on it', async () => {
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

  it('changes nothing where its count is wrong, or it is broken off', async () => {
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

  it('can bring all files of a snapshot whose base is gone upstream', async () => {
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

  it('shows readers the old statistics or the new ones, never a mix', async () => {
    const table = await TestTable.create(catalog);
    const count = 3000;
    await table.put({ snapshotId: 1, changes: range(count, 1) });
    let stop = false;
    const seen = new Set<string>();
    let refused = 0;
    const read = async () => {
      while (!stop) {
        try {
          const values = new Set((await table.files(1, 500)).map((one) => String(one.columns[0]?.valueCount)));
          seen.add([...values].join());
        } catch (error) {
          // A list that was begun before the replacement is refused, and begins anew.
          expect(String(error)).toContain('ABORTED');
          refused += 1;
        }
        const [column] = await table.columns(1, ['id']);
        expect([...'12345'].map((value) => BigInt(count) * BigInt(value))).toContain(column?.valueCount);
      }
    };
    const reader = read();
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
    await reader;
    expect([...seen].every((values) => /^[1-5]$/.test(values))).toBe(true);
    expect(seen.size + refused).toBeGreaterThan(1);
    expect(new Set((await table.files(1)).map((one) => one.columns[0]?.valueCount))).toEqual(new Set([5n]));
  });

  it('of two at once, the later is told', async () => {
    const table = await TestTable.create(catalog);
    await table.put({ snapshotId: 1, changes: range(2000) });
    const results = await Promise.allSettled(
      [2, 3].map((value) => table.send({ snapshotId: 1, replace: true, changes: range(2000, value) })),
    );
    const done = results.filter((result) => result.status === 'fulfilled');
    expect(done.length).toBeGreaterThan(0);
    for (const result of results) if (result.status === 'rejected') expect(String(result.reason)).toContain('ABORTED');
    expect(new Set((await table.files(1)).map((one) => one.columns[0]?.valueCount)).size).toBe(1);
  });
});
