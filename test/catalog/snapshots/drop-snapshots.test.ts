import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { Sqlite } from '../../../src/catalog/store/database/sqlite.ts';
import { toDuration } from '../../../src/durations.ts';
import { SnapshotRefType } from '../../../src/generated/reconciler/v1/tables.ts';
import { poll } from '../../jest/poll.ts';
import { added, long, removed, TestTable } from '../files.ts';
import { connectorSpec, DROPS, failure, TestCatalog } from '../harness.ts';

let catalog: TestCatalog;
beforeAll(async () => {
  catalog = await TestCatalog.start();
});
afterAll(() => catalog[Symbol.asyncDispose]());

const path = (file: number) => `s3://b/${file}.parquet`;
const columns = (file: number) => [{ columnId: 1, valueCount: 1n, lowerBound: long(file), upperBound: long(file + 1) }];
const add = (file: number) => added({ filePath: path(file), columns: columns(file) });

/** A table with its own connector, whose snapshots can be dropped. */
async function boundTable(): Promise<TestTable & { drop(...ids: number[]): Promise<number> }> {
  const { connectorId } = await catalog.clients.connectors.createConnector({ connector: connectorSpec(DROPS) });
  const table = await TestTable.create(catalog, { upstream: { connectorId, namespacePath: ['n'], tableName: 't' } });
  const drop = async (...ids: number[]) => {
    await catalog.clients.ingestion.expireSnapshots({ tableId: table.tableId, snapshotIds: ids.map(BigInt) });
    return dropExpired(connectorId);
  };
  return Object.assign(table, { drop });
}

/** Drops expired snapshots page by page. @returns how many were dropped */
async function dropExpired(connectorId: string, expiredFor = 0, validateOnly = false): Promise<number> {
  let dropped = 0n;
  let pageToken = '';
  do {
    const page = { connectorId, expiredFor: toDuration(expiredFor), pageSize: 2, pageToken, validateOnly };
    const { tables, nextPageToken } = await catalog.clients.reconciliation.dropExpiredSnapshots(page);
    for (const { snapshots } of tables) dropped += snapshots;
    pageToken = nextPageToken;
  } while (pageToken);
  return Number(dropped);
}

function query(sql: string): Record<string, unknown>[] {
  const db = new Sqlite(catalog.file, { readonly: true });
  try {
    return db.prepare(sql).all() as Record<string, unknown>[];
  } finally {
    db.close();
  }
}

/** Waits until the files of dropped snapshots are reclaimed, which happens after the response. */
async function reclaimed(): Promise<void> {
  await poll(() => query('select * from dropped_positions where cleared = 0'), { timeout: 30_000 }).toEqual([]);
}

/** Memberships that are live at no used position, files without memberships, and chains without snapshots and forks. */
const GARBAGE = `
  select m.chain_num, m.added_ord, m.file_num from memberships m
  where not exists (
    select 1 from snapshots s where s.chain_num = m.chain_num and s.ord >= m.added_ord and s.ord < m.removed_ord)
  and not exists (
    select 1 from chains c where c.parent_chain_num = m.chain_num and c.parent_ord >= m.added_ord and c.parent_ord < m.removed_ord)
  union all
  select 0, 0, file_num from files where file_num not in (select file_num from memberships)
  union all
  select chain_num, 0, 0 from chains c where not exists (select 1 from snapshots s where s.chain_num = c.chain_num)
    and not exists (select 1 from chains f where f.parent_chain_num = c.chain_num)`;

type Live = Map<number, number>;
const listOf = (live: Live) => [...live].flatMap(([file, times]) => Array<string>(times).fill(path(file))).sort();
const count = (live: Live) => [...live.values()].reduce((a, b) => a + b, 0);

const step = fc.record({
  on: fc.nat({ max: 99 }),
  rootChance: fc.nat({ max: 9 }),
  adds: fc.uniqueArray(fc.nat({ max: 14 }), { maxLength: 6 }),
  removes: fc.uniqueArray(fc.nat({ max: 14 }), { maxLength: 6 }),
  drops: fc.array(fc.nat({ max: 99 }), { maxLength: 2 }),
});

