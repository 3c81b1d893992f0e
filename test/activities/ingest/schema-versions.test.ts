import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { manifestList, snapshot, tableMetadata } from '../../formats/iceberg/write-table.ts';
import { FolderTables, METADATA } from './folder-tables.ts';

let tables: FolderTables;
beforeAll(async () => {
  tables = await FolderTables.start();
});
afterAll(() => tables[Symbol.asyncDispose]());

const schema = (id: number) => ({
  ...{ type: 'struct', 'schema-id': id },
  fields: [{ id: 1, name: `c${id}`, required: false, type: 'int' }],
});

it.each([
  { is: 'the newest', current: 3, more: [] },
  // Iceberg uses an equal earlier version again, instead of a new one.
  { is: 'an earlier one again', current: 0, more: [] },
  { is: 'an earlier one again, and then the newest', current: 0, more: [4] },
])('versions of the schema that came and went between two runs are stored, if the current one is $is', async (one) => {
  const warehouse = tables.warehouse();
  const folder = join(warehouse, METADATA);
  mkdirSync(folder, { recursive: true });
  const list = join(folder, 'snap-1.avro');
  writeFileSync(list, manifestList([]));
  let written = 0;
  const write = (ids: number[], current: number) => {
    const metadata = tableMetadata({
      ...{ location: join(folder, '..'), schemas: ids.map(schema), 'current-schema-id': current },
      ...{ snapshots: [snapshot(1, { 'manifest-list': list })], 'current-snapshot-id': 1 },
    });
    writeFileSync(join(folder, `v${++written}.metadata.json`), JSON.stringify(metadata));
  };
  const ids = [0, 1, 2, 3, ...one.more];
  write([0], 0);
  const { ingest, bound } = await tables.connect(warehouse);
  await ingest();
  write([0, 1, 2, 3], one.current);
  await ingest();
  if (one.more.length > 0) write(ids, 4);
  await ingest();
  const tableId = (await bound())[0]!.objectId;
  for (const schemaId of ids) {
    const { json } = await tables.catalog.clients.tables.getTableSchema({ tableId, schemaId });
    expect(JSON.parse(json)).toEqual(schema(schemaId));
  }
});
