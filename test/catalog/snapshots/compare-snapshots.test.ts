import { afterAll, beforeAll, beforeEach, expect, it } from '@jest/globals';
import { openDatabase } from '../../../src/catalog/store/database/database.ts';
import { snapshotDigest } from '../../../src/contract/snapshot-digest.ts';
import { TableFormat } from '../../../src/generated/reconciler/v1/tables.ts';
import { historyOf, messageOf } from '../../activities/plan/history-upstream.ts';
import { failure, refusal, TestCatalog } from '../harness.ts';

let catalog: TestCatalog;
let tableId: string;
beforeAll(async () => {
  catalog = await TestCatalog.start();
});
afterAll(() => catalog[Symbol.asyncDispose]());

const identities = (ids: readonly bigint[]) => historyOf(ids.map((snapshotId) => ({ snapshotId })));

const SNAPSHOTS = [-5n, 1n, 2n, 3n, 9_223_372_036_854_775_807n];
beforeEach(async () => {
  const { namespaceId } = await catalog.namespace();
  const format = TableFormat.TABLE_FORMAT_ICEBERG;
  ({ tableId } = await catalog.clients.tables.createTable({ table: { namespaceId, name: 't', format } }));
  for (const entry of identities(SNAPSHOTS)) {
    const snapshot = { tableId, ...messageOf(entry) };
    await catalog.clients.snapshots.createSnapshot({ snapshot, metadataOnly: true });
  }
});

async function compare(expected: bigint[], candidateIds: bigint[], captured = false) {
  const expectedDigest = snapshotDigest(identities(expected));
  const request = { tableId, candidateIds, expectedDigest, captured };
  const { equal, snapshots, nextPageToken } = await catalog.clients.ingestion.compareSnapshots(request);
  return { equal, ids: snapshots.map(({ snapshotId }) => snapshotId), nextPageToken };
}

it('returns the listed candidates if all other snapshots are the expected ones', async () => {
  expect(await compare(SNAPSHOTS, [])).toEqual({ equal: true, ids: [], nextPageToken: '' });
  expect(await compare(SNAPSHOTS, [77n])).toMatchObject({ equal: true, ids: [] });
  expect(await compare(SNAPSHOTS.slice(2), [77n, -5n, 1n])).toMatchObject({ equal: true, ids: [-5n, 1n] });
});

it('returns the list if a snapshot is missing, is not expected or has expired', async () => {
  const list = { equal: false, ids: SNAPSHOTS, nextPageToken: '' };
  expect(await compare([...SNAPSHOTS, 77n], [])).toEqual(list);
  expect(await compare(SNAPSHOTS.slice(1), [])).toEqual(list);
  // The ids have the same sum, but not the same digest.
  expect(await compare([-5n, 0n, 2n, 4n, SNAPSHOTS[4]!], [])).toEqual(list);
  await catalog.clients.ingestion.expireSnapshots({ tableId, snapshotIds: [2n] });
  expect(await compare(SNAPSHOTS, [])).toMatchObject({ equal: false, ids: SNAPSHOTS.filter((id) => id !== 2n) });
  expect(await compare(SNAPSHOTS.slice(3), [-5n, 1n, 2n])).toMatchObject({ equal: true, ids: [-5n, 1n] });
});

it('returns the list if expected snapshots must have their files, and some have none', async () => {
  expect(await compare(SNAPSHOTS, [], true)).toMatchObject({ equal: false, ids: SNAPSHOTS });
  expect(await compare([], SNAPSHOTS, true)).toMatchObject({ equal: true, ids: SNAPSHOTS });
});

it('returns the unreadable snapshots with the candidates, although they have no files', async () => {
  const [entry] = identities([2n]);
  const unreadable = 'its manifest list is gone';
  await catalog.clients.snapshots.createSnapshot({
    snapshot: { tableId, ...messageOf(entry!), unreadable },
    metadataOnly: true,
  });
  const others = SNAPSHOTS.filter((id) => id !== 2n);
  expect(await compare([2n], others, true)).toMatchObject({ equal: true, ids: [...others, 2n] });
  expect(await compare(SNAPSHOTS, [])).toMatchObject({ equal: true, ids: [2n] });
  const stored = await catalog.clients.snapshots.getSnapshot({ tableId, snapshotId: 2n });
  expect(stored).toMatchObject({ unreadable, captured: false });
});

it('compares all snapshots of a table that has more than are read at once', async () => {
  const { db, close } = await openDatabase(catalog.file);
  const last = await db
    .selectFrom('snapshots')
    .selectAll()
    .where('snapshot_id', '=', '3')
    .orderBy('snapshot_num', 'desc')
    .executeTakeFirstOrThrow();
  const { snapshot_num: _, ...row } = last;
  const more = Array.from({ length: 6_000 }, (_, i) => 1_000 + i);
  for (let start = 0; start < more.length; start += 500) {
    const rows = identities(more.slice(start, start + 500).map(BigInt)).map((entry) => ({
      ...row,
      snapshot_id: `${entry.snapshotId}`,
      sequence_number: entry.sequenceNumber,
      committed_at: entry.committedAtMs,
      manifest_list: entry.manifestList,
      ord: Number(entry.snapshotId),
      published: Number(entry.snapshotId),
    }));
    await db.insertInto('snapshots').values(rows).execute();
  }
  await close();
  const all = [...SNAPSHOTS, ...more.map(BigInt)];
  expect(await compare(all, [])).toMatchObject({ equal: true, ids: [] });
  expect(await compare(all.slice(0, -1), [6_999n])).toMatchObject({ equal: true, ids: [6_999n] });
  expect(await compare(all.slice(0, -1), [])).toMatchObject({ equal: false });
  expect(await compare(SNAPSHOTS, [])).toMatchObject({ equal: false });
});

it('accepts up to 1,000 candidates', async () => {
  const candidateIds = Array.from({ length: 1_001 }, (_, i) => BigInt(i));
  const request = { tableId, candidateIds, expectedDigest: 0n };
  expect(await failure(catalog.clients.ingestion.compareSnapshots(request))).toEqual(
    refusal('INVALID_ARGUMENT', 'candidate_ids'),
  );
});
