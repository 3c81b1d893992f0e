import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { ensureDestination } from '../../../src/activities/begin/ensure-destination.ts';
import { bindDestination } from '../../../src/activities/end/bind-destination.ts';
import { connectorSpec, failure, TestCatalog } from '../../catalog/harness.ts';
import { activityDeps } from '../activity-deps.ts';
import { MemoryUpstream } from '../memory-upstream.ts';

let catalog: TestCatalog;
beforeAll(async () => {
  catalog = await TestCatalog.start();
});
afterAll(() => catalog[Symbol.asyncDispose]());

it('binds the destination that the connector names, not the one of a job that started before it changed', async () => {
  const deps = activityDeps(catalog, new MemoryUpstream());
  const { connectors } = catalog.clients;
  const destination = { catalogName: 'bound', namespacePath: ['a'] };
  const { connectorId } = await connectors.createConnector({ connector: connectorSpec({ destination }) });
  const stored = async () =>
    (await connectors.getConnector({ by: { $case: 'connectorId', value: connectorId } })).destination;
  const first = await ensureDestination(deps, { connectorId });
  await connectors.updateConnector({
    connector: { connectorId, destination: { catalogName: 'bound', namespacePath: ['b'] } },
    updateMask: ['destination'],
  });
  await bindDestination(deps, { connectorId, ...first });
  expect(await stored()).toMatchObject({ namespacePath: ['b'], namespaceId: '' });

  const second = await ensureDestination(deps, { connectorId });
  expect(second.namespaceId).not.toBe(first.namespaceId);
  const { catalogId, namespaceId } = second;
  await bindDestination(deps, { connectorId, catalogId, namespaceId });
  expect(await stored()).toMatchObject({ namespacePath: ['b'], catalogId, namespaceId });
});

it('creates nothing for a destination that was named during the job', async () => {
  const deps = activityDeps(catalog, new MemoryUpstream());
  const { connectors, directory } = catalog.clients;
  const destination = { catalogName: 'before', namespacePath: ['a'] };
  const { connectorId } = await connectors.createConnector({ connector: connectorSpec({ destination }) });
  const first = await ensureDestination(deps, { connectorId });
  await connectors.updateConnector({
    connector: { connectorId, destination: { catalogName: 'after', namespacePath: ['b'] } },
    updateMask: ['destination'],
  });
  await bindDestination(deps, { connectorId, ...first });
  expect(await failure(directory.resolve({ name: { $case: 'text', value: 'after' } }))).toMatchObject({
    code: 'NOT_FOUND',
  });
  const connector = await connectors.getConnector({ by: { $case: 'connectorId', value: connectorId } });
  expect(connector.destination).toMatchObject({ catalogName: 'after', catalogId: '', namespaceId: '' });
});
