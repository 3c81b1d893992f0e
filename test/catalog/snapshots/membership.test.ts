import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { SnapshotRefType } from '../../../src/generated/reconciler/v1/tables.ts';
import { added, removed, TestTable } from '../files.ts';
import { failure, TestCatalog } from '../harness.ts';

let catalog: TestCatalog;
beforeAll(async () => {
  catalog = await TestCatalog.start();
});
afterAll(() => catalog[Symbol.asyncDispose]());

const path = (file: number) => `s3://b/${file}.parquet`;

/** One commit: the index of its base (-1 for none), and the files that it adds and removes. */
const commit = fc.record({
  on: fc.nat({ max: 99 }),
  rootChance: fc.nat({ max: 9 }),
  adds: fc.uniqueArray(fc.nat({ max: 14 }), { maxLength: 6 }),
  removes: fc.uniqueArray(fc.nat({ max: 14 }), { maxLength: 6 }),
});

/** A simple model: the live files of every snapshot, and how often each is live. */
type Live = Map<number, number>;

function apply(base: Live, adds: number[], removes: number[]): Live {
  const live = new Map(base);
  for (const file of removes) live.delete(file);
  for (const file of adds) live.set(file, (live.get(file) ?? 0) + 1);
  return live;
}

function listOf(live: Live): string[] {
  return [...live].flatMap(([file, times]) => Array<string>(times).fill(path(file))).sort();
}

const count = (live: Live) => [...live.values()].reduce((a, b) => a + b, 0);

