import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { ingestTable } from '../../../src/activities/ingest-table.ts';
import { Sqlite } from '../../../src/catalog/store/database/sqlite.ts';
import { connectorSpec, TestCatalog } from '../../catalog/harness.ts';
import { activityDeps } from '../activity-deps.ts';
import { run, STEP } from '../run-activity.ts';
import { countCalls } from './count-calls.ts';
import { HistoryUpstream, historyOf, linear, type TimedEntry } from './history-upstream.ts';

let catalog: TestCatalog;
beforeAll(async () => {
  catalog = await TestCatalog.start();
});
afterAll(() => catalog[Symbol.asyncDispose]());

/** An upstream with one table, and what ingests it and counts the calls of the catalog that the table takes. */
async function connect() {
  const { connectorId } = await catalog.clients.connectors.createConnector({ connector: connectorSpec() });
  const upstream = new HistoryUpstream();
  const calls = new Map<string, number>();
  const deps = { ...activityDeps(catalog, upstream), catalog: countCalls(catalog.clients, calls) };
  const ingest = async (options: object = {}) => {
    calls.clear();
    const table = { namespace: ['fx'], name: 't' };
    const input = { ...STEP, connectorId, table, full: false, split: false, ...options };
    const outcome = await run(() => ingestTable(deps, input));
    // Once per activity, which ingests up to 20 tables.
    calls.delete('getConnector');
    calls.delete('ensureDestination');
    return { outcome, calls: Object.fromEntries(calls) };
  };
  return { upstream, ingest };
}

/** Copies the newest stored snapshot, so that its table has snapshots 1 to `count`: without the calls that ingesting them would take. */
function addStored(count: number): void {
  const database = new Sqlite(catalog.file);
  try {
    const row = database.prepare('select * from snapshots order by snapshot_num desc limit 1').get() as StoredRow;
    const { snapshot_num: _, ...columns } = row;
    const names = Object.keys(columns);
    const insert = database.prepare(`insert into snapshots (${names}) values (${names.map((name) => `@${name}`)})`);
    database.transaction(() => {
      for (let id = 2; id <= count; id++) {
        const [chain, published] = [1_000_000 + id, columns.published + id];
        const [entry] = historyOf([{ snapshotId: BigInt(id), parentSnapshotId: BigInt(id - 1) }]) as [TimedEntry];
        const own = {
          snapshot_id: String(id),
          parent_snapshot_id: String(id - 1),
          sequence_number: entry.sequenceNumber,
          committed_at: entry.committedAtMs,
          manifest_list: entry.manifestList,
          chain_num: chain,
          published,
        };
        insert.run({ ...columns, ...own });
      }
    })();
  } finally {
    database.close();
  }
}
type StoredRow = Record<string, unknown> & { snapshot_num: number; published: number };

/** A changed table's outcome is recorded for the job's report; an unchanged one costs no write. */
const RECORDED = { recordJobOutcomes: 1 };

it('takes few calls of the catalog for each way in which a table can change', async () => {
  const { upstream, ingest } = await connect();
  upstream.set(linear(1, 3));
  expect((await ingest()).calls).toEqual({ ...RECORDED, ensureTable: 1, commitSnapshot: 1 });
  upstream.set(linear(1, 4));
  expect((await ingest()).calls).toEqual({ ...RECORDED, ensureTable: 1, compareSnapshots: 1, commitSnapshot: 1 });
  upstream.set({ ...linear(1, 4), properties: { owner: 'sales' } });
  expect((await ingest()).calls).toEqual({ ...RECORDED, ensureTable: 1, compareSnapshots: 1, updateTable: 1 });
  expect((await ingest()).calls).toEqual({ ensureTable: 1, compareSnapshots: 1 });
  expect((await ingest({ full: true })).calls).toEqual({ ensureTable: 1, listSnapshots: 1, commitSnapshot: 4 });
  upstream.set(linear(2, 4));
  const expired = { ...RECORDED, ensureTable: 1, compareSnapshots: 1, expireSnapshots: 1, updateTable: 1 };
  expect((await ingest()).calls).toEqual(expired);
  upstream.set(linear(2, 5));
  const metadata = { ...RECORDED, ensureTable: 1, compareSnapshots: 1, createSnapshot: 1, updateTable: 1 };
  expect((await ingest({ mode: 'METADATA_ONLY' })).calls).toEqual(metadata);
  const captured = {
    ...RECORDED,
    getTable: 1,
    lookupBindings: 1,
    compareSnapshots: 1,
    commitSnapshot: 1,
    updateTable: 1,
  };
  expect((await ingest({ mode: 'CAPTURE_ONLY' })).calls).toEqual(captured);
});

it('reads and writes one snapshot if one of 10,000 is new', async () => {
  const { upstream, ingest } = await connect();
  const mode = 'METADATA_ONLY';
  upstream.set(linear(1, 1));
  await ingest({ mode });
  addStored(10_000);
  upstream.set(linear(1, 10_000));
  // The head was not in the catalog before: 10,000 snapshots are compared as a list.
  expect((await ingest({ mode })).outcome).toMatchObject({ counts: { snapshotsIngested: 0 } });

  upstream.set(linear(1, 10_001));
  const { outcome, calls } = await ingest({ mode });
  expect(outcome).toMatchObject({ changed: true, counts: { snapshotsIngested: 1 } });
  expect(calls).toEqual({ ...RECORDED, ensureTable: 1, compareSnapshots: 1, createSnapshot: 1, updateTable: 1 });
  expect(upstream.described).toEqual([10_001n]);

  // Only if something has expired are the catalog's snapshots listed.
  upstream.set(linear(101, 10_001));
  const expiry = await ingest({ mode });
  expect(expiry.calls).toEqual({
    ...RECORDED,
    ensureTable: 1,
    compareSnapshots: 1,
    listSnapshots: 10,
    expireSnapshots: 1,
    updateTable: 1,
  });
  expect(upstream.described).toEqual([]);
}, 240_000);
