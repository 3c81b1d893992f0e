import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { ClientError, Status } from 'nice-grpc';
import { ingestTable } from '../../../src/activities/ingest-table.ts';
import { DirectoryConnector } from '../../../src/connectors/directory/directory-connector.ts';
import type { TableOutcome } from '../../../src/contract/activities.ts';
import { ObjectKind } from '../../../src/generated/reconciler/internal/v1/bindings.ts';
import { FileStore } from '../../../src/storage/file-store.ts';
import { connectorSpec, TestCatalog } from '../../catalog/harness.ts';
import { activityDeps } from '../activity-deps.ts';

const WAREHOUSE = join(import.meta.dirname, '../../fixtures/iceberg/wh');

let catalog: TestCatalog;
beforeAll(async () => {
  catalog = await TestCatalog.start();
});
afterAll(() => catalog[Symbol.asyncDispose]());

it('counts a snapshot whose response was lost', async () => {
  const { connectorId } = await catalog.clients.connectors.createConnector({ connector: connectorSpec() });
  const deps = activityDeps(catalog, await DirectoryConnector.open(new FileStore(), WAREHOUSE));
  const input = { connectorId, table: { namespace: ['fx'], name: 'orders' }, full: false, split: false };
  const attempt = async (attemptDeps: typeof deps, heartbeatDetails?: unknown) => {
    const env = new MockActivityEnvironment({ heartbeatDetails }, { logger: new DefaultLogger('ERROR') });
    let last: unknown;
    env.on('heartbeat', (details) => {
      last = details;
    });
    const outcome = (await env.run(() => ingestTable(attemptDeps, input)).catch((error) => error)) as TableOutcome;
    return { outcome, last };
  };

  const { fileChanges } = catalog.clients;
  const losing: typeof fileChanges = {
    async commitSnapshot(requests, options) {
      await fileChanges.commitSnapshot(requests, options);
      throw new ClientError('CommitSnapshot', Status.UNAVAILABLE, 'the connection broke');
    },
  };
  const lost = await attempt({ ...deps, catalog: { ...catalog.clients, fileChanges: losing } });
  expect(lost.outcome).toBeInstanceOf(ClientError);
  const { bindings } = await catalog.clients.bindings.listBindings({ connectorId, kind: ObjectKind.OBJECT_KIND_TABLE });
  const { upstream } = await catalog.clients.tables.getTable({ tableId: bindings[0]!.objectId });
  expect(upstream?.fingerprint).not.toBe('');

  const next = await attempt(deps, lost.last);
  expect(next.outcome).toMatchObject({ changed: true, snapshots: 1, files: 1 });
  // Another job finds nothing to do.
  expect((await attempt(deps)).outcome).toMatchObject({ changed: false, snapshots: 0, files: 0 });
});
