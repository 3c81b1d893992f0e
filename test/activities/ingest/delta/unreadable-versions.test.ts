import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { ConnectorKind } from '../../../../src/generated/reconciler/v1/connectors.ts';
import { add, protocol } from '../../../formats/delta/memory-table.ts';
import { FolderTables } from '../folder-tables.ts';
import { DeltaVersions, features } from './delta-versions.ts';

let tables: FolderTables;
beforeAll(async () => {
  tables = await FolderTables.start();
});
afterAll(() => tables[Symbol.asyncDispose]());

async function connect() {
  const warehouse = tables.warehouse();
  const log = new DeltaVersions(warehouse);
  const connected = await tables.connect(warehouse, { kind: ConnectorKind.CONNECTOR_KIND_DELTA }, 'DELTA');
  /** By version: names of the files, or why it cannot be read. */
  const versions = async () => {
    const found: Record<string, string> = {};
    for (const { snapshotId, unreadable, captured } of await connected.list()) {
      const planned = captured ? await connected.plan(snapshotId) : [];
      const names = planned.map(({ file }) => file?.filePath.split('/').at(-1)).sort();
      found[String(snapshotId)] = unreadable || names.join();
    }
    return found;
  };
  return { log, ...connected, versions };
}

const reason = /^table db\.t needs the reader feature "adaptiveMetadata", which is not supported\b/;

it('versions with an unknown reader feature keep only themselves out', async () => {
  const { log, ingest, versions, tableOf } = await connect();
  log.put(0, add('a')).put(1, add('b'));
  log.put(2, features('adaptiveMetadata'), add('c')).put(3, add('d'));
  log.put(4, protocol(), add('e')).put(5, add('f'));
  const { failure, ...outcome } = await ingest();
  expect(outcome).toMatchObject({ changed: true, counts: { snapshotsIngested: 4 } });
  expect(failure).toMatchObject({ table: 'db.t', code: 'UNIMPLEMENTED' });
  expect(failure?.message).toMatch(
    /^Snapshot 2 and 1 other cannot be read: table db\.t needs .*"adaptiveMetadata".* a newer release .*--full.* Everything else of the table is in/,
  );
  const lost = expect.stringMatching(reason);
  const known = { 0: 'a', 1: 'a,b', 2: lost, 3: lost, 4: 'a,b,c,d,e', 5: 'a,b,c,d,e,f' };
  expect(await versions()).toEqual(known);
  expect(await tableOf()).toMatchObject({ currentSnapshotId: 5n, unreadableSnapshots: 2 });

  log.put(6, add('g'));
  expect((await ingest()).failure).toBeUndefined();
  expect(await versions()).toEqual({ ...known, 6: 'a,b,c,d,e,f,g' });
});

it('a table whose newest version has an unknown reader feature fails, and stays as it was', async () => {
  const { log, ingest, versions, tableOf } = await connect();
  log.put(0, add('a')).put(1, add('b'));
  await ingest();
  log.put(2, features('adaptiveMetadata'), add('c'));
  for (const _ of [1, 2]) {
    await expect(ingest()).rejects.toMatchObject({ code: 'UNIMPLEMENTED', message: expect.stringMatching(reason) });
    expect(await versions()).toEqual({ 0: 'a', 1: 'a,b' });
    expect((await tableOf()).currentSnapshotId).toBe(1n);
  }
  log.put(3, protocol(), add('d'));
  expect((await ingest()).failure?.message).toMatch(/^Snapshot 2 cannot be read/);
  expect(await versions()).toEqual({ 0: 'a', 1: 'a,b', 2: expect.stringMatching(reason), 3: 'a,b,c,d' });
});
