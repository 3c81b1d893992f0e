import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import { resolveConnector } from '../../src/activities/resolve-connector.ts';
import type { ActivityDeps } from '../../src/activities/runtime/deps.ts';
import { connectorSpec, TestCatalog } from '../catalog/harness.ts';
import { activityDeps } from './activity-deps.ts';
import { MemoryUpstream } from './memory-upstream.ts';

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

  it('names what it did not find', async () => {
    await expect(resolveConnector(deps, { connector: 'nobody' })).rejects.toThrow(/NOT_FOUND.*'nobody'/);
  });
});
