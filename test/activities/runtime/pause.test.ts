import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { ingestFileGroup } from '../../../src/activities/ingest-file-group.ts';
import { ingestTable } from '../../../src/activities/ingest-table.ts';
import { ingestTables } from '../../../src/activities/ingest-tables.ts';
import { reconcileViews } from '../../../src/activities/reconcile-views.ts';
import { withHeartbeat } from '../../../src/activities/runtime/heartbeat.ts';
import { scanTables } from '../../../src/activities/scan-tables.ts';
import type { ViewRef } from '../../../src/connectors/spi.ts';
import type {
  PackHeartbeat,
  PackOutcome,
  ScanHeartbeat,
  ScanPage,
  TableHeartbeat,
  WalkCursor,
} from '../../../src/contract/activities.ts';
import type { TableRef } from '../../../src/contract/upstream-names.ts';
import { ConnectorState } from '../../../src/generated/reconciler/v1/connectors.ts';
import { connectorSpec, TestCatalog } from '../../catalog/harness.ts';
import { activityDeps } from '../activity-deps.ts';
import { MemoryUpstream } from '../memory-upstream.ts';
import { environment, jobRecord, run, STEP } from '../run-activity.ts';

let catalog: TestCatalog;
beforeAll(async () => {
  catalog = await TestCatalog.start();
});
afterAll(() => catalog[Symbol.asyncDispose]());

const PAUSED = { type: 'CONNECTOR_PAUSED', nonRetryable: true };

/** A connector whose state can be set, and activities on its upstream. */
async function connector(upstream = new MemoryUpstream()) {
  const { connectors } = catalog.clients;
  const { connectorId } = await connectors.createConnector({
    connector: connectorSpec({ destination: { catalogName: 'paused', namespacePath: ['all'] } }),
  });
  const set = (state: ConnectorState) =>
    connectors.updateConnector({ connector: { connectorId, state }, updateMask: ['state'] });
  const record = jobRecord(connectorId);
  return { connectorId, set, record, upstream, deps: activityDeps(catalog, upstream) };
}

/** Pauses the connector, and returns when the next check reads the catalog again: at most once per second. */
async function pauseFor({ set }: Awaited<ReturnType<typeof connector>>): Promise<void> {
  await set(ConnectorState.CONNECTOR_STATE_PAUSED);
  await sleep(1_100);
}

it('no activity starts for a paused connector, nor for one that is being deleted', async () => {
  const { connectorId, set, record, deps } = await connector();
  const scan = (scanDeps = deps) => run(() => scanTables(scanDeps, { ...STEP, connectorId, full: false, record }));
  await set(ConnectorState.CONNECTOR_STATE_PAUSED);
  await expect(scan()).rejects.toMatchObject(PAUSED);
  // A deletion ends too soon to be observed.
  const { connectors } = catalog.clients;
  const deleting: typeof connectors.getConnector = async (request) => ({
    ...(await connectors.getConnector(request)),
    state: ConnectorState.CONNECTOR_STATE_DELETING,
  });
  const clients = { ...catalog.clients, connectors: { ...connectors, getConnector: deleting } };
  await expect(scan({ ...deps, catalog: clients })).rejects.toMatchObject({ code: 'FAILED_PRECONDITION' });
  await set(ConnectorState.CONNECTOR_STATE_ACTIVE);
  expect(await scan()).toMatchObject({ counts: { tablesScanned: 0 } });
});

it('a paused pack returns what is done, including what a previous attempt has done', async () => {
  const { connectorId, set, deps } = await connector();
  const tables = ['a', 'b', 'c'].map((name) => ({ namespace: ['n'], name }));
  const pack = (heartbeatDetails?: PackHeartbeat) =>
    run(() => ingestTables(deps, { ...STEP, connectorId, tables, full: false, split: false }), { heartbeatDetails });
  const counts = { snapshotsIngested: 1, filesIngested: 2, bytesRead: 3, tablesChanged: 1 };
  const outcome: PackOutcome = { counts, done: 1, again: [] };
  await set(ConnectorState.CONNECTOR_STATE_PAUSED);
  await expect(pack()).rejects.toMatchObject(PAUSED);
  expect(await pack({ counts, outcome })).toEqual(outcome);
});

