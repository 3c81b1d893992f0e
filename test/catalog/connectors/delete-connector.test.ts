import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { Status } from 'nice-grpc';
import { type Connector, ConnectorState } from '../../../src/generated/reconciler/v1/connectors.ts';
import { JobState } from '../../../src/generated/reconciler/v1/jobs.ts';
import { TableFormat } from '../../../src/generated/reconciler/v1/tables.ts';
import { poll } from '../../jest/poll.ts';
import { SCHEMA } from '../files.ts';
import { connectorSpec, failure, refusal, TestCatalog } from '../harness.ts';

let catalog: TestCatalog;
beforeAll(async () => {
  catalog = await TestCatalog.start();
});
afterAll(() => catalog[Symbol.asyncDispose]());

const create = (): Promise<Connector> => catalog.clients.connectors.createConnector({ connector: connectorSpec() });
const byId = (value: string) => catalog.clients.connectors.getConnector({ by: { $case: 'connectorId', value } });

/** Brings in tables and views, of each one more than go in a transaction. */
async function fill(connectorId: string, count = 201) {
  const { bindings } = catalog.clients;
  const { namespaceId } = await catalog.namespace();
  const ids = { tables: [] as string[], views: [] as string[] };
  for (let i = 0; i < count; i++) {
    const table = {
      ...{ connectorId, namespaceId, upstream: { namespacePath: ['src'], name: `t${i}` }, name: `t${i}` },
      ...{ format: TableFormat.TABLE_FORMAT_ICEBERG, location: 's3://bucket/t' },
    };
    ids.tables.push((await bindings.ensureTable(table)).table?.tableId ?? '');
    const view = {
      namespaceId,
      name: `v${i}`,
      schema: SCHEMA,
      representations: [{ sql: 'SELECT 1', dialect: 'spark' }],
    };
    const upstream = { namespacePath: ['src'], name: `v${i}` };
    ids.views.push((await bindings.ensureView({ connectorId, upstream, fingerprint: 'f', view })).viewId);
  }
  return { namespaceId, ...ids };
}

it('cancels its jobs before it goes, and leaves what it brought in', async () => {
  const { connectors, jobs, reconciliation, tables, views } = catalog.clients;
  const { connectorId, etag } = await create();
  const { jobId } = await connectors.triggerReconcile({ connectorId });
  await reconciliation.claimConnector({ connectorId, jobId });
  // A claim is no change of the connector.
  expect((await byId(connectorId)).etag).toBe(etag);
  const brought = await fill(connectorId);
  expect(await failure(connectors.deleteConnector({ connectorId, etag: 'x' }))).toMatchObject({ code: 'ABORTED' });
  expect(catalog.jobs.cancelled).not.toContain(jobId);

  expect(await connectors.deleteConnector({ connectorId, etag })).toEqual({ tablesDeleted: 0n, viewsDeleted: 0n });
  expect(catalog.jobs.cancelled).toContain(jobId);
  expect(await failure(connectors.deleteConnector({ connectorId }))).toMatchObject(refusal('NOT_FOUND', connectorId));
  for (const tableId of brought.tables) {
    expect(await tables.getTable({ tableId })).toMatchObject({ upstream: { connectorId: '' } });
  }
  for (const viewId of brought.views) {
    expect(await views.getView({ viewId })).toMatchObject({ upstream: { connectorId: '' } });
  }
  // Its jobs stay.
  expect((await jobs.listReconcileJobs({ connectorId })).jobs).toMatchObject([{ state: JobState.JS_CANCELLED }]);
});

it('takes along what it brought in where that is asked for, and nothing else', async () => {
  const { connectors, tables, views, namespaces } = catalog.clients;
  const [{ connectorId }, other] = [await create(), await create()];
  const [gone, stays] = [await fill(connectorId), await fill(other.connectorId, 1)];
  const answer = await connectors.deleteConnector({ connectorId, deleteContents: true });
  expect(answer).toEqual({ tablesDeleted: 201n, viewsDeleted: 201n });
  for (const tableId of gone.tables)
    expect(await failure(tables.getTable({ tableId }))).toMatchObject({ code: 'NOT_FOUND' });
  for (const viewId of gone.views)
    expect(await failure(views.getView({ viewId }))).toMatchObject({ code: 'NOT_FOUND' });
  expect((await views.listViews({ namespaceId: gone.namespaceId })).views).toEqual([]);
  await namespaces.getNamespace({ namespaceId: gone.namespaceId });
  await tables.getTable({ tableId: stays.tables[0] });
  await views.getView({ viewId: stays.views[0] });
});

