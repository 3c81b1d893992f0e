import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { manifest, manifestList, snapshot, tableMetadata } from '../../formats/iceberg/write-table.ts';
import { FolderTables, METADATA } from './folder-tables.ts';

/** More than the stream resets that a session of Node's HTTP/2 server bears. */
const SNAPSHOTS = 1_200;

let tables: FolderTables;
beforeAll(async () => {
  tables = await FolderTables.start();
});
afterAll(() => tables[Symbol.asyncDispose]());

/** A table whose snapshots all have the same file, and a statistics file that does not exist. */
function write(): string {
  const warehouse = tables.warehouse();
  const folder = join(warehouse, METADATA);
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
    location: join(folder, '..'),
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
  return warehouse;
}

it('the numbers of the metadata serve for statistics files that are gone, with one warning', async () => {
  const { ingest, columns, warn } = await tables.connect(write());
  expect(await ingest()).toMatchObject({ changed: true, counts: { snapshotsIngested: SNAPSHOTS } });
  expect(warn).toHaveBeenCalledTimes(1);
  expect(warn.mock.calls[0]![0]).toMatchObject({
    failures: SNAPSHOTS,
    first: { file: expect.stringMatching(/\.stats$/), reason: expect.stringMatching(/no such file\.?$/) },
  });
  for (const id of [1, 777, SNAPSHOTS]) {
    const [column] = await columns(BigInt(id));
    expect(column).toMatchObject({ columnId: 1, ndv: { estimate: id } });
  }
  // They are not looked for again.
  expect(await ingest()).toMatchObject({ changed: false });
  expect(warn).toHaveBeenCalledTimes(1);
}, 120_000);
