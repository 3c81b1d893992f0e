import { afterAll, afterEach, beforeAll, describe, expect, it, jest } from '@jest/globals';
import { ActivityCancellationDetails } from '@temporalio/common';
import { ClientError, Status } from 'nice-grpc';
import { ingestTable } from '../../src/activities/ingest-table.ts';
import { ingestTables } from '../../src/activities/ingest-tables.ts';
import { UPSTREAM_ATTEMPTS } from '../../src/activities/runtime/failures.ts';
import { inWorker } from '../../src/activities/runtime/worker-context.ts';
import type { IngestPackInput, PackHeartbeat, PackOutcome, TableCursor } from '../../src/contract/activities.ts';
import { addCounts, type CaptureMode, type Counters } from '../../src/contract/job.ts';
import type { TableRef } from '../../src/contract/upstream-names.ts';
import { CodedError } from '../../src/errors.ts';
import { connectorSpec, TestCatalog } from '../catalog/harness.ts';
import { dumpCatalog } from '../integration/contents/dump.ts';
import { fakeOnly } from '../jest/fake-timers.ts';
import { SyntheticTable } from '../synthetic/synthetic-table.ts';
import { activityDeps } from './activity-deps.ts';
import { HistoryUpstream, linear } from './plan/history-upstream.ts';
import { attempt, environment, run, STEP, throughJson } from './run-activity.ts';

let catalog: TestCatalog;
beforeAll(async () => {
  catalog = await TestCatalog.start();
});
afterAll(() => catalog[Symbol.asyncDispose]());
afterEach(() => void jest.useRealTimers());

const TABLES = ['a', 'b', 'c', 'd'].map((name) => ({ namespace: ['n'], name }));

let connected = 0;

/** A connector with a catalog of its own, whose upstream has tables with two snapshots of two files each. */
async function connect() {
  const upstream = new HistoryUpstream();
  upstream.filesEach = 2;
  upstream.inParts = true;
  upstream.set(linear(1, 2));
  const name = `packs${connected++}`;
  const connector = connectorSpec({ destination: { catalogName: name } });
  const { connectorId } = await catalog.clients.connectors.createConnector({ connector });
  const deps = activityDeps(catalog, upstream);
  const pack = (more: Partial<IngestPackInput> = {}) =>
    ingestTables(deps, { ...STEP, connectorId, tables: TABLES, full: false, split: false, ...more });
  const alone = (table: TableRef, more: Partial<IngestPackInput> & { cursor?: TableCursor } = {}) =>
    ingestTable(deps, { ...STEP, connectorId, table, full: false, split: false, ...more });
  return { name, upstream, connectorId, deps, pack, alone };
}

/** The clock advances by as much before this batch of file changes. */
function passTime(upstream: HistoryUpstream, at: { table: string; snapshotId: bigint; position: number }, ms: number) {
  fakeOnly(['Date']);
  upstream.onBatch = (snapshotId, position, table) => {
    if (table !== at.table || snapshotId !== at.snapshotId || position !== at.position) return;
    jest.setSystemTime(Date.now() + ms);
  };
}

const ALL = { snapshotsIngested: 8, filesIngested: 16, tablesChanged: 4 };

describe('a pack whose outcomes cannot be recorded', () => {
  const failing = async (code: Status) => {
    const { deps, connectorId } = await connect();
    const recordJobOutcomes = async () => {
      throw new ClientError('RecordJobOutcomes', code, 'not now');
    };
    const { reconciliation } = deps.catalog;
    const clients = { ...deps.catalog, reconciliation: { ...reconciliation, recordJobOutcomes } };
    const input = { ...STEP, connectorId, tables: TABLES, full: false, split: false };
    return () => ingestTables({ ...deps, catalog: clients as typeof deps.catalog }, input);
  };

  it.each([Status.INTERNAL, Status.INVALID_ARGUMENT])('is complete nevertheless: %s', async (code) => {
    expect(await run(await failing(code))).toMatchObject({ counts: ALL, done: TABLES.length, again: [] });
  });

  it('is repeated if the catalog is away', async () => {
    await expect(run(await failing(Status.UNAVAILABLE))).rejects.toThrow('not now');
  });
});

