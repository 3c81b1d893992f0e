import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { ingestTables } from '../../../src/activities/ingest-tables.ts';
import { reconcileViews } from '../../../src/activities/reconcile-views.ts';
import { withHeartbeat } from '../../../src/activities/runtime/heartbeat.ts';
import { scanTables } from '../../../src/activities/scan-tables.ts';
import type { ViewRef } from '../../../src/connectors/spi.ts';
import type { PackHeartbeat, PackOutcome, WalkCursor } from '../../../src/contract/activities.ts';
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
