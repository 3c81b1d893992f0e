import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { ingestTable } from '../../../src/activities/ingest-table.ts';
import { openDirectory } from '../../../src/connectors/directory/open-directory.ts';
import type { UpstreamCatalog } from '../../../src/connectors/spi.ts';
import type { IngestInput, TableOutcome } from '../../../src/contract/activities.ts';
import { addCounts, type CaptureMode, type Counters } from '../../../src/contract/job.ts';
import type { TableRef } from '../../../src/contract/upstream-names.ts';
import { CodedError } from '../../../src/errors.ts';
import { ObjectKind } from '../../../src/generated/reconciler/internal/v1/bindings.ts';
import { FileStore } from '../../../src/storage/file-store.ts';
import type { ObjectStore } from '../../../src/storage/object-store.ts';
import { connectorSpec, TestCatalog } from '../../catalog/harness.ts';
import { dumpCatalog } from '../../integration/contents/dump.ts';
import { activityDeps } from '../activity-deps.ts';
import { CountingStore } from '../counting-store.ts';
import { HistoryUpstream, linear } from '../plan/history-upstream.ts';
import { attempt, run, STEP, throughJson } from '../run-activity.ts';

const FIXTURES = join(import.meta.dirname, '../../fixtures');

let catalog: TestCatalog;
beforeAll(async () => {
  catalog = await TestCatalog.start();
});
afterAll(() => catalog[Symbol.asyncDispose]());

let connected = 0;

/** A connector with a catalog of its own, and what ingests its tables. */
async function connect(upstream: UpstreamCatalog) {
  const name = `slices${connected++}`;
  const connector = connectorSpec({ destination: { catalogName: name } });
  const { connectorId } = await catalog.clients.connectors.createConnector({ connector });
  const deps = activityDeps(catalog, upstream);
  const ingest = (input: Partial<IngestInput> & { table: TableRef }) =>
    ingestTable(deps, { ...STEP, connectorId, full: false, split: false, ...input });
  /** One slice that is over when it begins. */
  const slice = (input: Partial<IngestInput> & { table: TableRef }) => run(() => ingest({ sliceSeconds: 0, ...input }));
  /** Such slices until the table is done. */
  const slices = async (input: Partial<IngestInput> & { table: TableRef }) => {
    const sum: Counters = {};
    const outcomes: TableOutcome[] = [];
    for (let { cursor } = input; outcomes.length === 0 || cursor; ) {
      const outcome = throughJson(await slice({ ...input, cursor }));
      if (outcomes.length > 200) throw new Error(`the slices do not end: ${JSON.stringify(outcomes.slice(-2))}`);
      outcomes.push(outcome);
      addCounts(sum, outcome.counts);
      ({ cursor } = outcome);
    }
    return { outcomes, changed: outcomes.some(({ changed }) => changed), ...ingested(sum) };
  };
  return { name, connectorId, ingest, slice, slices };
}

const ingested = ({ snapshotsIngested = 0, filesIngested = 0 }: Counters) => ({ snapshotsIngested, filesIngested });

const open = (warehouse: string, store: ObjectStore = new FileStore()) =>
  openDirectory(store, join(FIXTURES, warehouse));

async function tablesOf(warehouse: string): Promise<TableRef[]> {
  const upstream = await open(warehouse);
  const tables: TableRef[] = [];
  for (const namespace of readdirSync(join(FIXTURES, warehouse))) {
    if (namespace === 'bad') continue;
    const { items } = await upstream.listTables([namespace], { size: 1000 });
    for (const { name } of items) {
      const table = { namespace: [namespace], name };
      if (await upstream.openTable(table).catch(() => undefined)) tables.push(table);
    }
  }
  return tables;
}

