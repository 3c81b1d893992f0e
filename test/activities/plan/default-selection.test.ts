import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { ingestTable } from '../../../src/activities/ingest-table.ts';
import { CaptureMode } from '../../../src/generated/reconciler/v1/capture.ts';
import { connectorSpec, TestCatalog } from '../../catalog/harness.ts';
import { activityDeps } from '../activity-deps.ts';
import { run, STEP } from '../run-activity.ts';
import { HistoryUpstream, linear } from './history-upstream.ts';

let catalog: TestCatalog;
beforeAll(async () => {
  catalog = await TestCatalog.start();
});
afterAll(() => catalog[Symbol.asyncDispose]());

it.each([
  ['DELTA', {}, { snapshotsIngested: 1_000, tablesCut: 1 }],
  ['DELTA', { snapshots: { kind: 'ALL' } }, { snapshotsIngested: 1_002 }],
  ['ICEBERG', {}, { snapshotsIngested: 1_002 }],
] as const)('of 1,002 snapshots of a %s table, a run with %j takes %j', async (format, selection, counts) => {
  // Without files, because only the number of snapshots matters.
  const connector = connectorSpec({ policy: { mode: CaptureMode.CAPTURE_MODE_METADATA_ONLY } });
  const { connectorId } = await catalog.clients.connectors.createConnector({ connector });
  const upstream = new HistoryUpstream();
  upstream.format = format;
  upstream.state = linear(1, 1_002);
  const input = {
    ...STEP,
    connectorId,
    table: { namespace: [format], name: `t${Object.keys(selection)}` },
    full: false,
    split: false,
  };
  const outcome = await run(() => ingestTable(activityDeps(catalog, upstream), { ...input, ...selection }));
  const { snapshotsIngested, tablesCut } = outcome.counts;
  expect({ snapshotsIngested, tablesCut }).toEqual(counts);
});
