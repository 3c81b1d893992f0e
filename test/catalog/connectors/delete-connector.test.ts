import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { Status } from 'nice-grpc';
import { type Connector, ConnectorState } from '../../../src/generated/reconciler/v1/connectors.ts';
import { JobState } from '../../../src/generated/reconciler/v1/jobs.ts';
import { TableFormat } from '../../../src/generated/reconciler/v1/tables.ts';
import { poll } from '../../jest/poll.ts';
import { SCHEMA, TestTable } from '../files.ts';
import { connectorSpec, failure, refusal, TestCatalog } from '../harness.ts';

let catalog: TestCatalog;
beforeAll(async () => {
  catalog = await TestCatalog.start();
});
afterAll(() => catalog[Symbol.asyncDispose]());

const create = (): Promise<Connector> => catalog.clients.connectors.createConnector({ connector: connectorSpec() });
const byId = (value: string) => catalog.clients.connectors.getConnector({ by: { $case: 'connectorId', value } });

/** Creates tables and views of a connector: by default, one more of each than one transaction deletes. */
async function fill(connectorId: string, count = 201, source = 'src') {
  const { bindings } = catalog.clients;
  const { namespaceId } = await catalog.namespace();
  const ids = { tables: [] as string[], views: [] as string[] };
  for (let i = 0; i < count; i++) {
    const table = {
      ...{ connectorId, namespaceId, upstream: { namespacePath: [source], name: `t${i}` }, name: `t${i}` },
      ...{ format: TableFormat.TABLE_FORMAT_ICEBERG, location: 's3://bucket/t' },
    };
    ids.tables.push((await bindings.ensureTable(table)).table?.tableId ?? '');
    const view = {
      namespaceId,
      name: `v${i}`,
      schema: SCHEMA,
      representations: [{ sql: 'SELECT 1', dialect: 'spark' }],
    };
    const upstream = { namespacePath: [source], name: `v${i}` };
    ids.views.push((await bindings.ensureView({ connectorId, upstream, fingerprint: 'f', view })).viewId);
  }
  return { namespaceId, ...ids };
}

it('cancels the jobs first, and leaves the tables and views', async () => {
  const { connectors, jobs, tables, views } = catalog.clients;
  const connector = await create();
  const { connectorId, etag } = connector;
  const { jobId } = await connectors.triggerReconcile({ connectorId });
  await catalog.claim(connectorId, jobId);
  // A claim does not change the connector.
  expect((await byId(connectorId)).etag).toBe(etag);
  const contents = await fill(connectorId);
  expect(await failure(connectors.deleteConnector({ connectorId, etag: 'x' }))).toMatchObject({ code: 'ABORTED' });
  expect(catalog.jobs.cancelled).not.toContain(jobId);

  expect(await connectors.deleteConnector({ connectorId, etag })).toMatchObject({
    tablesDeleted: 0n,
    viewsDeleted: 0n,
  });
  expect(catalog.jobs.cancelled).toContain(jobId);
  expect(await failure(connectors.deleteConnector({ connectorId }))).toMatchObject(refusal('NOT_FOUND', connectorId));
  for (const tableId of contents.tables) {
    expect(await tables.getTable({ tableId })).toMatchObject({ upstream: { connectorId: '' } });
  }
  for (const viewId of contents.views) {
    expect(await views.getView({ viewId })).toMatchObject({ upstream: { connectorId: '' } });
  }
  // The records of its jobs stay, and are found by its id and its name.
  const { displayName } = connector;
  const record = { jobId, connectorName: displayName, state: JobState.JS_CANCELLED };
  for (const name of [connectorId, displayName])
    expect((await jobs.listReconcileJobs({ connectorId: name })).jobs).toMatchObject([record]);
  expect(await connectors.getReconcileJob({ jobId })).toMatchObject(record);
  expect((await jobs.listJobFailures({ jobId })).failures).toEqual([]);
});

