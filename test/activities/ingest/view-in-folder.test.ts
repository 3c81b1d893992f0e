import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, it } from '@jest/globals';
import { ingestTable } from '../../../src/activities/ingest-table.ts';
import { DirectoryConnector } from '../../../src/connectors/directory/directory-connector.ts';
import { ObjectKind } from '../../../src/generated/reconciler/internal/v1/bindings.ts';
import { FileStore } from '../../../src/storage/file-store.ts';
import { connectorSpec, TestCatalog } from '../../catalog/harness.ts';
import { activityDeps } from '../activity-deps.ts';
import { run, STEP } from '../run-activity.ts';

it('the metadata of a view in a folder is passed over', async () => {
  await using catalog = await TestCatalog.start();
  const warehouse = mkdtempSync(join(tmpdir(), 'view-in-folder-'));
  try {
    mkdirSync(join(warehouse, 'db/v/metadata'), { recursive: true });
    const view = { 'view-uuid': 'u', 'format-version': 1, location: '/db/v', versions: [], 'version-log': [] };
    writeFileSync(join(warehouse, 'db/v/metadata/00000-a.metadata.json'), JSON.stringify(view));
    const { connectorId } = await catalog.clients.connectors.createConnector({ connector: connectorSpec() });
    const deps = activityDeps(catalog, await DirectoryConnector.open(new FileStore(), warehouse));
    const table = { namespace: ['db'], name: 'v' };
    const outcome = await run(() => ingestTable(deps, { ...STEP, connectorId, table, full: false, split: false }));
    expect(outcome).toEqual({ changed: false, counts: {} });
    const kind = ObjectKind.OBJECT_KIND_TABLE;
    expect((await catalog.clients.bindings.listBindings({ connectorId, kind })).bindings).toEqual([]);
  } finally {
    rmSync(warehouse, { recursive: true, force: true });
  }
});
