import { afterAll, beforeAll, expect, it, jest } from '@jest/globals';
import { ClientError, Status } from 'nice-grpc';
import { ingestTable } from '../../../../src/activities/ingest-table.ts';
import { encodeCommitRequest } from '../../../../src/catalog-client/raw-commit-snapshot.ts';
import { ObjectKind } from '../../../../src/generated/reconciler/internal/v1/bindings.ts';
import { CommitSnapshotRequest } from '../../../../src/generated/reconciler/internal/v1/ingestion.ts';
import { connectorSpec, TestCatalog } from '../../../catalog/harness.ts';
import { activityDeps } from '../../activity-deps.ts';
import { HistoryUpstream, linear } from '../../plan/history-upstream.ts';
import { attempt, run, STEP, throughJson } from '../../run-activity.ts';

const TABLE = { namespace: ['fx'], name: 't' };

let catalog: TestCatalog;
beforeAll(async () => {
  catalog = await TestCatalog.start();
});
afterAll(() => catalog[Symbol.asyncDispose]());

let connected = 0;

async function connect() {
  const upstream = new HistoryUpstream();
  upstream.filesEach = 2;
  const connector = connectorSpec({ destination: { catalogName: `small${connected++}` } });
  const { connectorId } = await catalog.clients.connectors.createConnector({ connector });
  const deps = activityDeps(catalog, upstream);
  /** The ids of the snapshots of each stream, whose messages a test can replace. */
  const streams: number[][] = [];
  let edit = (request: CommitSnapshotRequest): CommitSnapshotRequest => request;
  const { commitSnapshot } = deps.catalog.fileChanges;
  const observed: typeof commitSnapshot = (requests, options) => {
    const ids: number[] = [];
    streams.push(ids);
    async function* read() {
      for await (const bytes of requests) {
        const message = edit(CommitSnapshotRequest.decode(bytes));
        if (message.request?.$case === 'header') ids.push(Number(message.request.value.snapshotId));
        if (message.request) yield encodeCommitRequest(message.request);
      }
    }
    return commitSnapshot(read(), options);
  };
  const fileChanges = { commitSnapshot: jest.fn(observed) };
  const input = { ...STEP, connectorId, table: TABLE, full: false, split: false };
  const ingest = () => ingestTable({ ...deps, catalog: { ...deps.catalog, fileChanges } }, input);
  const captured = async () => {
    const kind = ObjectKind.OBJECT_KIND_TABLE;
    const { bindings } = await catalog.clients.bindings.listBindings({ connectorId, kind });
    const { snapshots } = await catalog.clients.snapshots.listSnapshots({
      tableId: bindings[0]!.objectId,
      pageSize: 1000,
    });
    const ids = snapshots.filter((snapshot) => snapshot.captured).map(({ snapshotId }) => Number(snapshotId));
    return ids.sort((a, b) => a - b);
  };
  return {
    upstream,
    ingest,
    streams,
    captured,
    fileChanges,
    commitSnapshot: observed,
    onMessage: (edited: typeof edit) => {
      edit = edited;
    },
  };
}

const range = (from: number, to: number) => Array.from({ length: to - from + 1 }, (_, i) => from + i);

it('share streams of up to 200', async () => {
  const { upstream, ingest, streams, captured } = await connect();
  upstream.set(linear(1, 450));
  const { counts } = await run(ingest);
  // The first snapshots add two files each, the later ones also remove two.
  expect(counts).toMatchObject({ snapshotsIngested: 450, filesIngested: 450 * 2 + 445 * 2 });
  expect(streams).toEqual([range(1, 200), range(201, 400), range(401, 450)]);
  expect(await captured()).toEqual(range(1, 450));
});

it('end a stream before one that cannot be read, and come in', async () => {
  const { upstream, ingest, streams, captured } = await connect();
  upstream.set(linear(1, 6));
  upstream.broken.add(4n);
  const failed = await attempt(ingest);
  expect(failed.outcome).toMatchObject({ reason: { code: 'UNAVAILABLE' } });
  expect(streams).toEqual([[1, 2, 3], [4]]);
  expect(await captured()).toEqual([1, 2, 3]);
  upstream.broken.clear();
  const { counts } = await run(ingest, { heartbeatDetails: throughJson(failed.last) });
  expect(counts).toMatchObject({ snapshotsIngested: 6, filesIngested: 14 });
  expect(streams.slice(2)).toEqual([[4, 5, 6]]);
});

it('are sent again from one that the catalog refuses, which is read in full', async () => {
  const { upstream, ingest, streams, captured, onMessage } = await connect();
  upstream.set(linear(1, 5));
  let finishes = 0;
  onMessage((message) => {
    const { request } = message;
    // The third one arrives with other counts, once.
    if (request?.$case === 'finish' && ++finishes === 3) request.value.expectedDataFileCount = 77n;
    return message;
  });
  const { counts } = await run(ingest);
  expect(counts).toMatchObject({ snapshotsIngested: 5, filesIngested: 10 });
  expect(streams).toEqual([range(1, 5), [3], [4, 5]]);
  expect(await captured()).toEqual(range(1, 5));
});

it('give way to a large one', async () => {
  const { upstream, ingest, streams } = await connect();
  upstream.filesEach = 300;
  upstream.set(linear(1, 2));
  await run(ingest);
  streams.length = 0;
  upstream.set(linear(1, 4));
  // A message has 1 MiB.
  upstream.padding = 4_000;
  await run(ingest);
  expect(streams).toEqual([[3], [4]]);
});

it('are counted once if their response is lost', async () => {
  const { upstream, ingest, fileChanges, commitSnapshot, captured } = await connect();
  upstream.set(linear(1, 4));
  fileChanges.commitSnapshot.mockImplementationOnce(async (...args) => {
    await commitSnapshot(...args);
    throw new ClientError('CommitSnapshot', Status.UNAVAILABLE, 'away');
  });
  const lost = await attempt(ingest);
  expect(lost.outcome).toMatchObject({ status: 'rejected' });
  expect(await captured()).toEqual(range(1, 4));
  upstream.set(linear(1, 5));
  const { counts } = await run(ingest, { heartbeatDetails: throughJson(lost.last) });
  expect(counts).toMatchObject({ snapshotsIngested: 5, filesIngested: 10 });
});
