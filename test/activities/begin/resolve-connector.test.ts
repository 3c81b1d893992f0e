import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { resolveConnector } from '../../../src/activities/begin/resolve-connector.ts';
import type { ActivityDeps } from '../../../src/activities/runtime/deps.ts';
import { ConnectorState, MissingAction } from '../../../src/generated/reconciler/v1/connectors.ts';
import { connectorSpec, TestCatalog } from '../../catalog/harness.ts';
import { activityDeps } from '../activity-deps.ts';
import { MemoryUpstream } from '../memory-upstream.ts';

describe('resolveConnector', () => {
  let catalog: TestCatalog;
  let deps: ActivityDeps;
  /** What `getConnector` was called with. */
  let lookups: string[];

  beforeAll(async () => {
    catalog = await TestCatalog.start();
  });
  afterAll(() => catalog[Symbol.asyncDispose]());
  beforeEach(() => {
    const { connectors } = catalog.clients;
    lookups = [];
    const getConnector: typeof connectors.getConnector = (request, options) => {
      lookups.push(request.by?.$case ?? '');
      return connectors.getConnector(request, options);
    };
    deps = {
      ...activityDeps(catalog, new MemoryUpstream()),
      catalog: { ...catalog.clients, connectors: { ...connectors, getConnector } },
    };
  });

  const create = (displayName: string) =>
    catalog.clients.connectors.createConnector({ connector: connectorSpec({ displayName }) });

  it('finds the name that a person typed by its first call', async () => {
    const { connectorId } = await create('lake');
    expect(await resolveConnector(deps, { connector: 'lake' })).toMatchObject({ connectorId, name: 'lake' });
    expect(lookups).toEqual(['displayName']);
  });

  it('finds the id that a schedule passes by its first call', async () => {
    const { connectorId } = await create('scheduled');
    expect(await resolveConnector(deps, { connector: connectorId })).toMatchObject({ connectorId, name: 'scheduled' });
    expect(lookups).toEqual(['connectorId']);
  });

  it('finds a name that looks like an id', async () => {
    const { connectorId } = await create('con_trary');
    expect(await resolveConnector(deps, { connector: 'con_trary' })).toMatchObject({ connectorId });
    expect(lookups).toEqual(['connectorId', 'displayName']);
  });

  it('has what the workflow needs of the policy', async () => {
    const resolve = async (fields: object) => {
      const { connectorId } = await catalog.clients.connectors.createConnector({ connector: connectorSpec(fields) });
      return resolveConnector(deps, { connector: connectorId });
    };
    expect(await resolve({})).toMatchObject({ maxParallel: 8, drops: false, searchAttributes: false });
    const missing = { action: MissingAction.MISSING_ACTION_DROP };
    expect(await resolve({ policy: { maxParallel: 3, taskQueue: 'far', missing } })).toMatchObject({
      ...{ maxParallel: 3, taskQueue: 'far', drops: true },
    });
  });

  it('resolves one that is paused: its job waits before it reads anything', async () => {
    const { connectorId } = await create('paused');
    const connector = { connectorId, state: ConnectorState.CONNECTOR_STATE_PAUSED };
    await catalog.clients.connectors.updateConnector({ connector, updateMask: ['state'] });
    expect(await resolveConnector(deps, { connector: 'paused' })).toMatchObject({ connectorId });
  });

  it('refuses one that is being deleted', async () => {
    await create('leaving');
    // A deletion ends too soon to be observed.
    const { connectors } = deps.catalog;
    const getConnector: typeof connectors.getConnector = async (request) => ({
      ...(await connectors.getConnector(request)),
      state: ConnectorState.CONNECTOR_STATE_DELETING,
    });
    const catalogOfDeleting = { ...deps.catalog, connectors: { ...connectors, getConnector } };
    const refused = resolveConnector({ ...deps, catalog: catalogOfDeleting }, { connector: 'leaving' });
    await expect(refused).rejects.toMatchObject({ code: 'FAILED_PRECONDITION' });
  });

  it('names what it did not find', async () => {
    await expect(resolveConnector(deps, { connector: 'nobody' })).rejects.toThrow(/NOT_FOUND.*'nobody'/);
  });
});
