import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { ingestTable } from '../../../../src/activities/ingest-table.ts';
import type { ActivityDeps } from '../../../../src/activities/runtime/deps.ts';
import { addCounts, type Counters } from '../../../../src/contract/job.ts';
import { ObjectKind } from '../../../../src/generated/reconciler/internal/v1/bindings.ts';
import { connectorSpec, TestCatalog } from '../../../catalog/harness.ts';
import { waitFor } from '../../../jest/wait-for.ts';
import { activityDeps } from '../../activity-deps.ts';
import { HistoryUpstream, linear } from '../../plan/history-upstream.ts';
import { attempt, run, STEP, throughJson } from '../../run-activity.ts';

const FILES = 300;
const TABLE = { namespace: ['fx'], name: 't' };

let catalog: TestCatalog;
beforeAll(async () => {
  catalog = await TestCatalog.start();
});
afterAll(() => catalog[Symbol.asyncDispose]());

let connected = 0;

/** @param onCommitted awaited when the catalog has stored a snapshot, before the worker gets to know it; with how many it has stored */
async function connect(onCommitted: (committed: number, upstream: HistoryUpstream) => Promise<void> = async () => {}) {
  const upstream = new HistoryUpstream();
  // More than one message each: smaller snapshots share a stream.
  upstream.filesEach = FILES;
  upstream.padding = 4_000;
  const connector = connectorSpec({ destination: { catalogName: `ahead${connected++}` } });
  const { connectorId } = await catalog.clients.connectors.createConnector({ connector });
  const deps = activityDeps(catalog, upstream);
  const { fileChanges } = deps.catalog;
  let committed = 0;
  const commitSnapshot: typeof fileChanges.commitSnapshot = async (requests, options) => {
    const response = await fileChanges.commitSnapshot(requests, options);
    await onCommitted(++committed, upstream);
    return response;
  };
  const slow: ActivityDeps = { ...deps, catalog: { ...deps.catalog, fileChanges: { ...fileChanges, commitSnapshot } } };
  const ingest = (input: Partial<Parameters<typeof ingestTable>[1]> = {}) =>
    ingestTable(slow, { ...STEP, connectorId, table: TABLE, full: false, split: false, ...input });
  const captured = async () => {
    const kind = ObjectKind.OBJECT_KIND_TABLE;
    const { bindings } = await catalog.clients.bindings.listBindings({ connectorId, kind });
    const { snapshots } = await catalog.clients.snapshots.listSnapshots({ tableId: bindings[0]!.objectId });
    return snapshots
      .filter((snapshot) => snapshot.captured)
      .map(({ snapshotId }) => Number(snapshotId))
      .sort();
  };
  return { upstream, ingest, captured, read: () => upstream.reads.map(({ snapshotId }) => Number(snapshotId)) };
}

it('reads the next snapshot while the catalog finishes the one before', async () => {
  const { upstream, ingest, captured, read } = await connect((committed, { reads }) =>
    waitFor(() => expect(reads).toHaveLength(Math.min(4, committed + 1)), { timeout: 5_000 }),
  );
  upstream.set(linear(1, 4));
  const { counts } = await run(() => ingest());
  expect(counts).toMatchObject({ snapshotsIngested: 4, filesIngested: 4 * FILES });
  expect(read()).toEqual([1, 2, 3, 4]);
  expect(await captured()).toEqual([1, 2, 3, 4]);
});

it('does so in a full rescan', async () => {
  let verifies = false;
  const { upstream, ingest, read } = await connect(async (committed, { reads }) => {
    if (verifies) await waitFor(() => expect(reads).toHaveLength(Math.min(3, committed - 2)), { timeout: 5_000 });
  });
  upstream.set(linear(1, 3));
  await run(() => ingest());
  verifies = true;
  upstream.reads.length = 0;
  expect(await run(() => ingest({ full: true }))).toMatchObject({ changed: false });
  expect(read()).toEqual([1, 2, 3]);
});

it('keeps a snapshot during which the next one cannot be read', async () => {
  const { upstream, ingest, captured, read } = await connect(async (committed, { reads }) => {
    if (committed === 3) await waitFor(() => expect(reads.at(-1)?.snapshotId).toBe(4n), { timeout: 5_000 });
  });
  upstream.set(linear(1, 2));
  await run(() => ingest());
  upstream.reads.length = 0;
  upstream.set(linear(1, 4));
  upstream.broken.add(4n);
  const failed = await attempt(() => ingest());
  expect(failed.outcome).toMatchObject({ reason: { code: 'UNAVAILABLE' } });
  expect(failed.last).toMatchObject({ counts: { snapshotsIngested: 1, filesIngested: FILES } });
  expect(await captured()).toEqual([1, 2, 3]);
  upstream.broken.clear();
  const again = await run(() => ingest(), { heartbeatDetails: throughJson(failed.last) });
  expect(again.counts).toMatchObject({ snapshotsIngested: 2, filesIngested: 2 * FILES });
  expect(read()).toEqual([3, 4, 4]);
});

it('reads nothing ahead if the slice is over', async () => {
  const { upstream, ingest, read } = await connect(() => new Promise((resolve) => setTimeout(resolve, 100)));
  upstream.set(linear(1, 3));
  const sum: Counters = {};
  for (let cursor: Parameters<typeof ingest>[0] | undefined = {}; cursor; ) {
    const before = read().length;
    const outcome = throughJson(await run(() => ingest({ sliceSeconds: 0, ...cursor })));
    expect(read().length - before).toBeLessThanOrEqual(1);
    addCounts(sum, outcome.counts);
    cursor = outcome.cursor && { cursor: outcome.cursor };
  }
  expect(sum).toMatchObject({ snapshotsIngested: 3, filesIngested: 3 * FILES });
  expect(read()).toEqual([1, 2, 3]);
});

it('reads a snapshot again that turns out to have been read against the wrong one', async () => {
  const { upstream, ingest, captured, read } = await connect((_, { reads }) =>
    waitFor(() => expect(reads.length).toBeGreaterThan(1), { timeout: 5_000 }),
  );
  upstream.set(linear(1, 2));
  // Its first reading has lost the changes, which the counts reveal, so that all of its files are read.
  upstream.losesChanges = true;
  const { counts } = await run(() => ingest());
  expect(counts).toMatchObject({ snapshotsIngested: 2 });
  // Without its changes, it is a small snapshot, which is sent again by itself before.
  expect(read()).toEqual([1, 2, 2, 2]);
  expect(await captured()).toEqual([1, 2]);
});