describe('a pack whose slice is over', () => {
  it('returns what is done, with the interrupted table and its cursor', async () => {
    const { upstream, pack } = await connect();
    passTime(upstream, { table: 'c', snapshotId: 1n, position: 0 }, 60_000);
    expect(await run(() => pack({ sliceSeconds: 60 }))).toMatchObject({
      counts: { snapshotsIngested: 5, filesIngested: 10, tablesChanged: 2 },
      done: 3,
      again: [{ table: 2, cursor: {}, changed: true }],
    });
    expect(upstream.reads.map(({ table }) => table)).not.toContain('d');
  });

  it('does not return the table that it has just finished', async () => {
    const { upstream, pack } = await connect();
    upstream.inParts = false;
    fakeOnly(['Date']);
    upstream.onTurn = (snapshotId, table) => {
      if (table === 'b' && snapshotId === 2n) jest.setSystemTime(Date.now() + 60_000);
    };
    expect(await run(() => pack({ sliceSeconds: 60 }))).toMatchObject({
      counts: { snapshotsIngested: 4, filesIngested: 8, tablesChanged: 2 },
      done: 2,
      again: [],
    });
  });

  it.each<CaptureMode[]>([['METADATA_AND_CAPTURE'], ['METADATA_ONLY', 'CAPTURE_ONLY']])(
    'continues to the same catalog and the same counts as one that is not interrupted: %s, …',
    async (...modes) => {
      const [whole, sliced] = [await connect(), await connect()];
      for (const mode of modes) {
        const expected = await run(() => whole.pack({ mode }));
        expect(expected).toMatchObject({ done: TABLES.length, again: [] });
        const { counts, slices } = await inSlices(sliced, mode);
        expect(counts).toEqual(expected.counts);
        expect(slices).toBeGreaterThan(TABLES.length);
      }
      expect(await dumpCatalog(catalog.clients, sliced.name)).toEqual(await dumpCatalog(catalog.clients, whole.name));
      const { counts } = await run(() => sliced.pack());
      expect(counts).toMatchObject({ tablesUnchanged: TABLES.length });
    },
  );

  /** Continues a pack as the workflow does, in slices that are over when they begin. */
  async function inSlices({ pack, alone }: Awaited<ReturnType<typeof connect>>, mode: CaptureMode) {
    const counts: Counters = {};
    let slices = 0;
    const input = { mode, sliceSeconds: 0 };
    for (let left = TABLES; left.length > 0; ) {
      const outcome: PackOutcome = await run(() => pack({ ...input, tables: left }));
      expect(outcome.done).toBeGreaterThan(0);
      addCounts(counts, outcome.counts);
      slices += 1;
      for (const { table, cursor, changed } of throughJson(outcome.again)) {
        let next: { changed?: boolean; cursor?: TableCursor } = { changed, cursor };
        while (next.cursor) {
          const { cursor } = next;
          const slice = await run(() => alone(left[table]!, { ...input, cursor }));
          addCounts(counts, slice.counts);
          slices += 1;
          next = { changed: next.changed || slice.changed, cursor: slice.cursor };
        }
        addCounts(counts, { [next.changed ? 'tablesChanged' : 'tablesUnchanged']: 1 });
      }
      left = left.slice(outcome.done);
    }
    return { counts, slices };
  }
});

describe('an attempt after one that broke off', () => {
  it.each([
    ['the catalog was away', new ClientError('CommitSnapshot', Status.UNAVAILABLE, 'away')],
    ['the upstream asked for a later retry', new CodedError('RESOURCE_EXHAUSTED', 'slow', { retryAfterMs: 1000 })],
  ])('because %s continues the table that was begun, and counts everything once', async (_, error) => {
    const { upstream, pack } = await connect();
    upstream.onBatch = (snapshotId, _, table) => {
      if (table === 'b' && snapshotId === 2n) throw error;
    };
    const { outcome, last } = await attempt(pack);
    expect(outcome).toMatchObject({ status: 'rejected' });
    expect(last).toMatchObject({
      counts: { snapshotsIngested: 3, filesIngested: 6, tablesChanged: 1 },
      outcome: { counts: { snapshotsIngested: 2, filesIngested: 4, tablesChanged: 1 }, done: 1, again: [] },
      table: { counts: { snapshotsIngested: 1, filesIngested: 2 } },
    });
    upstream.onBatch = () => {};
    upstream.reads.length = 0;
    const again = await run(pack, { attempt: 2, heartbeatDetails: last });
    expect(again).toMatchObject({ counts: ALL, done: 4, again: [] });
    expect(upstream.reads.map(({ table, snapshotId }) => `${table}${snapshotId}`)).toEqual([
      ...['b2', 'c1', 'c2', 'd1', 'd2'],
    ]);
  });
});