describe('slices that are over when they begin', () => {
  it.each<[string, ...CaptureMode[]]>([
    ['iceberg/wh', 'METADATA_AND_CAPTURE'],
    ['made/iceberg/wh', 'METADATA_AND_CAPTURE'],
    ['made/iceberg/wh', 'METADATA_ONLY', 'CAPTURE_ONLY'],
  ])(
    'make the same catalog of %s with %s, and count the same, as an ingest that is not interrupted',
    async (warehouse, ...modes) => {
      const [whole, sliced] = [await connect(await open(warehouse)), await connect(await open(warehouse))];
      const continued = { afterSnapshots: 0, withinSnapshots: 0 };
      for (const table of await tablesOf(warehouse)) {
        for (const mode of modes) {
          const { changed, counts } = await run(() => whole.ingest({ table, mode }));
          const { outcomes, ...found } = await sliced.slices({ table, mode });
          expect({ table, ...found }).toEqual({ table, changed, ...ingested(counts) });
          for (const { cursor, counts } of outcomes) {
            // One snapshot or a part of one; the last slice finishes the table.
            expect(counts.snapshotsIngested).toBeLessThanOrEqual(1);
            if (cursor) continued[cursor.position === undefined ? 'afterSnapshots' : 'withinSnapshots'] += 1;
          }
          expect(await run(() => sliced.ingest({ table, mode }))).toMatchObject({ changed: false });
        }
      }
      expect(await dumpCatalog(catalog.clients, sliced.name)).toEqual(await dumpCatalog(catalog.clients, whole.name));
      expect(continued.afterSnapshots).toBeGreaterThan(10);
      expect(continued.withinSnapshots).toBeGreaterThan(10);
    },
    240_000,
  );

  it('verify as many snapshots in a full rescan, and change nothing', async () => {
    const { name, ingest, slices } = await connect(await open('iceberg/wh'));
    const tables = await tablesOf('iceberg/wh');
    for (const table of tables) await run(() => ingest({ table }));
    const before = await dumpCatalog(catalog.clients, name);
    const none = { changed: false, snapshotsIngested: 0, filesIngested: 0 };
    for (const table of tables) expect(await slices({ table, full: true })).toMatchObject(none);
    expect(await dumpCatalog(catalog.clients, name)).toEqual(before);
  }, 120_000);
});

describe('a snapshot that takes more than a slice', () => {
  it('is continued without reading the earlier parts of it again', async () => {
    const store = new CountingStore(new FileStore());
    const { slices } = await connect(await open('made/iceberg/wh', store));
    // Its last snapshot has written nine manifests.
    const { outcomes } = await slices({ table: { namespace: ['mk'], name: 'lineage' } });
    expect(outcomes.map(({ cursor }) => cursor?.position)).toEqual(expect.arrayContaining([1, 2, 3, 4, 5, 6, 7, 8]));
    const manifests = [...store.bytesRead].filter(([path]) => /-m\d+\.avro$/.test(path));
    expect(manifests.length).toBeGreaterThan(15);
    for (const [path, bytes] of manifests) expect([path, bytes]).toEqual([path, statSync(path).size]);
  });

  const TABLE = { namespace: ['fx'], name: 't' };

  /** A table with three snapshots in the catalog, and a fourth one that is read in four parts, and adds four files. */
  async function withBigSnapshot() {
    const upstream = new HistoryUpstream();
    upstream.inParts = true;
    upstream.filesEach = 4;
    const connection = await connect(upstream);
    upstream.set(linear(1, 3));
    await run(() => connection.ingest({ table: TABLE }));
    upstream.set(linear(1, 4));
    upstream.reads.length = 0;
    return { ...connection, upstream };
  }

  it('is continued by the next attempt where the last one stopped, and its files are counted once', async () => {
    const { upstream, ingest, slice } = await withBigSnapshot();
    const first = await slice({ table: TABLE });
    expect(first).toMatchObject({ cursor: { snapshotId: '4', position: 1 }, counts: { filesIngested: 1 } });
    const input = { table: TABLE, cursor: first.cursor };
    upstream.onBatch = (_, position) => {
      if (position === 2) throw new CodedError('UNAVAILABLE', 'cut');
    };
    const failed = await attempt(() => ingest(input));
    expect(failed.outcome).toMatchObject({ reason: { code: 'UNAVAILABLE' } });
    upstream.onBatch = () => {};
    const again = await run(() => ingest(input), { heartbeatDetails: failed.last });
    expect(again.counts).toMatchObject({ snapshotsIngested: 1, filesIngested: 3 });
    // What the failed attempt had sent was not acknowledged.
    expect(upstream.reads.map(({ from }) => from)).toEqual([0, 1, 1]);
    expect(await run(() => ingest({ table: TABLE }))).toMatchObject({ changed: false });
  });

  it('is continued by the same activity if a person has paused it since its last heartbeat', async () => {
    const { upstream, ingest } = await withBigSnapshot();
    const asked: object[] = [];
    const isActivityPaused = async (activity: object) => asked.push(activity) > 0;
    const paused = await attempt(() => ingest({ table: TABLE, sliceSeconds: 0 }), {}, { isActivityPaused });
    expect(paused.outcome).toMatchObject({ reason: { type: 'ActivityPause', nonRetryable: false } });
    expect(asked).toEqual([expect.objectContaining({ workflowId: 'test', activityId: 'test' })]);
    const again = await attempt(
      () => ingest({ table: TABLE }),
      { heartbeatDetails: paused.last },
      { isActivityPaused },
    );
    expect(again.outcome).toMatchObject({ value: { counts: { snapshotsIngested: 1, filesIngested: 4 } } });
    expect(upstream.reads.map(({ from }) => from)).toEqual([0, 1]);
    expect(asked).toHaveLength(1);
  });

  it('is ingested in one slice if nothing would show that the catalog lost the part before the cursor', async () => {
    const { upstream, slice } = await withBigSnapshot();
    upstream.hasCounts = false;
    const outcome = await slice({ table: TABLE });
    expect(outcome).toMatchObject({ changed: true, counts: { snapshotsIngested: 1, filesIngested: 4 } });
    expect(outcome.cursor).toBeUndefined();
  });

  it('is ingested in one slice, too, if all of its files have to be read because its changes were wrong', async () => {
    const { upstream, slices } = await withBigSnapshot();
    upstream.losesChanges = true;
    const { outcomes } = await slices({ table: TABLE });
    expect(outcomes.at(-1)).toMatchObject({ changed: true, counts: { snapshotsIngested: 1, filesIngested: 16 } });
    expect(upstream.reads.map(({ from }) => from)).toEqual([0, 0]);
  });

  it('does not make a full rescan verify again what it has verified', async () => {
    const { upstream, slices } = await withBigSnapshot();
    await slices({ table: TABLE, full: true });
    const parts = [1, 2, 3, 4].map((position) => [4n, position]);
    expect(upstream.reads.map(({ snapshotId, from }) => [snapshotId, from])).toEqual([
      ...[1n, 2n, 3n, 4n].map((snapshotId) => [snapshotId, 0]),
      ...parts,
    ]);
  });
});