it('deletes the tables and views of the connector if requested, and nothing else', async () => {
  const { connectors, tables, views, namespaces } = catalog.clients;
  const [{ connectorId }, other] = [await create(), await create()];
  const [deleted, kept] = [await fill(connectorId), await fill(other.connectorId, 1)];
  const one = await fill(connectorId, 1, 'elsewhere');
  for (const tableId of [deleted.tables[0] ?? '', kept.tables[0] ?? '']) {
    const table = new TestTable(catalog, { tableId, namespaceId: '' });
    for (let snapshotId = 1; snapshotId <= 3; snapshotId++) await table.put({ snapshotId });
    // It is only staged: nobody sees it.
    await table.createSnapshot({ snapshotId: 4 });
  }
  const counts = { tablesDeleted: 202n, viewsDeleted: 202n, snapshotsDeleted: 3n };
  const preview = await connectors.deleteConnector({ connectorId, deleteContents: true, validateOnly: true });
  expect(preview).toMatchObject({ ...counts, namespaceCount: 2n });
  const described = { path: ['fx'], tables: 201n, views: 201n };
  const first = { firstTables: ['t0', 't1', 't10'], firstViews: ['v0', 'v1', 'v10'] };
  expect(preview.namespaces).toHaveLength(2);
  expect(preview.namespaces).toContainEqual(expect.objectContaining({ ...described, ...first }));
  expect(preview.namespaces).toContainEqual(
    expect.objectContaining({ tables: 1n, views: 1n, firstTables: ['t0'], firstViews: ['v0'] }),
  );
  const wrong = connectors.deleteConnector({ connectorId, etag: 'x', validateOnly: true });
  expect(await failure(wrong)).toMatchObject({ code: 'ABORTED' });
  // The preview has changed nothing.
  expect((await byId(connectorId)).state).toBe(ConnectorState.CONNECTOR_STATE_ACTIVE);
  await tables.getTable({ tableId: one.tables[0] });
  const answer = await connectors.deleteConnector({ connectorId, deleteContents: true });
  expect(answer).toMatchObject(counts);
  for (const tableId of deleted.tables)
    expect(await failure(tables.getTable({ tableId }))).toMatchObject({ code: 'NOT_FOUND' });
  for (const viewId of deleted.views)
    expect(await failure(views.getView({ viewId }))).toMatchObject({ code: 'NOT_FOUND' });
  expect((await views.listViews({ namespaceId: deleted.namespaceId })).views).toEqual([]);
  await namespaces.getNamespace({ namespaceId: deleted.namespaceId });
  await tables.getTable({ tableId: kept.tables[0] });
  await views.getView({ viewId: kept.views[0] });
});

it('accepts only further deletions once it has begun, and the same call finishes it', async () => {
  const { connectors } = catalog.clients;
  const { connectorId, displayName, etag } = await create();
  const contents = await fill(connectorId, 3);
  catalog.jobs.down = true;
  const unavailable = await failure(connectors.deleteConnector({ connectorId, etag, deleteContents: true }));
  expect(unavailable).toMatchObject({ code: 'UNAVAILABLE' });
  expect((await byId(connectorId)).state).toBe(ConnectorState.CONNECTOR_STATE_DELETING);
  catalog.jobs.down = false;

  const refused = refusal('FAILED_PRECONDITION', `connector '${displayName}' is being deleted`);
  const reactivated = { connectorId, state: ConnectorState.CONNECTOR_STATE_ACTIVE };
  expect(await failure(connectors.updateConnector({ connector: reactivated, updateMask: ['state'] }))).toMatchObject(
    refused,
  );
  expect(
    await failure(connectors.updateConnector({ connector: reactivated, updateMask: ['description'] })),
  ).toMatchObject(refused);
  expect(await failure(catalog.claim(connectorId, 'late'))).toMatchObject(refused);
  expect(await failure(connectors.triggerReconcile({ connectorId }))).toMatchObject(
    refusal('FAILED_PRECONDITION', 'is DELETING'),
  );

  // Both calls run at once, with the etag from before the deletion began.
  const call = () => connectors.deleteConnector({ connectorId, etag, deleteContents: true });
  const [answer] = await Promise.all([call(), call()]);
  expect(answer).toMatchObject({ tablesDeleted: 3n, viewsDeleted: 3n, snapshotsDeleted: 0n });
  for (const tableId of contents.tables)
    expect(await failure(catalog.clients.tables.getTable({ tableId }))).toMatchObject({ code: 'NOT_FOUND' });
});

it('cannot be begun by an update', async () => {
  const { connectorId } = await create();
  const connector = { connectorId, state: ConnectorState.CONNECTOR_STATE_DELETING };
  expect(await failure(catalog.clients.connectors.updateConnector({ connector, updateMask: ['state'] }))).toMatchObject(
    refusal('INVALID_ARGUMENT', 'DeleteConnector'),
  );
});

it('does not cancel jobs that have already ended in Temporal', async () => {
  const { connectors } = catalog.clients;
  const { connectorId } = await create();
  const { jobId } = await connectors.triggerReconcile({ connectorId });
  await catalog.claim(connectorId, jobId);
  catalog.jobs.statuses.set(jobId, 'TERMINATED');
  await connectors.deleteConnector({ connectorId });
  expect(catalog.jobs.cancelled).not.toContain(jobId);
  expect(await connectors.getReconcileJob({ jobId })).toMatchObject({ state: JobState.JS_FAILED });
});

it('is finished at the next start of the catalog if it was interrupted', async () => {
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
