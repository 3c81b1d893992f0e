import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it, jest } from '@jest/globals';
import { ingestTable } from '../../../src/activities/ingest-table.ts';
import { DirectoryConnector } from '../../../src/connectors/directory/directory-connector.ts';
import { ObjectKind } from '../../../src/generated/reconciler/internal/v1/bindings.ts';
import { FileStore } from '../../../src/storage/file-store.ts';
import { connectorSpec, TestCatalog } from '../../catalog/harness.ts';
import { type Entry, manifest, manifestList, snapshot, tableMetadata } from '../../formats/iceberg/write-table.ts';
import { activityDeps } from '../activity-deps.ts';
import { run, STEP } from '../run-activity.ts';

const TABLE = { namespace: ['db'], name: 't' };

let catalog: TestCatalog;
let warehouse: string;
beforeAll(async () => {
  catalog = await TestCatalog.start();
  warehouse = mkdtempSync(join(tmpdir(), 'wrong-counts-'));
});
afterAll(async () => {
  rmSync(warehouse, { recursive: true, force: true });
  await catalog[Symbol.asyncDispose]();
});

/** A table of two snapshots. @param added the number of added files of each manifest, as the manifest lists have it */
function write(name: string, files: [string[], string[]], added: [number, number]): string {
  const metadata = join(warehouse, name, 'db/t/metadata');
  mkdirSync(metadata, { recursive: true });
  const manifests = files.map((paths, i) => {
    const bytes = manifest(paths.map((path): Entry => ({ path })));
    const path = join(metadata, `m${i}.avro`);
    writeFileSync(path, bytes);
    return { path, bytes, snapshot: i + 1, sequence: i + 1, counts: [added[i]!, 0, 0] as const };
  });
  const list = (id: number) => join(metadata, `snap-${id}.avro`);
  for (const id of [1, 2]) writeFileSync(list(id), manifestList(manifests.slice(0, id)));
  const snapshots = [
    snapshot(1, { 'manifest-list': list(1) }),
    snapshot(2, { 'manifest-list': list(2), 'parent-snapshot-id': 1 }),
  ];
  const more = {
    location: join(warehouse, name, 'db/t'),
    snapshots,
    'current-snapshot-id': 2,
    'last-sequence-number': 2,
  };
  writeFileSync(join(metadata, 'v1.metadata.json'), JSON.stringify(tableMetadata(more)));
  return join(warehouse, name);
}

async function connect(uri: string) {
  const { connectorId } = await catalog.clients.connectors.createConnector({ connector: connectorSpec() });
  const deps = activityDeps(catalog, await DirectoryConnector.open(new FileStore(), uri));
  const warn = jest.spyOn(deps.logger, 'warn');
  const ingest = (full: boolean) =>
    run(() => ingestTable(deps, { ...STEP, connectorId, table: TABLE, full, split: false }));
  const pathsOf = async (snapshotId: bigint) => {
    const kind = ObjectKind.OBJECT_KIND_TABLE;
    const { bindings } = await catalog.clients.bindings.listBindings({ connectorId, kind });
    const { files } = await catalog.clients.plans.getPlan({ tableId: bindings[0]!.objectId, snapshotId });
    return files.map(({ file }) => file!.filePath).sort();
  };
  return { ingest, pathsOf, warn };
}

it('the entries of manifests count if a manifest list disagrees, which is logged with both numbers', async () => {
  const { ingest, pathsOf, warn } = await connect(write('wrong', [['a', 'b', 'c'], ['d']], [1, 1]));
  expect(await ingest(false)).toMatchObject({ changed: true, counts: { snapshotsIngested: 2 } });
  expect([await pathsOf(1n), await pathsOf(2n)]).toEqual([
    ['a', 'b', 'c'],
    ['a', 'b', 'c', 'd'],
  ]);
  const reasons = warn.mock.calls.map(([fields]) => (fields as { reason: string }).reason);
  expect(reasons).toEqual([
    expect.stringMatching(/snapshot 1 .*has 3 data files live, expected 1/),
    expect.stringMatching(/snapshot 2 .*has 4 data files live, expected 2/),
  ]);
  // A full rescan finds nothing to correct.
  expect(await ingest(true)).toMatchObject({ changed: false });
  expect(await pathsOf(2n)).toEqual(['a', 'b', 'c', 'd']);
});

it('a file that is listed twice is not lost silently', async () => {
  const { ingest } = await connect(write('twice', [['a'], ['b', 'b']], [1, 2]));
  await expect(ingest(false)).rejects.toThrow(/has 2 data files live, expected 3/);
});