describe('an attempt that finds its connector paused', () => {
  const table = { namespace: ['n'], name: 'a' };
  const cursor = { snapshotId: '7', position: 3 };
  /** Four files were sent, of which three are in. */
  const before: TableHeartbeat = {
    counts: { snapshotsIngested: 1, filesIngested: 4, bytesRead: 5 },
    cursor,
    filesBefore: 3,
  };
  const counts = { snapshotsIngested: 1, filesIngested: 3, bytesRead: 5 };

  async function pausedConnector() {
    const here = await connector();
    await here.set(ConnectorState.CONNECTOR_STATE_PAUSED);
    return here;
  }

  it('returns what earlier ones have ingested of a table', async () => {
    const { connectorId, deps } = await pausedConnector();
    const ingest = (heartbeatDetails?: TableHeartbeat) =>
      run(() => ingestTable(deps, { ...STEP, connectorId, table, full: false, split: false }), { heartbeatDetails });
    await expect(ingest()).rejects.toMatchObject(PAUSED);
    expect(await ingest({ counts: { bytesRead: 5 } })).toMatchObject({ changed: false, cursor: {} });
    expect(await ingest(before)).toEqual({ changed: true, counts, cursor });
  });

  it('returns what earlier ones have ingested of the tables of a pack', async () => {
    const { connectorId, deps } = await pausedConnector();
    const tables = [table, { namespace: ['n'], name: 'b' }];
    const pack = (heartbeatDetails?: PackHeartbeat) =>
      run(() => ingestTables(deps, { ...STEP, connectorId, tables, full: false, split: false }), { heartbeatDetails });
    const outcome: PackOutcome = { counts: {}, done: 0, again: [] };
    await expect(pack({ counts: {}, outcome })).rejects.toMatchObject(PAUSED);
    const again = [{ table: 0, cursor, changed: true }];
    expect(await pack({ counts: before.counts, outcome, table: before })).toEqual({ counts, done: 1, again });
  });

  it('returns what earlier ones have staged of a group of files', async () => {
    const { connectorId, deps } = await pausedConnector();
    const input = { tableId: 'tbl_a', table, snapshotId: '7', key: 'key', group: { from: 0, to: 9 } };
    const ingest = (heartbeatDetails?: TableHeartbeat) =>
      run(() => ingestFileGroup(deps, { ...STEP, connectorId, ...input }), { heartbeatDetails });
    await expect(ingest()).rejects.toMatchObject(PAUSED);
    // Nothing is known to be staged.
    await expect(ingest({ ...before, cursor: { snapshotId: '7' } })).rejects.toMatchObject(PAUSED);
    expect(await ingest(before)).toEqual({ counts, at: 3 });
  });

  it('returns what earlier ones have found of a page', async () => {
    const { connectorId, record, deps } = await pausedConnector();
    const scan = (heartbeatDetails?: ScanHeartbeat) =>
      run(() => scanTables(deps, { ...STEP, connectorId, full: false, record }), { heartbeatDetails });
    const page: ScanPage = {
      counts: { tablesScanned: 2 },
      changed: [table],
      listed: '2',
      cursor: { parents: [] },
    };
    expect(await scan({ counts: page.counts, page })).toEqual(page);
    // The last page ends with what is to be looked up when it is scanned.
    const last = { ...page, cursor: undefined };
    await expect(scan({ counts: last.counts, page: last })).rejects.toMatchObject(PAUSED);
  });
});

it('a pack that is paused midway leaves the remaining tables', async () => {
  class PausedInBetween extends MemoryUpstream {
    override async openTable(table: TableRef) {
      if (table.name === 'b') await pauseFor(here);
      return super.openTable(table);
    }
  }
  const here = await connector(new PausedInBetween());
  const { connectorId, deps } = here;
  const tables = ['a', 'b', 'c', 'd'].map((name) => ({ namespace: ['n'], name }));
  const outcome = await run(() => ingestTables(deps, { ...STEP, connectorId, tables, full: false, split: false }));
  // Tables in memory cannot be opened.
  expect(outcome).toEqual({ counts: {}, done: 2, again: [{ table: 0 }, { table: 1 }] });
});

it('views continue with the page after the ingested one', async () => {
  class PausedInBetween extends MemoryUpstream {
    override async describeView(view: ViewRef) {
      if (view.name === 'view050' && !this.described.includes('v.view050')) await pauseFor(here);
      return super.describeView(view);
    }
  }
  const upstream = new PausedInBetween();
  upstream.namespaces.push(['v']);
  for (let i = 0; i < 250; i++) upstream.views.set(`v.view${String(i).padStart(3, '0')}`, 1);
  const here = await connector(upstream);
  const { connectorId, set, record, deps } = here;
  const views = (cursor?: WalkCursor) =>
    run(() => reconcileViews(deps, { ...STEP, connectorId, full: false, record, cursor }));
  const first = await views();
  const { viewsScanned = 0 } = first.counts;
  expect(first).toMatchObject({ counts: { viewsChanged: viewsScanned }, failures: [], cursor: expect.anything() });
  expect(viewsScanned).toBeLessThan(250);
  await expect(views(first.cursor)).rejects.toMatchObject(PAUSED);
  await set(ConnectorState.CONNECTOR_STATE_ACTIVE);
  const second = await views(first.cursor);
  expect(viewsScanned + second.counts.viewsScanned!).toBe(250);
  expect(second.cursor).toBeUndefined();
});

it('work without progress still notices a cancellation, and keeps its last details', async () => {
  const before = { counts: { snapshotsIngested: 7 } };
  const env = environment({ heartbeatDetails: before });
  const beats: unknown[] = [];
  const hangs = env.run(() =>
    withHeartbeat(
      'what hangs',
      {},
      ({ signal }) => new Promise((_, reject) => signal.addEventListener('abort', reject)),
    ),
  );
  hangs.catch(() => {});
  await new Promise<void>((resolve) =>
    env.on('heartbeat', (details) => {
      beats.push(details);
      resolve();
    }),
  );
  expect(beats).toEqual([before]);
  env.cancel();
  await expect(hangs).rejects.toThrow('CANCELLED');
});
