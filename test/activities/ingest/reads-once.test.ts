import { statSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { ingestTable } from '../../../src/activities/ingest-table.ts';
import { openDirectory } from '../../../src/connectors/directory/open-directory.ts';
import type { TableOutcome } from '../../../src/contract/activities.ts';
import { FileStore } from '../../../src/storage/file-store.ts';
import { connectorSpec, TestCatalog } from '../../catalog/harness.ts';
import { activityDeps } from '../activity-deps.ts';
import { CountingStore } from '../counting-store.ts';
import { run, STEP } from '../run-activity.ts';

const WAREHOUSE = join(import.meta.dirname, '../../fixtures/iceberg/wh');
/** 12 snapshots, of which the newest has the files of nearly all others. */
const TABLE = { namespace: ['fx'], name: 'many_snapshots' };

let catalog: TestCatalog;
beforeAll(async () => {
  catalog = await TestCatalog.start();
});
afterAll(() => catalog[Symbol.asyncDispose]());

/** Ingests the table as a job does. @returns the bytes that were read, by the name of the file */
async function ingest(
  connectorId: string,
  full: boolean,
): Promise<{ outcome: TableOutcome; read: Map<string, number> }> {
  const store = new CountingStore(new FileStore());
  const deps = activityDeps(catalog, await openDirectory(store, WAREHOUSE));
  const outcome = await run(() => ingestTable(deps, { ...STEP, connectorId, table: TABLE, full, split: false }));
  const read = [...store.bytesRead].map(([path, bytes]) => [path.slice(path.lastIndexOf('/') + 1), bytes] as const);
  return { outcome, read: new Map(read) };
}

const sizeOf = (name: string) => statSync(join(WAREHOUSE, ...TABLE.namespace, TABLE.name, 'metadata', name)).size;

it('reads each manifest and manifest list once, however many snapshots have their files', async () => {
  const { connectorId } = await catalog.clients.connectors.createConnector({ connector: connectorSpec() });
  const { outcome, read } = await ingest(connectorId, false);
  expect(outcome).toMatchObject({ changed: true, counts: { snapshotsIngested: 12, filesIngested: 12 } });
  for (const [name, bytes] of read) expect([name, bytes]).toEqual([name, sizeOf(name)]);
  const countOf = (pattern: RegExp) => [...read.keys()].filter((name) => pattern.test(name)).length;
  expect([countOf(/-m\d+\.avro$/), countOf(/^snap-/), countOf(/\.metadata\.json$/)]).toEqual([12, 12, 1]);

  // Nor again if nothing has changed.
  const unchanged = await ingest(connectorId, false);
  expect(unchanged.outcome).toMatchObject({
    changed: false,
    counts: { snapshotsIngested: 0, filesIngested: 0 },
  });
  expect([...unchanged.read.keys()].filter((name) => name.endsWith('.avro'))).toEqual([]);
});
