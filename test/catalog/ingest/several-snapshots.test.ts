import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { encodeCommitRequest } from '../../../src/catalog-client/raw-commit-snapshot.ts';
import { added, type Put, TestTable } from '../files.ts';
import { failure, TestCatalog } from '../harness.ts';

let catalog: TestCatalog;
beforeAll(async () => {
  catalog = await TestCatalog.start();
});
afterAll(() => catalog[Symbol.asyncDispose]());

const names = (from: number, to: number) => Array.from({ length: to - from }, (_, i) => `f${from + i}`);
const add = (paths: string[]) => paths.map((filePath) => added({ filePath }));

const NOTHING = encodeCommitRequest({ $case: 'changes', value: { changes: [] } });

/** Sends several snapshots in one stream, with messages between them that keep a call alive. */
function sendAll(table: TestTable, puts: Put[]) {
  async function* requests() {
    for (const put of puts) {
      yield* table.requests({ inHeader: true, ...put });
      yield NOTHING;
    }
  }
  return catalog.clients.fileChanges.commitSnapshot(requests());
}

/** A snapshot with one file more than the one before it. */
const next = (snapshotId: number): Put => ({
  snapshotId,
  base: snapshotId === 1 ? undefined : snapshotId - 1,
  changes: add(names(snapshotId, snapshotId + 1)),
  expected: { data: snapshotId },
});

it('stores each snapshot of a stream, and answers with their sums', async () => {
  const table = await TestTable.create(catalog);
  const answer = await sendAll(table, [next(1), next(2), next(3)]);
  expect(answer).toMatchObject({ completeSnapshots: 3, complete: true, filesAdded: 3n, filesRemoved: 0n });
  expect(answer.rowsWritten).toBeGreaterThan(6n);
  for (const snapshotId of [1, 2, 3]) expect(await table.paths(snapshotId)).toEqual(names(1, snapshotId + 1));
});

it('keeps those before one that fails, and does not read those after it', async () => {
  const table = await TestTable.create(catalog);
  const wrong = { ...next(3), expected: { data: 7 } };
  const answer = await sendAll(table, [next(1), next(2), wrong, next(4)]);
  expect(answer).toMatchObject({ completeSnapshots: 2, complete: false, filesAdded: 2n });
  expect(await table.paths(2)).toEqual(names(1, 3));
  for (const snapshotId of [3, 4]) expect(await failure(table.paths(snapshotId))).toMatchObject({ code: 'NOT_FOUND' });
  // By itself, it gets its error.
  expect(await failure(sendAll(table, [wrong, next(4)]))).toMatchObject({ code: 'FAILED_PRECONDITION' });
  expect(await sendAll(table, [next(3), next(4)])).toMatchObject({ completeSnapshots: 2, complete: true });
});

it('passes over a small one that is complete already, and ends at a large one', async () => {
  const table = await TestTable.create(catalog);
  await sendAll(table, [next(1), next(2)]);
  expect(await sendAll(table, [next(2), next(3)])).toMatchObject({ completeSnapshots: 2, filesAdded: 1n });
  const large = { ...next(4), changes: add(names(4, 5004)), expected: { data: 5003 } };
  expect(await sendAll(table, [large])).toMatchObject({ completeSnapshots: 1, filesAdded: 5000n });
  expect(await sendAll(table, [large, { ...next(5), expected: {} }])).toMatchObject({
    completeSnapshots: 1,
    filesAdded: 0n,
  });
});

it('leaves the last one staged if the stream ends before its finish', async () => {
  const table = await TestTable.create(catalog);
  const answer = await sendAll(table, [next(1), { ...next(2), finish: false }]);
  expect(answer).toMatchObject({ completeSnapshots: 1, complete: false });
  expect(await failure(table.paths(2))).toMatchObject({ code: 'NOT_FOUND' });
  expect(await sendAll(table, [next(2)])).toMatchObject({ completeSnapshots: 1, complete: true });
});
