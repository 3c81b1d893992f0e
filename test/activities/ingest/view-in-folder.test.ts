import { mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from '@jest/globals';
import { FolderTables, METADATA } from './folder-tables.ts';

it('the metadata of a view in a folder is passed over', async () => {
  await using tables = await FolderTables.start();
  const warehouse = tables.warehouse();
  mkdirSync(join(warehouse, METADATA), { recursive: true });
  const view = { 'view-uuid': 'u', 'format-version': 1, location: '/db/t', versions: [], 'version-log': [] };
  writeFileSync(join(warehouse, METADATA, '00000-a.metadata.json'), JSON.stringify(view));
  const { ingest, bound } = await tables.connect(warehouse);
  expect(await ingest()).toEqual({ changed: false, counts: {} });
  expect(await bound()).toEqual([]);
});
