import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { type Entry, manifest, manifestList, snapshot, tableMetadata } from '../../formats/iceberg/write-table.ts';
import { FolderTables, METADATA } from './folder-tables.ts';

let tables: FolderTables;
beforeAll(async () => {
  tables = await FolderTables.start();
});
afterAll(() => tables[Symbol.asyncDispose]());

/** A table of two snapshots. @param added the number of added files of each manifest, as the manifest lists have it */
function write(files: [string[], string[]], added: [number, number]): string {
  const warehouse = tables.warehouse();
  const metadata = join(warehouse, METADATA);
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
    location: join(metadata, '..'),
    snapshots,
    'current-snapshot-id': 2,
    'last-sequence-number': 2,
  };
  writeFileSync(join(metadata, 'v1.metadata.json'), JSON.stringify(tableMetadata(more)));
  return warehouse;
}

it('the entries of manifests count if a manifest list disagrees, which is logged with both numbers', async () => {
  const { ingest, plan, warn } = await tables.connect(write([['a', 'b', 'c'], ['d']], [1, 1]));
  const pathsOf = async (id: bigint) => (await plan(id)).map(({ file }) => file!.filePath).sort();
  expect(await ingest()).toMatchObject({ changed: true, counts: { snapshotsIngested: 2 } });
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
