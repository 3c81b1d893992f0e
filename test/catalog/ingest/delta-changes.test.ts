import { afterAll, beforeAll, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { FileContent, FileFormat } from '../../../src/generated/reconciler/v1/statistics.ts';
import { added, removed, removedWith, TestTable } from '../files.ts';
import { TestCatalog } from '../harness.ts';

let catalog: TestCatalog;
beforeAll(async () => {
  catalog = await TestCatalog.start();
});
afterAll(() => catalog[Symbol.asyncDispose]());

/** The vectors are all in one file, at these offsets. */
const VECTORS = 'file:/lake/t/vectors.bin';
const vectorAt = (offset: number) => ({ filePath: VECTORS, contentOffset: BigInt(offset) });
const path = (file: number) => `file:/lake/t/p${file}`;

const addVector = (file: number, offset: number, seq: number) =>
  added({
    ...vectorAt(offset),
    fileContent: FileContent.FILE_CONTENT_POSITION_DELETES,
    fileFormat: FileFormat.FILE_FORMAT_DELTA_DV,
    referencedDataFile: path(file),
    contentSizeInBytes: 42n,
    recordCount: 1n,
    seq,
    replacesLive: true,
  });

/** What Delta's protocol calls a logical file, of which a table has one per path here. */
interface LogicalFile {
  records: number;
  vector?: number;
}

const action = fc.record({
  file: fc.nat({ max: 3 }),
  kind: fc.constantFrom('add', 'add', 'delete rows', 'remove', 'remove another'),
  records: fc.integer({ min: 10, max: 12 }),
});

it("follows Delta's log: files added again, vectors replaced, and removals of what is not live", async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.array(fc.uniqueArray(action, { maxLength: 4, selector: ({ file }) => file }), { minLength: 1, maxLength: 8 }),
      async (versions) => {
        const table = await TestTable.create(catalog);
        const live = new Map<number, LogicalFile>();
        let vectors = 0;
        for (const [version, actions] of versions.entries()) {
          const changes = actions.flatMap(({ file, kind, records }) => {
            const now = live.get(file);
            const vector = now?.vector === undefined ? undefined : vectorAt(now.vector);
            // Never what is live: a file without its vector, or with another one.
            if (kind === 'remove another')
              return removedWith(path(file), vector ? undefined : vectorAt(999)).slice(0, 1);
            if (kind === 'remove') {
              live.delete(file);
              return removedWith(path(file), vector);
            }
            if (kind === 'delete rows' && now) {
              vectors += 1;
              live.set(file, { ...now, vector: vectors });
              const before = vector ? [removed(vector.filePath, vector.contentOffset)] : [];
              return [addVector(file, vectors, version), ...before];
            }
            // Another add of a file with a vector would be another logical file.
            if (vector) return [];
            live.set(file, { records });
            return [added({ filePath: path(file), recordCount: BigInt(records), seq: version, replacesLive: true })];
          });
          await table.put({ snapshotId: version, base: version === 0 ? null : version - 1, changes });
          const stats = await table.stats(version);
          const files = [...live.values()];
          const vectorCount = files.filter((one) => one.vector !== undefined).length;
          const rows = files.reduce((sum, one) => sum + one.records, 0);
          expect({
            files: stats.dataFileCount,
            rows: stats.rowCount,
            vectors: stats.deletionVectorCount,
            live: stats.liveRowCount,
          }).toEqual({
            files: BigInt(files.length),
            rows: BigInt(rows),
            vectors: BigInt(vectorCount),
            live: BigInt(rows - vectorCount),
          });
          const listed = (await table.files(version)).map(({ filePath, contentOffset, recordCount }) =>
            contentOffset === undefined ? `${filePath} ${recordCount}` : `${contentOffset}`,
          );
          expect(listed.sort()).toEqual(
            [...live]
              .flatMap(([file, { records, vector }]) => [
                `${path(file)} ${records}`,
                ...(vector === undefined ? [] : [`${vector}`]),
              ])
              .sort(),
          );
        }
      },
    ),
    { numRuns: 60 },
  );
});

it('keeps the earlier addition of a file that a checkpoint lists, if its rows and size are the same', async () => {
  const table = await TestTable.create(catalog);
  const file = { filePath: path(1), columns: [{ columnId: 1, nullCount: 0n }] };
  await table.put({ snapshotId: 1, changes: [added({ ...file, seq: 1 })] });
  await table.put({ snapshotId: 2, base: 1, changes: [added({ filePath: path(2), seq: 2 })] });
  const checkpoint = (recordCount = 10n) => [
    added({ filePath: path(1), recordCount, seq: 2, isUpperBound: true }),
    added({ filePath: path(2), seq: 2, isUpperBound: true }),
  ];
  const verify = (changes: ReturnType<typeof checkpoint>) =>
    table.send({ snapshotId: 2, key: `k${changes[0]?.file.recordCount}`, replace: true, whole: true, changes });
  expect((await verify(checkpoint())).rowsWritten).toBe(0n);
  const [kept] = (await table.files(2)).filter(({ filePath }) => filePath === path(1));
  expect([kept?.sequenceNumber, kept?.columns.length]).toEqual([1n, 1]);
  expect((await verify(checkpoint(11n))).rowsWritten).toBeGreaterThan(0n);
  expect((await table.stats(2)).rowCount).toBe(21n);
});

it('refuses a vector as a condition of an added file', async () => {
  const table = await TestTable.create(catalog);
  const changes = [{ ...added({ filePath: path(1) }), ifVector: {} }];
  await expect(table.put({ snapshotId: 1, changes })).rejects.toThrow(
    'changes[0].if_vector: is for removed data files',
  );
});
