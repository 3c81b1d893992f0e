import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it, jest } from '@jest/globals';
import { ingestTable } from '../../../src/activities/ingest-table.ts';
import { DirectoryConnector } from '../../../src/connectors/directory/directory-connector.ts';
import { ObjectKind } from '../../../src/generated/reconciler/internal/v1/bindings.ts';
import { FileStore } from '../../../src/storage/file-store.ts';
import { connectorSpec, TestCatalog } from '../../catalog/harness.ts';
import { manifest, manifestList, snapshot, tableMetadata } from '../../formats/iceberg/write-table.ts';
import { activityDeps } from '../activity-deps.ts';
import { run, STEP } from '../run-activity.ts';

/** More than the stream resets that a session of Node's HTTP/2 server bears. */
const SNAPSHOTS = 1_200;

let catalog: TestCatalog;
let warehouse: string;
beforeAll(async () => {
  catalog = await TestCatalog.start();
  warehouse = mkdtempSync(join(tmpdir(), 'gone-statistics-'));
});
afterAll(async () => {
  rmSync(warehouse, { recursive: true, force: true });
  await catalog[Symbol.asyncDispose]();
});

/** A table whose snapshots all have the same file, and a statistics file that does not exist. */
function write(): void {
  const folder = join(warehouse, 'db/t/metadata');
  mkdirSync(folder, { recursive: true });
  const bytes = manifest([{ path: 'a' }]);
  const path = join(folder, 'm.avro');
  writeFileSync(path, bytes);
  const list = join(folder, 'snap.avro');
  writeFileSync(list, manifestList([{ path, bytes, snapshot: 1, sequence: 1, counts: [1, 0, 0] }]));
  const ids = Array.from({ length: SNAPSHOTS }, (_, i) => i + 1);
  const blob = (id: number) => ({
    ...{ type: 'apache-datasketches-theta-v1', 'snapshot-id': id, 'sequence-number': id, fields: [1] },
    properties: { ndv: String(id) },
  });
  const metadata = tableMetadata({
    location: join(warehouse, 'db/t'),
    snapshots: ids.map((id) =>
      snapshot(id, { 'manifest-list': list, ...(id > 1 && { 'parent-snapshot-id': id - 1 }) }),
    ),
    statistics: ids.map((id) => ({
      ...{ 'snapshot-id': id, 'statistics-path': join(folder, `${id}.stats`), 'file-size-in-bytes': 500 },
      ...{ 'file-footer-size-in-bytes': 300, 'blob-metadata': [blob(id)] },
    })),
    ...{ 'current-snapshot-id': SNAPSHOTS, 'last-sequence-number': SNAPSHOTS },
  });
  writeFileSync(join(folder, 'v1.metadata.json'), JSON.stringify(metadata));
}

it('the numbers of the metadata serve for statistics files that are gone, with one warning', async () => {
  write();
  const { connectorId } = await catalog.clients.connectors.createConnector({ connector: connectorSpec() });
  const deps = activityDeps(catalog, await DirectoryConnector.open(new FileStore(), warehouse));
  const warn = jest.spyOn(deps.logger, 'warn');
  const table = { namespace: ['db'], name: 't' };
  const ingest = () => run(() => ingestTable(deps, { ...STEP, connectorId, table, full: false, split: false }));
  expect(await ingest()).toMatchObject({ changed: true, counts: { snapshotsIngested: SNAPSHOTS } });
  expect(warn).toHaveBeenCalledTimes(1);
  expect(warn.mock.calls[0]![0]).toMatchObject({
    failures: SNAPSHOTS,
    first: { file: expect.stringMatching(/\.stats$/), reason: expect.stringMatching(/no such file/) },
  });
  const kind = ObjectKind.OBJECT_KIND_TABLE;
  const { bindings } = await catalog.clients.bindings.listBindings({ connectorId, kind });
  const tableId = bindings[0]!.objectId;
  for (const id of [1, 777, SNAPSHOTS]) {
    const { columns } = await catalog.clients.statistics.listColumnStats({ tableId, snapshotId: BigInt(id) });
    expect(columns[0]).toMatchObject({ columnId: 1, ndv: { estimate: id } });
  }
  // They are not looked for again.
  expect(await ingest()).toMatchObject({ changed: false });
  expect(warn).toHaveBeenCalledTimes(1);
}, 120_000);
