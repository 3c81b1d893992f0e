import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { added, removed, TestTable } from '../files.ts';
import { TestCatalog } from '../harness.ts';

let catalog: TestCatalog;
beforeAll(async () => {
  catalog = await TestCatalog.start();
});
afterAll(() => catalog[Symbol.asyncDispose]());

/** One addition of a file, as the metadata of the snapshots that hold it describes it. */
interface Entry {
  file: number;
  records: number;
  seq: number;
  addedBy: number;
  entry: number;
}

const path = (file: number) => `p${file}`;
const textOf = ({ file, records, seq, addedBy }: Entry) => `${path(file)} ${records} rows, ${seq}, ${addedBy}`;
const change = ({ file, records, seq, addedBy, entry }: Entry) =>
  added({ filePath: path(file), recordCount: BigInt(records), seq, addedBy: BigInt(addedBy), entry });

/** The snapshot's files, as a reader sees them. */
async function listed(table: TestTable, snapshotId: number): Promise<string[]> {
  const files = await table.files(snapshotId);
  return files
    .map((file) => `${file.filePath} ${file.recordCount} rows, ${file.sequenceNumber}, ${file.addedSnapshotId}`)
    .sort();
}

const step = fc.record({
  on: fc.nat({ max: 99 }),
  isRoot: fc.nat({ max: 5 }).map((n) => n === 0),
  adds: fc.array(fc.record({ file: fc.nat({ max: 3 }), records: fc.integer({ min: 10, max: 11 }) }), { maxLength: 6 }),
  removes: fc.uniqueArray(fc.record({ file: fc.nat({ max: 3 }), isNamed: fc.boolean() }), {
    maxLength: 3,
    selector: ({ file }) => file,
  }),
  breaksAfter: fc.option(fc.nat({ max: 6 })),
});

describe('a path that is added several times', () => {
  it('is in each snapshot as often, and with the statistics, as the snapshot says', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 2, maxLength: 12 }), fc.nat(), async (steps, choice) => {
        const table = await TestTable.create(catalog);
        const model: { live: Entry[]; changes: ReturnType<typeof change | typeof removed>[]; base?: number }[] = [];
        const check = async () => {
          for (const [index, { live }] of model.entries()) {
            expect(await listed(table, index + 1)).toEqual(live.map(textOf).sort());
            const { dataFileCount, rowCount } = await table.stats(index + 1);
            expect(dataFileCount).toBe(BigInt(live.length));
            expect(rowCount).toBe(BigInt(live.reduce((sum, { records }) => sum + records, 0)));
          }
        };
        for (const [index, { on, isRoot, adds, removes, breaksAfter }] of steps.entries()) {
          const id = index + 1;
          const base = isRoot || index === 0 ? undefined : (on % index) + 1;
          let live = base === undefined ? [] : [...(model[base - 1]?.live ?? [])];
          const changes: ReturnType<typeof change | typeof removed>[] = [];
          for (const { file, isNamed } of removes) {
            const first = live.find((entry) => entry.file === file);
            const named = isNamed ? first : undefined;
            changes.push(removed(path(file), undefined, named && { seq: named.seq, addedBy: BigInt(named.addedBy) }));
            live = live.filter((entry) => entry.file !== file || (named && entry.addedBy !== named.addedBy));
          }
          for (const [at, { file, records }] of adds.entries()) {
            const entry = { file, records, seq: id, addedBy: id, entry: at + 1 };
            changes.push(change(entry));
            live.push(entry);
          }
          const put = { snapshotId: id, base: base ?? null, key: `k${id}`, expected: { data: live.length } };
          await table.createSnapshot(put);
          if (breaksAfter !== null) await table.send({ ...put, changes: changes.slice(0, breaksAfter), finish: false });
          await table.send({ ...put, changes });
          model.push({ live, changes, base });
        }
        await check();

        for (const [index, { live, changes }] of model.entries()) {
          const id = index + 1;
          const put = { snapshotId: id, replace: true, expected: { data: live.length } };
          expect((await table.send({ ...put, changes })).rowsWritten).toBe(0n);
          // Files that other snapshots added come by other entries of this snapshot's own metadata.
          const all = live.map((entry, at) => change(entry.addedBy === id ? entry : { ...entry, entry: 100 + at }));
          expect((await table.send({ ...put, changes: all, whole: true })).rowsWritten).toBe(0n);
        }

        // A repair of one snapshot's addition reaches what is based on it, and nothing else.
        const id = (choice % model.length) + 1;
        const old = model[id - 1]?.live.find((entry) => entry.addedBy === id);
        if (!old) return;
        const isOld = (entry: Entry) => entry.addedBy === id && entry.entry === old.entry;
        for (const state of model) {
          state.live = state.live.map((entry) => (isOld(entry) ? { ...entry, records: 99 } : entry));
        }
        const { live, changes } = model[id - 1] as (typeof model)[number];
        const repaired = changes.map((one) =>
          'entryNumber' in one && Number(one.entryNumber) === old.entry ? change({ ...old, records: 99 }) : one,
        );
        const put = { snapshotId: id, replace: true, expected: { data: live.length } };
        expect((await table.send({ ...put, changes: repaired })).rowsWritten).toBeGreaterThan(0n);
        await check();
        expect((await table.send({ ...put, changes: repaired })).rowsWritten).toBe(0n);
      }),
      { numRuns: 60 },
    );
  }, 120_000);

  it('is repaired if a snapshot that lists it twice has it once, and the other way round', async () => {
    const table = await TestTable.create(catalog);
    const once = [change({ file: 1, records: 10, seq: 1, addedBy: 1, entry: 1 })];
    const twice = [...once, change({ file: 1, records: 10, seq: 1, addedBy: 1, entry: 7 })];
    await table.put({ snapshotId: 1, changes: once });
    for (const [changes, whole] of [
      [twice, false],
      [once, false],
      [twice, true],
      [once, true],
    ] as const) {
      const put = { snapshotId: 1, replace: true, whole, changes, expected: { data: changes.length } };
      expect((await table.send(put)).rowsWritten).toBeGreaterThan(0n);
      expect(await listed(table, 1)).toHaveLength(changes.length);
      expect((await table.send(put)).rowsWritten).toBe(0n);
    }
  });
});
