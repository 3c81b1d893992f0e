import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { INTERNAL, PUBLIC, TestTenant } from './tenant.ts';
import { SharedCatalog } from './two-tenants.ts';

let catalog: SharedCatalog;
beforeEach(async () => {
  catalog = await SharedCatalog.start();
});
afterEach(() => catalog.stop());

const tenants = (rpc: string, request: object) => catalog.call(`${PUBLIC}Tenants/${rpc}`, 'platform@*', request);

it('tenants are created, changed, listed and deleted', async () => {
  const tenant = { tenantId: 'acme', description: 'one', taskQueue: 'acme', limits: { connectors: 3n } };
  const { response } = await tenants('CreateTenant', { tenant });
  expect(response).toMatchObject({ ...tenant, temporalNamespace: '', limits: { connectors: 3n, tables: 0n } });
  expect(await tenants('CreateTenant', { tenant })).toMatchObject({ code: 'ALREADY_EXISTS' });
  const { etag } = response as { etag: string };
  const changed = { tenantId: 'acme', description: 'two', etag };
  expect((await tenants('UpdateTenant', { tenant: changed })).response).toMatchObject({
    description: 'two',
    taskQueue: '',
  });
  expect(await tenants('UpdateTenant', { tenant: changed })).toMatchObject({ code: 'ABORTED' });
  expect((await tenants('ListTenants', {})).response).toMatchObject({
    tenants: [{ tenantId: 'acme' }, { tenantId: 'default' }],
  });
  expect(await tenants('DeleteTenant', { tenantId: 'acme' })).toMatchObject({ code: 'OK' });
  expect(await tenants('GetTenant', { tenantId: 'acme' })).toMatchObject({
    code: 'NOT_FOUND',
    text: "tenant 'acme' does not exist",
  });
});

it.each([
  [{ tenantId: 'Acme' }, 'tenant.tenant_id'],
  [{ tenantId: 'acme', taskQueue: 'a b' }, 'tenant.task_queue'],
  [{ tenantId: 'acme', limits: { openStreams: -1 } }, 'tenant.limits.open_streams'],
])('%j is refused', async (tenant, field) => {
  const refused = await tenants('CreateTenant', { tenant });
  expect(refused).toMatchObject({ code: 'INVALID_ARGUMENT', text: expect.stringContaining(`${field}: `) });
});

it('a tenant that has something is not deleted; afterwards its services are gone', async () => {
  const acme = await TestTenant.create(catalog, 'acme');
  const { connectorId } = await acme.aConnector();
  const { catalogId } = await acme.aCatalog();
  expect(await tenants('DeleteTenant', { tenantId: 'acme' })).toMatchObject({ code: 'FAILED_PRECONDITION' });
  const moved = { tenant: { tenantId: 'acme', temporalNamespace: 'other' } };
  expect(await tenants('UpdateTenant', moved)).toMatchObject({ code: 'FAILED_PRECONDITION' });
  await acme.admin('Connectors/DeleteConnector', { connectorId });
  expect(await tenants('DeleteTenant', { tenantId: 'acme' })).toMatchObject({ code: 'FAILED_PRECONDITION' });
  await acme.admin('Catalogs/DeleteCatalog', { catalogId });
  expect(await tenants('DeleteTenant', { tenantId: 'acme' })).toMatchObject({ code: 'OK' });
  expect(await catalog.call(`${PUBLIC}Catalogs/ListCatalogs`, 'admin@acme', {})).toMatchObject({ code: 'NOT_FOUND' });
  expect(await tenants('DeleteTenant', { tenantId: 'default' })).toMatchObject({ code: 'FAILED_PRECONDITION' });
});

it('a job that the catalog starts names its tenant, and gets its task queue', async () => {
  await tenants('CreateTenant', { tenant: { tenantId: 'acme', taskQueue: 'of-acme' } });
  const acme = new TestTenant(catalog, 'acme');
  const { connectorId } = await acme.aConnector();
  const { jobId } = await acme.admin('Connectors/TriggerReconcile', { connectorId });
  expect(jobId).toMatch(/^reconcile-acme-lake_/);
  expect(catalog.jobs.started).toMatchObject([{ jobId, request: { tenant: 'acme' } }]);
  const claim = { connectorId, job: { jobId }, runId: 'a-run' };
  const claimed = await catalog.need(`${INTERNAL}Reconciliation/ClaimConnector`, 'worker@acme', claim);
  expect(claimed).toMatchObject({ holderJobId: jobId, taskQueue: 'of-acme' });
});

it('jobs of a tenant with a namespace of its own run there', async () => {
  await tenants('CreateTenant', { tenant: { tenantId: 'acme', temporalNamespace: 'acme-ns' } });
  const acme = new TestTenant(catalog, 'acme');
  const { connectorId } = await acme.aConnector();
  await acme.admin('Connectors/TriggerReconcile', { connectorId });
  expect(catalog.jobs.started).toEqual([]);
  expect([...catalog.namespaces.keys()]).toEqual(['acme-ns']);
  expect(catalog.namespaces.get('acme-ns')?.started).toHaveLength(1);
});