describe('a full rescan in slices', () => {
  const TABLE = { namespace: ['fx'], name: 't' };
  const MODES: CaptureMode[] = ['METADATA_AND_CAPTURE', 'METADATA_ONLY'];

  async function withSnapshots(count: number) {
    const upstream = new HistoryUpstream();
    const connection = await connect(upstream);
    upstream.set(linear(1, count));
    await run(() => connection.ingest({ table: TABLE }));
    upstream.reads.length = 0;
    return { ...connection, upstream, verified: () => upstream.reads.map(({ snapshotId }) => Number(snapshotId)) };
  }

  it('verifies each snapshot once', async () => {
    const { slices, verified } = await withSnapshots(5);
    const { outcomes } = await slices({ table: TABLE, full: true });
    expect(outcomes.map(({ cursor }) => cursor?.verified)).toEqual(['1', '2', '3', '4', undefined]);
    expect(verified()).toEqual([1, 2, 3, 4, 5]);
  });

  it('does so without files, too', async () => {
    const { slices } = await withSnapshots(3);
    const { outcomes } = await slices({ table: TABLE, full: true, mode: 'METADATA_ONLY' });
    expect(outcomes.map(({ cursor }) => cursor?.verified)).toEqual(['1', '2', undefined]);
  });

  it('verifies all that are left if the one that the cursor names has gone meanwhile', async () => {
    const { upstream, slice, slices, verified } = await withSnapshots(5);
    const table = { table: TABLE, full: true };
    const { cursor: first } = await slice(table);
    const { cursor } = await slice({ ...table, cursor: first });
    expect(cursor).toEqual({ verified: '2' });
    upstream.set(linear(3, 5));
    await slices({ ...table, cursor });
    expect(verified()).toEqual([1, 2, 3, 4, 5]);
  });

  it.each(MODES)('with %s ingests a snapshot that the catalog lost meanwhile', async (mode) => {
    const { upstream, connectorId, slice, slices } = await withSnapshots(1);
    upstream.set({ ...linear(1, 1), snapshots: [{ snapshotId: 2n }, { snapshotId: 1n }] });
    await run(() => slice({ table: TABLE }));
    const table = { table: TABLE, full: true, mode };
    const { cursor } = await slice(table);
    expect(cursor).toEqual({ verified: '2' });
    const tableId = await tableOf(connectorId);
    await catalog.clients.snapshots.deleteSnapshot({ tableId, snapshotId: 2n });
    await slices({ ...table, cursor });
    const { snapshots } = await catalog.clients.snapshots.listSnapshots({ tableId });
    expect(snapshots.map(({ snapshotId }) => snapshotId).sort()).toEqual([1n, 2n]);
  });

  it('continues after the snapshot that the last attempt verified', async () => {
    const { upstream, ingest, slice, verified } = await withSnapshots(4);
    const { cursor } = await slice({ table: TABLE, full: true });
    upstream.onBatch = (snapshotId) => {
      if (snapshotId === 3n) throw new CodedError('UNAVAILABLE', 'cut');
    };
    const verify = () => ingest({ table: TABLE, full: true, cursor });
    const { last } = await attempt(verify);
    expect(last).toMatchObject({ cursor: { verified: '2' } });
    upstream.onBatch = () => {};
    await run(verify, { heartbeatDetails: last });
    expect(verified()).toEqual([1, 2, 3, 3, 4]);
  });
});

async function tableOf(connectorId: string): Promise<string> {
  const kind = ObjectKind.OBJECT_KIND_TABLE;
  const { bindings } = await catalog.clients.bindings.listBindings({ connectorId, kind });
  return bindings[0]!.objectId;
}