it('leaves nothing to a connector that is being deleted but its end, which the same call brings', async () => {
  const { connectors, reconciliation } = catalog.clients;
  const { connectorId, displayName, etag } = await create();
  const brought = await fill(connectorId, 3);
  catalog.jobs.down = true;
  const away = await failure(connectors.deleteConnector({ connectorId, etag, deleteContents: true }));
  expect(away).toMatchObject({ code: 'UNAVAILABLE' });
  expect((await byId(connectorId)).state).toBe(ConnectorState.CONNECTOR_STATE_DELETING);
  catalog.jobs.down = false;

  const refused = refusal('FAILED_PRECONDITION', `connector '${displayName}' is being deleted`);
  const back = { connectorId, state: ConnectorState.CONNECTOR_STATE_ACTIVE };
  expect(await failure(connectors.updateConnector({ connector: back, updateMask: ['state'] }))).toMatchObject(refused);
  expect(await failure(connectors.updateConnector({ connector: back, updateMask: ['description'] }))).toMatchObject(
    refused,
  );
  expect(await failure(reconciliation.claimConnector({ connectorId, jobId: 'late' }))).toMatchObject(refused);
  expect(await failure(connectors.triggerReconcile({ connectorId }))).toMatchObject(
    refusal('FAILED_PRECONDITION', 'is DELETING'),
  );

  // With the etag of before, and both at once.
  const call = () => connectors.deleteConnector({ connectorId, etag, deleteContents: true });
  const [answer] = await Promise.all([call(), call()]);
  expect(answer).toEqual({ tablesDeleted: 3n, viewsDeleted: 3n });
  for (const tableId of brought.tables)
    expect(await failure(catalog.clients.tables.getTable({ tableId }))).toMatchObject({ code: 'NOT_FOUND' });
});

it('is begun by nothing else', async () => {
  const { connectorId } = await create();
  const connector = { connectorId, state: ConnectorState.CONNECTOR_STATE_DELETING };
  expect(await failure(catalog.clients.connectors.updateConnector({ connector, updateMask: ['state'] }))).toMatchObject(
    refusal('INVALID_ARGUMENT', 'DeleteConnector'),
  );
});

it('passes over jobs that Temporal has ended, or has no more', async () => {
  const { connectors } = catalog.clients;
  const { connectorId } = await create();
  const { jobId } = await connectors.triggerReconcile({ connectorId });
  await catalog.clients.reconciliation.claimConnector({ connectorId, jobId });
  catalog.jobs.statuses.set(jobId, 'TERMINATED');
  await connectors.deleteConnector({ connectorId });
  expect(catalog.jobs.cancelled).not.toContain(jobId);
  expect(await connectors.getReconcileJob({ jobId })).toMatchObject({ state: JobState.JS_FAILED });
});

it('is finished when the catalog starts, where it was cut off', async () => {
  const { connectorId } = await create();
  const { tables } = await fill(connectorId, 2);
  catalog.jobs.down = true;
  const call = catalog.clients.connectors.deleteConnector({ connectorId, deleteContents: true });
  expect(await failure(call)).toMatchObject({ code: 'UNAVAILABLE' });
  await catalog.restart();
  expect((await byId(connectorId)).state).toBe(ConnectorState.CONNECTOR_STATE_DELETING);
  catalog.jobs.down = false;
  await poll(
    () =>
      byId(connectorId).then(
        () => 'there',
        (error) => error.code,
      ),
    { timeout: 20_000 },
  ).toBe(Status.NOT_FOUND);
  for (const tableId of tables)
    expect(await failure(catalog.clients.tables.getTable({ tableId }))).toMatchObject({ code: 'NOT_FOUND' });
});
