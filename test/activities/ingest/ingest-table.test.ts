import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { ClientError, Status } from 'nice-grpc';
import { ingestTable } from '../../../src/activities/ingest-table.ts';
import { openDirectory } from '../../../src/connectors/directory/open-directory.ts';
import { ObjectKind } from '../../../src/generated/reconciler/internal/v1/bindings.ts';
import { FileStore } from '../../../src/storage/file-store.ts';
import { connectorSpec, TestCatalog } from '../../catalog/harness.ts';
import { activityDeps } from '../activity-deps.ts';
import { attempt, run, STEP } from '../run-activity.ts';

const WAREHOUSE = join(import.meta.dirname, '../../fixtures/iceberg/wh');

let catalog: TestCatalog;
beforeAll(async () => {
  catalog = await TestCatalog.start();
});
afterAll(() => catalog[Symbol.asyncDispose]());

it('counts a snapshot whose response was lost', async () => {
  const { connectorId } = await catalog.clients.connectors.createConnector({ connector: connectorSpec() });
  const deps = activityDeps(catalog, await openDirectory(new FileStore(), WAREHOUSE));
  const input = { ...STEP, connectorId, table: { namespace: ['fx'], name: 'orders' }, full: false, split: false };

  const { fileChanges } = catalog.clients;
  const losing: typeof fileChanges = {
    async commitSnapshot(requests, options) {
      await fileChanges.commitSnapshot(requests, options);
      throw new ClientError('CommitSnapshot', Status.UNAVAILABLE, 'the connection broke');
    },
  };
  const lost = await attempt(() =>
    ingestTable({ ...deps, catalog: { ...catalog.clients, fileChanges: losing } }, input),
  );
  expect(lost.outcome).toMatchObject({ reason: expect.any(ClientError) });
  const { bindings } = await catalog.clients.bindings.listBindings({ connectorId, kind: ObjectKind.OBJECT_KIND_TABLE });
  const { upstream } = await catalog.clients.tables.getTable({ tableId: bindings[0]!.objectId });
  expect(upstream?.fingerprint).not.toBe('');

  const next = await run(() => ingestTable(deps, input), { heartbeatDetails: lost.last });
  expect(next).toMatchObject({ changed: true, counts: { snapshotsIngested: 1, filesIngested: 1 } });
  // Another job finds nothing to do.
  const later = await run(() => ingestTable(deps, input));
  expect(later).toMatchObject({ changed: false, counts: { snapshotsIngested: 0, filesIngested: 0 } });
});
