import { afterAll, beforeAll, beforeEach, expect, it } from '@jest/globals';
import { ingestTable } from '../../../src/activities/ingest-table.ts';
import { JobState } from '../../../src/generated/reconciler/v1/jobs.ts';
import { connectorSpec, TestCatalog } from '../../catalog/harness.ts';
import { activityDeps } from '../activity-deps.ts';
import { run as inActivity, STEP } from '../run-activity.ts';
import { HistoryUpstream } from './history-upstream.ts';

let catalog: TestCatalog;
beforeAll(async () => {
  catalog = await TestCatalog.start();
});
afterAll(() => catalog[Symbol.asyncDispose]());

let upstream: HistoryUpstream;
let connectorId: string;
let catalogId: string;
let jobs = 0;

/** A table with the snapshots 1 and 2 is in the catalog, and its connector has been given another destination. */
beforeEach(async () => {
  upstream = new HistoryUpstream();
  commit(1n, 2n);
  const { catalogs, connectors } = catalog.clients;
  ({ catalogId } = await catalogs.createCatalog({ catalog: { displayName: `moves ${++jobs}` } }));
  const spec = connectorSpec({ destination: { catalogId } });
  ({ connectorId } = await connectors.createConnector({ connector: spec }));
  expect(await run()).toEqual({ changed: true, snapshots: 2 });
  const connector = { connectorId, destination: { catalogId, namespacePath: ['moved'] } };
  await connectors.updateConnector({ connector, updateMask: ['destination'] });
});

function commit(...ids: bigint[]): void {
  const head = ids.at(-1) as bigint;
  const snapshots = ids.map((snapshotId, i) => ({ snapshotId, ...(i > 0 && { parentSnapshotId: ids[i - 1] }) }));
  upstream.set({ snapshots, currentSnapshotId: head, refs: [{ name: 'main', snapshotId: head, type: 'branch' }] });
}

async function run(workflowId = 'job', dryRun = false) {
  const table = { namespace: ['fx'], name: 't' };
  const input = { ...STEP, connectorId, table, full: false, split: false, dryRun };
  const workflowExecution = { workflowId, runId: 'run' };
  const ingest = () => ingestTable(activityDeps(catalog, upstream), input);
  const { changed, counts } = await inActivity(ingest, { workflowExecution });
  return { changed, snapshots: counts.snapshotsIngested };
}

/** What a dry run finds, and the reasons that it gives for the table. */
async function dryRun() {
  const jobId = `dry ${++jobs}`;
  const job = { jobId, connectorId, connectorName: 'lake', state: JobState.JS_RUNNING, dryRun: true };
  await catalog.clients.reconciliation.recordJob({ job });
  const { changed, snapshots } = await run(jobId, true);
  const { changes } = await catalog.clients.jobs.listJobChanges({ jobId, pageSize: 100 });
  return { changed, snapshots, reasons: changes.filter(({ name }) => name === 'fx.t').map(({ reason }) => reason) };
}

const createNamespace = () => catalog.clients.namespaces.createNamespace({ namespace: { catalogId, path: ['moved'] } });

it.each<[string, () => void, object]>([
  ['a table', () => {}, { changed: true, snapshots: 0, reasons: ['moves from fx.t'] }],
  [
    'a table with another snapshot',
    () => commit(1n, 2n, 3n),
    { changed: true, snapshots: 1, reasons: ['1 new snapshot, moves from fx.t'] },
  ],
  [
    'a table that was dropped and created again upstream',
    () => {
      upstream.recreated += 1;
      commit(2n, 3n, 4n);
    },
    {
      ...{ changed: true, snapshots: 3 },
      reasons: [expect.stringMatching(/^3 new snapshots, moves from fx.t, was dropped and created again upstream: /)],
    },
  ],
])('finds the same of %s that moves, whether its new namespace exists or not', async (_, change, expected) => {
  change();
  const found = await dryRun();
  expect(found).toEqual(expected);
  await createNamespace();
  expect(await dryRun()).toEqual(found);
  expect(await run()).toEqual({ changed: found.changed, snapshots: found.snapshots });
});
