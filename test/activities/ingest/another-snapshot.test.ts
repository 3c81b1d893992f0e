import { afterAll, beforeAll, expect, it } from '@jest/globals';
import type { Entry } from '../../formats/iceberg/write-table.ts';
import { THREE_SNAPSHOTS, type WrittenSnapshot, writeThreeSnapshots } from './folder-history.ts';
import { FolderTables } from './folder-tables.ts';

let tables: FolderTables;
beforeAll(async () => {
  tables = await FolderTables.start();
});
afterAll(() => tables[Symbol.asyncDispose]());

const kept = (path: string, by: number): Entry => ({ path, status: 0, snapshot_id: by, sequence_number: by });

/** A table that is ingested. */
async function threeSnapshots() {
  const warehouse = tables.warehouse();
  const table = writeThreeSnapshots(warehouse);
  const connected = await tables.connect(warehouse);
  const { ingest, plan, list } = connected;
  expect(await ingest()).toMatchObject({ changed: true, counts: { snapshotsIngested: 3 } });
  const paths = async () => {
    const listed = await list();
    const files: Record<string, string[]> = {};
    for (const { snapshotId } of listed) {
      const planned = await plan(snapshotId);
      files[String(snapshotId)] = planned.map(({ file }) => `${file?.filePath} ${file?.recordCount}`).sort();
    }
    return files;
  };
  return { table, snapshots: THREE_SNAPSHOTS, ...connected, paths };
}

const before = { 1: ['a 10'], 2: ['a 10', 'b 10'], 3: ['a 10', 'b 10', 'c 10'] };

it('the newest snapshot is brought in anew if its id is given again after a rollback', async () => {
  const { table, snapshots, ingest, paths } = await threeSnapshots();
  table.manifest('m4', 3, [{ path: 'd', records: 77 }]);
  table.write([...snapshots.slice(0, 2), { id: 3, parent: 2, manifests: ['m1', 'm2', 'm4'], list: 'snap-3-again' }]);
  expect(await ingest()).toMatchObject({ changed: true, counts: { snapshotsIngested: 1 } });
  expect(await paths()).toEqual({ ...before, 3: ['a 10', 'b 10', 'd 77'] });
  expect(await ingest(true)).toMatchObject({ changed: false });
  expect(await paths()).toEqual({ ...before, 3: ['a 10', 'b 10', 'd 77'] });
});

it('a snapshot between others is brought in anew, and what was based on it keeps its own files', async () => {
  const { table, snapshots, ingest, paths } = await threeSnapshots();
  table.manifest('m4', 2, [kept('a', 1), { path: 'b', records: 5 }, { path: 'x' }]);
  const [first, , third] = snapshots as [WrittenSnapshot, WrittenSnapshot, WrittenSnapshot];
  // The metadata of 3 is the same, and so are its files.
  table.write([first, { id: 2, parent: 1, manifests: ['m4'], list: 'snap-2-again' }, third]);
  expect(await ingest()).toMatchObject({ changed: true, counts: { snapshotsIngested: 1 } });
  expect(await paths()).toEqual({ ...before, 2: ['a 10', 'b 5', 'x 10'] });
  expect(await ingest(true)).toMatchObject({ changed: false });
  expect(await paths()).toEqual({ ...before, 2: ['a 10', 'b 5', 'x 10'] });
});

it('all snapshots are brought in anew if the table was replaced under its uuid, with the same ids and paths', async () => {
  const { table, ingest, paths } = await threeSnapshots();
  table.manifest('n1', 1, [
    { path: 'a', records: 1 },
    { path: 'b', records: 2 },
  ]);
  table.manifest('n2', 2, [{ path: 'a', status: 2, snapshot_id: 1, sequence_number: 1 }, kept('b', 1)]);
  table.manifest('n3', 2, [{ path: 'c', records: 3 }]);
  table.write([
    { id: 1, manifests: ['n1'], list: 'other-1' },
    { id: 2, parent: 1, manifests: ['n2', 'n3'], list: 'other-2' },
  ]);
  expect(await ingest()).toMatchObject({ changed: true, counts: { snapshotsIngested: 2 } });
  expect(await paths()).toEqual({ 1: ['a 1', 'b 2'], 2: ['b 2', 'c 3'] });
  expect(await ingest(true)).toMatchObject({ changed: false });
  expect(await paths()).toEqual({ 1: ['a 1', 'b 2'], 2: ['b 2', 'c 3'] });
});

it('a snapshot whose id stands for another one twice is brought in each time', async () => {
  const { table, snapshots, ingest, paths } = await threeSnapshots();
  for (const round of [1, 2, 3]) {
    table.manifest(`r${round}`, 3, [{ path: 'c', records: round }]);
    table.write([
      ...snapshots.slice(0, 2),
      { id: 3, parent: 2, manifests: ['m1', 'm2', `r${round}`], list: `round-${round}` },
    ]);
    expect(await ingest()).toMatchObject({ changed: true, counts: { snapshotsIngested: 1 } });
    expect(await paths()).toEqual({ ...before, 3: ['a 10', 'b 10', `c ${round}`] });
  }
});

it('a snapshot that had expired and is back, whose base has expired since, is the same', async () => {
  const { table, snapshots, ingest, paths } = await threeSnapshots();
  const [first, second, third] = snapshots as [WrittenSnapshot, WrittenSnapshot, WrittenSnapshot];
  table.write([first, third]);
  expect(await ingest()).toMatchObject({ changed: true, counts: { snapshotsIngested: 0 } });
  expect(Object.keys(await paths())).toEqual(['1', '3']);
  table.write([second, third]);
  expect(await ingest()).toMatchObject({ changed: true });
  expect(await paths()).toEqual({ 2: before[2], 3: before[3] });
});

it('the current snapshot is brought in anew if another one has its id, though only another branch is taken', async () => {
  const { table, snapshots, ingest, paths, tableOf } = await threeSnapshots();
  table.manifest('m4', 3, [{ path: 'd', records: 77 }]);
  const refs = { main: { 'snapshot-id': 3, type: 'branch' }, other: { 'snapshot-id': 1, type: 'branch' } };
  table.write([...snapshots.slice(0, 2), { id: 3, parent: 2, manifests: ['m4'], list: 'snap-3-again' }], { refs });
  await ingest(false, { snapshots: { kind: 'LATEST_N', latest: 1, branches: ['other'] } });
  expect(await tableOf()).toMatchObject({ currentSnapshotId: 3n });
  expect(await paths()).toEqual({ ...before, 3: ['d 77'] });
});

it('a snapshot that expired and comes back has its files, though its base is gone, new or another one by now', async () => {
  for (const base of ['gone', 'new', 'another']) {
    const { table, snapshots, ingest, paths } = await threeSnapshots();
    const [first, second, third] = snapshots as [WrittenSnapshot, WrittenSnapshot, WrittenSnapshot];
    table.write([first, second]);
    await ingest();
    const between = { gone: [], new: [second], another: [{ ...second, list: 'snap-2-again' }] }[base] ?? [];
    table.write([first, ...between, third]);
    expect(await ingest()).toMatchObject({ changed: true });
    expect(await paths()).toEqual(base === 'gone' ? { 1: before[1], 3: before[3] } : before);
  }
});