describe('a pack that is cancelled', () => {
  /** Cancels the activity while it ingests the second snapshot of this table. */
  async function cancelled(at: string, details: Partial<ActivityCancellationDetails>) {
    const { upstream, pack } = await connect();
    const env = environment();
    let last: PackHeartbeat | undefined;
    env.on('heartbeat', (sent: PackHeartbeat) => {
      last = throughJson(sent);
    });
    upstream.onTurn = (snapshotId, table) => {
      if (table === at && snapshotId === 2n) env.cancel('CANCELLED', new ActivityCancellationDetails(details));
    };
    const [outcome] = await Promise.allSettled([env.run(() => inWorker({ heartbeatMs: 60_000 }, pack))]);
    upstream.onTurn = () => {};
    return { outcome, last, upstream, pack };
  }

  it.each(['paused', 'reset'] as const)(
    'because a person has %s it in Temporal fails, so that its next attempt continues',
    async (how) => {
      const { outcome, last, upstream, pack } = await cancelled('c', { [how]: true });
      expect(outcome).toMatchObject({ status: 'rejected', reason: { name: 'CancelledFailure' } });
      upstream.reads.length = 0;
      const again = await run(pack, { attempt: 2, heartbeatDetails: last });
      expect(again).toMatchObject({ counts: ALL, done: 4, again: [] });
      expect(upstream.reads.map(({ table, snapshotId }) => `${table}${snapshotId}`)).toEqual(['c2', 'd1', 'd2']);
    },
  );

  it.each([
    ['with its job', { cancelRequested: true }],
    ['because its worker stops', { workerShutdown: true }],
  ])('%s returns what is done', async (_, details) => {
    const { outcome } = await cancelled('c', details);
    expect(outcome).toMatchObject({
      value: { counts: { snapshotsIngested: 4, filesIngested: 8, tablesChanged: 2 }, done: 2, again: [] },
    });
  });

  it('fails if nothing is done', async () => {
    const { outcome } = await cancelled('a', { cancelRequested: true });
    expect(outcome).toMatchObject({ status: 'rejected', reason: { name: 'CancelledFailure' } });
  });
});

describe('a pack that a person has paused since its last heartbeat', () => {
  const PAUSED = { isActivityPaused: async () => true };

  it('does not complete if something is left for the next slice, and continues as the same activity', async () => {
    const { upstream, pack } = await connect();
    const { outcome, last } = await attempt(() => pack({ sliceSeconds: 0 }), { attempt: UPSTREAM_ATTEMPTS }, PAUSED);
    expect(outcome).toMatchObject({ reason: { type: 'ActivityPause', nonRetryable: false } });
    upstream.reads.length = 0;
    const again = await run(pack, { attempt: 2, heartbeatDetails: last });
    expect(again).toMatchObject({ done: 4, again: [{ table: 0, cursor: { snapshotId: '1', position: 1 } }] });
    expect(upstream.reads.map(({ table }) => table)).not.toContain('a');
    const { counts } = again;
    expect(counts).toMatchObject({ snapshotsIngested: 6, filesIngested: 13, tablesChanged: 3 });
  });

  it('completes if nothing is left', async () => {
    const { pack } = await connect();
    const isActivityPaused = jest.fn(PAUSED.isActivityPaused);
    const { outcome } = await attempt(pack, {}, { isActivityPaused });
    expect(outcome).toMatchObject({ value: { done: 4, again: [] } });
    expect(isActivityPaused).not.toHaveBeenCalled();
  });
});

describe('a table of a pack', () => {
  it('that fails is to be run again by itself, and the others are ingested', async () => {
    const { upstream, pack } = await connect();
    upstream.onBatch = (_, __, table) => {
      if (table === 'b') throw new CodedError('PERMISSION_DENIED', 'not yours');
    };
    const counts = { snapshotsIngested: 6, filesIngested: 12, tablesChanged: 3 };
    expect(await run(pack)).toMatchObject({ counts, done: 4, again: [{ table: 1 }] });
  });

  it('with snapshots that cannot be read is done, and is among the failures', async () => {
    const { upstream, pack } = await connect();
    upstream.onBatch = (_, __, table) => {
      if (table === 'b') throw new CodedError('DATA_LOSS', 'manifest m is gone.');
    };
    const outcome = await run(pack);
    const counts = { snapshotsIngested: 6, filesIngested: 12, tablesChanged: 3 };
    expect(outcome).toMatchObject({ counts, done: 4, again: [] });
    expect(outcome.failures).toMatchObject([
      {
        table: 'n.b',
        code: 'DATA_LOSS',
        message: expect.stringMatching(/^Snapshot \d+ and 1 other cannot be read: manifest m is gone\./),
      },
    ]);
  });

  it('with a snapshot to be split is to be run again by itself', async () => {
    const { upstream, deps, connectorId } = await connect();
    upstream.openTable = async (table) =>
      new SyntheticTable(table, { rounds: [0], files: table.name === 'c' ? 10 : 1, fingerprint: 'f' }) as never;
    const input = { ...STEP, connectorId, tables: TABLES, full: false, split: true };
    const outcome = await run(() => ingestTables({ ...deps, splitSize: { above: 4, group: 4 } }, input));
    const counts = { snapshotsIngested: 3, filesIngested: 3, tablesChanged: 3 };
    expect(outcome).toMatchObject({ counts, done: 4, again: [{ table: 2 }] });
    expect(outcome.again[0]).not.toHaveProperty('cursor');
  });
});