describe('snapshots that are dropped', () => {
  it('do not change the others, whatever is based on them, and leave no files that no snapshot holds', async () => {
    await fc.assert(
      fc.asyncProperty(fc.array(step, { minLength: 3, maxLength: 20 }), fc.boolean(), async (steps, all) => {
        const table = await boundTable();
        const { snapshots } = catalog.clients;
        const model = new Map<number, { live: Live; adds: number[]; removes: number[] }>();
        const drop = async (indexes: number[]) => {
          const ids = [...new Set(indexes.map((index) => [...model.keys()][index % model.size] as number))];
          if (ids.length === 0) return;
          expect(await table.drop(...ids)).toBe(ids.length);
          for (const id of ids) model.delete(id);
        };
        const check = async () => {
          for (const [id, { live }] of model) {
            expect(await table.paths(id, 4)).toEqual(listOf(live));
            expect((await table.stats(id)).dataFileCount).toBe(BigInt(count(live)));
            const [column] = live.size === 0 ? [] : await table.columns(id, ['id']);
            expect(column?.lowerBound).toEqual(live.size === 0 ? undefined : long(Math.min(...live.keys())));
          }
        };
        for (const [index, { on, rootChance, adds, removes, drops }] of steps.entries()) {
          const base = model.size === 0 || rootChance === 0 ? undefined : [...model.keys()][on % model.size];
          const live: Live = new Map(base === undefined ? [] : model.get(base)?.live);
          for (const file of removes) live.delete(file);
          for (const file of adds) live.set(file, (live.get(file) ?? 0) + 1);
          const changes = [...adds.map(add), ...removes.map((file) => removed(path(file)))];
          await table.put({ snapshotId: index + 1, base: base ?? null, changes, expected: { data: count(live) } });
          model.set(index + 1, { live, adds, removes });
          await drop(model.size > 1 ? drops : []);
          await check();
        }
        await reclaimed();
        await check();
        expect(query(GARBAGE)).toEqual([]);

        // A full rescan sends the changes of a snapshot, or all its files if its base was dropped.
        for (const [id, { live, adds, removes }] of model) {
          const snapshot = await snapshots.getSnapshot({ tableId: table.tableId, snapshotId: BigInt(id) });
          const whole = snapshot.baseSnapshotId === undefined;
          const changes = whole
            ? [...live].flatMap(([file, times]) => Array.from({ length: times }, () => add(file)))
            : [...adds.map(add), ...removes.map((file) => removed(path(file)))];
          const expected = { data: count(live) };
          const same = await table.send({ snapshotId: id, replace: true, changes, expected });
          expect(same.rowsWritten).toBe(0n);
        }
        // A snapshot that has other statistics of a file leaves the others as they are, with and without a base.
        const [first] = model.values();
        const [changed] = first?.live.keys() ?? [];
        if (changed !== undefined) {
          const change = added({ filePath: path(changed), recordCount: 11n });
          await table.put({ snapshotId: 100, base: null, changes: [change] });
          for (const [id, { live }] of model) {
            expect((await table.stats(id)).rowCount).toBe(BigInt(count(live) * 10));
          }
          expect((await table.stats(100)).rowCount).toBe(11n);
          model.set(100, { live: new Map([[changed, 1]]), adds: [changed], removes: [] });
        }
        if (all) {
          while (model.size > 0) await drop([model.size * 7]);
          await reclaimed();
          const ofTable = `(select table_num from table_contents where table_id = '${table.tableId}')`;
          for (const name of ['files', 'chains', 'snapshots', 'dropped_positions']) {
            expect(query(`select * from ${name} where table_num = ${ofTable}`)).toEqual([]);
          }
        }
      }),
      { numRuns: 15 },
    );
  });

  it('still name the snapshot that added a file, and protect their ancestors from deletion', async () => {
    const table = await boundTable();
    await table.put({ snapshotId: 1, changes: [add(1)] });
    await table.put({ snapshotId: 2, base: 1, changes: [add(2)] });
    await table.put({ snapshotId: 3, base: 2, changes: [add(3)] });
    const before = await table.files(3);
    expect(await table.drop(2)).toBe(1);
    expect(await table.files(3)).toEqual(before);
    const deletion = catalog.clients.snapshots.deleteSnapshot({ tableId: table.tableId, snapshotId: 1n });
    expect(await failure(deletion)).toMatchObject({ code: 'FAILED_PRECONDITION' });
    expect(await failure(table.paths(2))).toMatchObject({ code: 'NOT_FOUND' });
    // The id may be used again, for example after the upstream's metadata was restored.
    await table.put({ snapshotId: 2, base: 1, changes: [add(2)], expected: { data: 2 } });
    expect(await table.paths(2)).toEqual([path(1), path(2)]);
    expect(await table.files(3)).toEqual(before);
    await catalog.clients.snapshots.deleteSnapshot({ tableId: table.tableId, snapshotId: 3n });
    await catalog.restart();
    await reclaimed();
    expect(query(GARBAGE)).toEqual([]);
    expect(await table.paths(2)).toEqual([path(1), path(2)]);
  });

  it('are those that expired long enough ago and are not current, named by a ref, or the base of a staged snapshot', async () => {
    const table = await boundTable();
    const { tables, snapshots, ingestion } = catalog.clients;
    for (const id of [1, 2, 3, 4, 5]) {
      await table.put({ snapshotId: id, base: id === 1 ? null : id - 1, changes: [add(id)] });
    }
    await ingestion.updateTable({
      table: {
        tableId: table.tableId,
        currentSnapshotId: 5n,
        refs: [{ name: 'old', snapshotId: 2n, type: SnapshotRefType.SNAPSHOT_REF_TYPE_TAG }],
      },
      updateMask: ['current_snapshot_id', 'refs'],
    });
    await table.createSnapshot({ snapshotId: 6, base: 4 });
    const { upstream } = await tables.getTable({ tableId: table.tableId });
    const connectorId = upstream?.connectorId ?? '';
    await ingestion.expireSnapshots({ tableId: table.tableId, snapshotIds: [1n, 2n, 4n, 5n] });
    expect(await dropExpired(connectorId, 3600)).toBe(0);
    expect(await dropExpired(connectorId, 0, true)).toBe(1);
    const left = async () =>
      (await snapshots.listSnapshots({ tableId: table.tableId, showExpired: true })).snapshots.map(({ snapshotId }) =>
        Number(snapshotId),
      );
    expect(await left()).toEqual([1, 2, 3, 4, 5]);
    expect(await dropExpired(connectorId)).toBe(1);
    expect(await left()).toEqual([2, 3, 4, 5]);
    expect(await dropExpired(connectorId)).toBe(0);
    const other = await catalog.clients.connectors.createConnector({ connector: connectorSpec(DROPS) });
    expect(await dropExpired(other.connectorId)).toBe(0);
    await table.send({ snapshotId: 6, changes: [add(6)], expected: { data: 5 } });
    expect(await dropExpired(connectorId)).toBe(1);
    expect(await left()).toEqual([2, 3, 5, 6]);
    expect(await table.paths(6)).toEqual([1, 2, 3, 4, 6].map(path));

    // A snapshot of which only the metadata was ingested first, and then a part of its files.
    await snapshots.createSnapshot({ snapshot: { tableId: table.tableId, snapshotId: 7n }, metadataOnly: true });
    await table.createSnapshot({ snapshotId: 7, base: 6 });
    await table.send({ snapshotId: 7, changes: [add(7), removed(path(1))], finish: false });
    await ingestion.expireSnapshots({ tableId: table.tableId, snapshotIds: [7n] });
    expect(await dropExpired(connectorId)).toBe(1);
    await table.put({ snapshotId: 8, base: 6, changes: [removed(path(2))], expected: { data: 4 } });
    await reclaimed();
    expect(query(GARBAGE)).toEqual([]);
    expect(await left()).toEqual([2, 3, 5, 6, 8]);
    expect(await table.paths(6)).toEqual([1, 2, 3, 4, 6].map(path));
    expect(await table.paths(8)).toEqual([1, 3, 4, 6].map(path));
  });
});