describe('membership', () => {
  it('holds for any history of branches, rollbacks, cherry-picks and fresh starts', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(commit, { minLength: 1, maxLength: 25 }),
        fc.integer({ min: 1, max: 7 }),
        async (commits, pageSize) => {
          const table = await TestTable.create(catalog);
          const model: Live[] = [];
          for (const [index, { on, rootChance, adds, removes }] of commits.entries()) {
            const base = model.length === 0 || rootChance === 0 ? null : on % model.length;
            const live = apply(base === null ? new Map() : (model[base] as Live), adds, removes);
            await table.put({
              snapshotId: index + 1,
              base: base === null ? null : base + 1,
              changes: [
                ...adds.map((file) => added({ filePath: path(file) })),
                ...removes.map((file) => removed(path(file))),
              ],
              chunk: 3,
              expected: { data: count(live), deletes: 0 },
            });
            model.push(live);
          }
          for (const [index, live] of model.entries()) {
            expect(await table.paths(index + 1, pageSize)).toEqual(listOf(live));
            expect((await table.stats(index + 1)).dataFileCount).toBe(BigInt(count(live)));
          }
        },
      ),
      { numRuns: 25 },
    );
  });

  it('survives repairs and deletions of snapshots', async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(commit, { minLength: 3, maxLength: 9 }),
        fc.array(fc.tuple(fc.nat({ max: 99 }), commit, fc.boolean()), { minLength: 1, maxLength: 3 }),
        async (commits, repairs) => {
          const table = await TestTable.create(catalog);
          const history: { base: number | null; adds: number[]; removes: number[] }[] = [];
          const changesOf = ({ adds, removes }: { adds: number[]; removes: number[] }) => [
            ...adds.map((file) => added({ filePath: path(file) })),
            ...removes.map((file) => removed(path(file))),
          ];
          const model = () => {
            const lives: Live[] = [];
            for (const { base, adds, removes } of history) {
              lives.push(apply(base === null ? new Map() : (lives[base] as Live), adds, removes));
            }
            return lives;
          };
          for (const { on, rootChance, adds, removes } of commits) {
            const base = history.length === 0 || rootChance === 0 ? null : on % history.length;
            history.push({ base, adds, removes });
            await table.put({
              snapshotId: history.length,
              base: base === null ? null : base + 1,
              changes: changesOf({ adds, removes }),
            });
          }
          for (const [at, { adds, removes }, whole] of repairs) {
            const index = at % history.length;
            const entry = history[index] as (typeof history)[number];
            const put = { snapshotId: index + 1, base: entry.base === null ? null : entry.base + 1, replace: true };
            if (whole) {
              const repaired: Live = new Map(adds.map((file) => [file, 1]));
              await table.send({
                ...put,
                whole,
                changes: changesOf({ adds, removes: [] }),
                expected: { data: adds.length },
              });
              expect(await table.paths(index + 1)).toEqual(listOf(repaired));
              const again = await table.send({ ...put, whole, changes: changesOf({ adds, removes: [] }) });
              expect(again.rowsWritten).toBe(0n);
            } else {
              await table.send({ ...put, changes: changesOf({ adds, removes }) });
            }
            entry.adds = adds;
            entry.removes = whole ? Array.from({ length: 15 }, (_, file) => file) : removes;
            // A full rescan: every snapshot sends its changes again.
            for (const [other, { base, adds, removes }] of history.entries()) {
              const expected = { data: count(model()[other] as Live) };
              await table.send({
                snapshotId: other + 1,
                replace: true,
                changes: changesOf({ adds, removes }),
                expected,
              });
              void base;
            }
            for (const [other, live] of model().entries()) {
              expect(await table.paths(other + 1, 4)).toEqual(listOf(live));
              expect((await table.stats(other + 1)).dataFileCount).toBe(BigInt(count(live)));
              const { base: _, ...changes } = history[other] as (typeof history)[number];
              const same = await table.send({ snapshotId: other + 1, replace: true, changes: changesOf(changes) });
              expect(same.rowsWritten).toBe(0n);
            }
          }
          // From the newest to the oldest, so that no snapshot is based on the deleted one.
          for (let last = history.length; last > 1; last -= 1) {
            await catalog.clients.snapshots.deleteSnapshot({ tableId: table.tableId, snapshotId: BigInt(last) });
            history.pop();
            for (const [other, live] of model().entries()) expect(await table.paths(other + 1)).toEqual(listOf(live));
          }
        },
      ),
      { numRuns: 10 },
    );
  });

  it('lists each file once while later snapshots remove files', async () => {
    const table = await TestTable.create(catalog);
    const files = Array.from({ length: 60 }, (_, file) => file);
    await table.put({ snapshotId: 1, changes: files.map((file) => added({ filePath: path(file) })) });
    await table.put({ snapshotId: 2, base: 1, changes: [removed(path(3)), removed(path(40))] });
    const request = { tableId: table.tableId, snapshotId: 1n, pageSize: 7 };
    const seen: string[] = [];
    let pageToken = '';
    let snapshot = 3;
    do {
      const page = await catalog.clients.statistics.listFileColumnStats({ ...request, pageToken });
      seen.push(...page.files.map((file) => file.filePath));
      pageToken = page.nextPageToken;
      // One file that was listed already and one that was not.
      const removedFiles = [snapshot - 3, 59 - snapshot].filter((file) => file !== 40);
      await table.put({
        snapshotId: snapshot,
        base: snapshot - 1,
        changes: removedFiles.map((file) => removed(path(file))),
      });
      snapshot += 1;
    } while (pageToken !== '');
    expect(seen.sort()).toEqual(files.map(path).sort());
  });

  it('refuses to delete a snapshot that something needs', async () => {
    const table = await TestTable.create(catalog);
    await table.put({ snapshotId: 1, changes: [added({ filePath: path(1) })] });
    await table.put({ snapshotId: 2, base: 1, changes: [added({ filePath: path(2) })] });
    await table.put({ snapshotId: 3, base: 2, changes: [added({ filePath: path(3) })] });
    const remove = (id: bigint) => catalog.clients.snapshots.deleteSnapshot({ tableId: table.tableId, snapshotId: id });
    await catalog.clients.tables.updateTable({
      table: {
        tableId: table.tableId,
        currentSnapshotId: 2n,
        refs: [{ name: 'old', snapshotId: 3n, type: SnapshotRefType.SNAPSHOT_REF_TYPE_TAG }],
      },
      updateMask: ['current_snapshot_id', 'refs'],
    });
    expect(await failure(remove(1n))).toMatchObject({
      code: 'FAILED_PRECONDITION',
      message: expect.stringContaining('snapshot 2 is based on it'),
    });
    expect(await failure(remove(2n))).toMatchObject({
      code: 'FAILED_PRECONDITION',
      message: expect.stringContaining('current'),
    });
    expect(await failure(remove(3n))).toMatchObject({
      code: 'FAILED_PRECONDITION',
      message: expect.stringContaining('ref old'),
    });
    expect(await failure(remove(4n))).toMatchObject({ code: 'NOT_FOUND' });
    expect(await table.paths(3)).toHaveLength(3);
    await catalog.clients.tables.updateTable({ table: { tableId: table.tableId }, updateMask: ['refs'] });
    await remove(3n);
    expect(await failure(table.paths(3))).toMatchObject({ code: 'NOT_FOUND' });
    // The same id is used again, with other files.
    await table.put({ snapshotId: 3, base: 2, changes: [added({ filePath: path(9) })], expected: { data: 3 } });
    expect(await table.paths(3)).toEqual([path(1), path(2), path(9)]);
  });
});
