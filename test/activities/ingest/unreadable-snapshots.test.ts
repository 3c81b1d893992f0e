import { afterAll, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { ingestTables } from '../../../src/activities/ingest-tables.ts';
import { rememberConnectorSecret } from '../../../src/secrets.ts';
import { failure, refusal } from '../../catalog/harness.ts';
import { run, STEP } from '../run-activity.ts';
import { FolderHistory, THREE_SNAPSHOTS, writeThreeSnapshots } from './folder-history.ts';
import { FolderTables } from './folder-tables.ts';

let tables: FolderTables;
beforeAll(async () => {
  tables = await FolderTables.start();
});
afterAll(() => tables[Symbol.asyncDispose]());

/** A table that is not ingested yet. */
async function threeSnapshots() {
  const warehouse = tables.warehouse();
  const table = writeThreeSnapshots(warehouse);
  const connected = await tables.connect(warehouse);
  /** The files of each snapshot, or why it cannot be read. */
  const snapshots = async () => {
    const found: Record<string, string> = {};
    for (const { snapshotId, unreadable, captured } of await connected.list()) {
      const planned = captured ? await connected.plan(snapshotId) : [];
      found[String(snapshotId)] =
        unreadable ||
        planned
          .map(({ file }) => file?.filePath)
          .sort()
          .join();
    }
    return found;
  };
  return { table, ...connected, snapshots };
}

const files = { 1: 'a', 2: 'a,b', 3: 'a,b,c' };
const damages: [string, Buffer | undefined, RegExp][] = [
  ['is gone', undefined, /cannot be read: .*(does not exist|no such|not found)/i],
  ['is empty', Buffer.alloc(0), /is broken/],
  ['is broken', Buffer.from('no Avro'), /is broken/],
];

describe.each(damages)('a manifest list that %s', (_, bytes, reason) => {
  it('keeps only its own snapshot out, which the first job reports, and no later one', async () => {
    const { table, ingest, snapshots, tableOf } = await threeSnapshots();
    table.damage('snap-2.avro', bytes);
    const { failure: reported, ...outcome } = await ingest();
    expect(outcome).toMatchObject({ changed: true, counts: { snapshotsIngested: 2 } });
    expect(reported).toMatchObject({ table: 'db.t', code: 'DATA_LOSS', message: expect.stringMatching(reason) });
    expect(reported?.message).toMatch(
      /^Snapshot 2 cannot be read: .*snap-2\.avro.* Everything else of the table is in the catalog\.$/,
    );
    expect(await snapshots()).toEqual({ ...files, 2: expect.stringMatching(reason) });
    expect(await tableOf()).toMatchObject({ currentSnapshotId: 3n, unreadableSnapshots: 1 });

    table.manifest('m4', 4, [{ path: 'd' }]);
    table.write([...THREE_SNAPSHOTS, { id: 4, parent: 3, manifests: ['m1', 'm2', 'm3', 'm4'] }]);
    const next = await ingest();
    expect(next).toMatchObject({ changed: true, counts: { snapshotsIngested: 1 } });
    expect(next.failure).toBeUndefined();
    expect(await ingest(true)).not.toMatchObject({ failure: expect.anything() });
    expect(await snapshots()).toEqual({ ...files, 2: expect.stringMatching(reason), 4: 'a,b,c,d' });
  });
});

it('plans and statistics of an unreadable snapshot are refused with the reason', async () => {
  const { table, ingest, plan, columns } = await threeSnapshots();
  table.damage('snap-2.avro');
  await ingest();
  const refused = refusal('FAILED_PRECONDITION', 'cannot be read upstream: manifest list of snapshot 2');
  expect(await failure(plan(2n))).toEqual(refused);
  expect(await failure(columns(2n))).toEqual(refused);
});

it('the reason has neither a secret nor a NUL character, whatever the metadata contain', async () => {
  rememberConnectorSecret('a-hidden-secret');
  const { table, ingest, snapshots } = await threeSnapshots();
  table.manifest('m4', 4, [{ path: 'd' }], { path: table.path('a-hidden-secret\0.avro') });
  table.write([...THREE_SNAPSHOTS, { id: 4, parent: 3, manifests: ['m1', 'm2', 'm3', 'm4'] }]);
  const { failure: reported } = await ingest();
  const { 4: reason, ...others } = await snapshots();
  expect(others).toEqual(files);
  for (const text of [reason, reported?.message]) {
    expect(text).toMatch(/manifest .* cannot be read/);
    expect(text).not.toMatch(/a-hidden-secret|\0/);
  }
});

it('a full rescan, and a job of the changed table, read a snapshot whose file was restored', async () => {
  for (const isFull of [true, false]) {
    const { table, ingest, snapshots, tableOf } = await threeSnapshots();
    const list = table.damage('snap-1.avro');
    await ingest();
    expect(await snapshots()).toEqual({ ...files, 1: expect.stringMatching(/snap-1/) });
    table.damage('snap-1.avro', list);
    if (!isFull) table.write(THREE_SNAPSHOTS, { properties: { owner: 'sales' } });
    const outcome = await ingest(isFull);
    expect(outcome).toMatchObject({ changed: true, counts: { snapshotsIngested: 1 } });
    expect(outcome.failure).toBeUndefined();
    expect(await snapshots()).toEqual(files);
    expect(await tableOf()).toMatchObject({ unreadableSnapshots: 0 });
  }
});

it('every job reports a current snapshot that cannot be read, and the id still names it', async () => {
  const { table, ingest, snapshots, tableOf } = await threeSnapshots();
  const list = table.damage('snap-3.avro', Buffer.alloc(0));
  for (const round of [1, 2]) {
    const { failure: reported, changed } = await ingest();
    expect(reported?.message).toMatch(/^Snapshot 3 cannot be read/);
    expect(changed).toBe(round === 1);
    const stored = await tableOf();
    expect(stored.currentSnapshotId).toBe(3n);
    // So that the next job does not take the table for unchanged.
    expect(stored.upstream?.fingerprint).toBe('unfinished');
    expect(await snapshots()).toEqual({ ...files, 3: expect.stringMatching(/snap-3/) });
  }
  table.damage('snap-3.avro', list);
  expect((await ingest()).failure).toBeUndefined();
  expect(await snapshots()).toEqual(files);
  expect((await tableOf()).upstream?.fingerprint).not.toBe('unfinished');
});

it('a manifest that is gone makes all snapshots unreadable that list it, and they are reported together', async () => {
  const { table, ingest, snapshots } = await threeSnapshots();
  table.damage('m2.avro');
  const { failure: reported } = await ingest();
  expect(reported?.message).toMatch(/^Snapshot 2 and 1 other cannot be read: .*m2\.avro/);
  const lost = expect.stringMatching(/m2\.avro/);
  expect(await snapshots()).toEqual({ 1: 'a', 2: lost, 3: lost });
});

it('snapshots that are in stay, if their metadata is lost later, and new ones come in', async () => {
  const { table, ingest, snapshots } = await threeSnapshots();
  await ingest();
  table.damage('snap-3.avro');
  table.manifest('m4', 4, [{ path: 'd' }]);
  table.write([...THREE_SNAPSHOTS, { id: 4, parent: 3, manifests: ['m1', 'm2', 'm3', 'm4'] }]);
  // Its base cannot be read any more: all its files are.
  expect((await ingest()).failure).toBeUndefined();
  expect(await snapshots()).toEqual({ ...files, 4: 'a,b,c,d' });
  // A full rescan cannot verify it, and says so.
  const { failure: reported } = await ingest(true);
  expect(reported?.message).toMatch(/^Snapshot 3 cannot be verified: .* What was ingested of it stays\.$/);
  expect(await snapshots()).toEqual({ ...files, 4: 'a,b,c,d' });
});

it('a table whose only snapshot cannot be read comes in without its files', async () => {
  const warehouse = tables.warehouse();
  const table = new FolderHistory(warehouse).manifest('m1', 1, [{ path: 'a' }]).write([{ id: 1, manifests: ['m1'] }]);
  table.damage('m1.avro');
  const { ingest, tableOf } = await tables.connect(warehouse);
  expect((await ingest()).failure?.message).toMatch(/^Snapshot 1 cannot be read/);
  const stored = await tableOf();
  expect(stored).toMatchObject({ currentSnapshotId: 1n, unreadableSnapshots: 1 });
  expect(stored.schema?.columns.length).toBeGreaterThan(0);
});

it('every job that captures files alone reports a current snapshot that cannot be read', async () => {
  const { table, ingest, snapshots, tableOf } = await threeSnapshots();
  const list = table.damage('snap-3.avro');
  await ingest(false, { mode: 'METADATA_ONLY' });
  const { coverage } = (await tableOf()).upstream ?? {};
  for (const _ of [1, 2]) {
    expect((await ingest(false, { mode: 'CAPTURE_ONLY' })).failure?.message).toMatch(/^Snapshot 3 cannot be read/);
    // So that the next job does not take the table for unchanged.
    expect((await tableOf()).upstream?.coverage).toBe(coverage);
  }
  table.damage('snap-3.avro', list);
  expect((await ingest(false, { mode: 'CAPTURE_ONLY' })).failure).toBeUndefined();
  expect((await tableOf()).upstream?.coverage).toBe('');
  expect(await snapshots()).toEqual(files);
});

it('a table that changes while it is read gets on, once its unreadable snapshot is known', async () => {
  const { table, ingest, deps, tableOf } = await threeSnapshots();
  table.damage('snap-2.avro');
  await ingest();
  const snapshots = [...THREE_SNAPSHOTS, { id: 4, parent: 3, manifests: ['m1', 'm2', 'm3'] }];
  table.write(snapshots);
  const { fileChanges } = deps.catalog;
  const { commitSnapshot } = fileChanges;
  const commit = jest.spyOn(fileChanges, 'commitSnapshot');
  commit.mockImplementation((...args) => {
    commit.mockRestore();
    table.write(snapshots, { properties: { owner: 'sales' } });
    return commitSnapshot(...args);
  });
  expect((await ingest()).failure).toBeUndefined();
  expect(await tableOf()).toMatchObject({ currentSnapshotId: 4n, unreadableSnapshots: 1 });
});

it('an attempt that was killed before it stored its unreadable snapshot counts it once', async () => {
  const { table, ingest } = await threeSnapshots();
  table.damage('snap-2.avro');
  const unreadable = {
    last: '2',
    count: 1,
    first: { snapshotId: '2', code: 'DATA_LOSS', reason: 'It is gone.', isCaptured: false },
  };
  const { failure: reported } = await ingest(false, {}, { counts: {}, cursor: { unreadable } });
  expect(reported?.message).toMatch(/^Snapshot 2 cannot be read/);
});

it('the next slice of a full rescan reads unreadable snapshots after one whose files are in', async () => {
  const { table, ingest, snapshots } = await threeSnapshots();
  const list = table.damage('snap-3.avro');
  await ingest();
  table.damage('snap-1.avro');
  table.damage('snap-3.avro', list);
  const unreadable = {
    last: '1',
    count: 1,
    first: { snapshotId: '1', code: 'DATA_LOSS', reason: 'It is gone.', isCaptured: false },
  };
  await ingest(true, {}, { counts: {}, cursor: { verified: '1', unreadable } });
  expect(await snapshots()).toEqual(files);
});

it('a table that fails in a pack after its unreadable snapshot was stored reports it when it is run by itself', async () => {
  const { table, ingest, deps, connectorId } = await threeSnapshots();
  table.damage('snap-2.avro');
  const { ingestion } = deps.catalog;
  const update = jest.spyOn(ingestion, 'updateTable').mockImplementation(() => {
    update.mockRestore();
    throw new Error('The network is down');
  });
  const tables = [{ namespace: ['db'], name: 't' }];
  const { again } = await run(() => ingestTables(deps, { ...STEP, connectorId, tables, full: false, split: false }));
  const { failure: reported } = await ingest(false, { cursor: again[0]?.cursor });
  expect(reported?.message).toMatch(/^Snapshot 2 cannot be read/);
});

it('a retry reports what it still cannot read, though an earlier job has', async () => {
  const { table, ingest, snapshots } = await threeSnapshots();
  const list = table.damage('snap-2.avro');
  await ingest();
  expect((await ingest(false, { retries: true })).failure?.message).toMatch(
    /^Snapshot 2 cannot be read: .*snap-2\.avro.* Restore the file and run a job with --full\. Everything else/,
  );
  table.damage('snap-2.avro', list);
  expect((await ingest(false, { retries: true })).failure).toBeUndefined();
  expect(await snapshots()).toEqual(files);
});
