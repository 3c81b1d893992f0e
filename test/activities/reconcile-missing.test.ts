import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { type MissingInput, reconcileMissing } from '../../src/activities/reconcile-missing.ts';
import type { NamespacePath, PageRequest } from '../../src/connectors/spi.ts';
import { ConnectorKind } from '../../src/generated/reconciler/v1/connectors.ts';
import { TableFormat } from '../../src/generated/reconciler/v1/tables.ts';
import { TestCatalog } from '../catalog/harness.ts';
import { activityDeps } from './activity-deps.ts';
import { MemoryUpstream } from './memory-upstream.ts';

class CountedUpstream extends MemoryUpstream {
  override async listTables(namespace: NamespacePath, page: PageRequest) {
    this.usage.requests += 1;
    return super.listTables(namespace, page);
  }
}

let catalog: TestCatalog;
beforeAll(async () => {
  catalog = await TestCatalog.start();
});
afterAll(() => catalog[Symbol.asyncDispose]());

it('lists again only where something can be gone, and tells what it asked for', async () => {
  const upstream = new CountedUpstream();
  const deps = activityDeps(catalog, upstream);
  const { connectors, reconciliation } = catalog.clients;
  const { namespaceId } = await catalog.namespace();
  const { connectorId } = await connectors.createConnector({
    connector: { displayName: 'missing', kind: ConnectorKind.CONNECTOR_KIND_ICEBERG, uri: 'https://c/' },
  });
  const of = (name: string) => ({ namespacePath: ['a'], name });
  for (const name of ['one', 'two']) {
    const format = TableFormat.TABLE_FORMAT_ICEBERG;
    await reconciliation.ensureTable({ connectorId, upstream: of(name), namespaceId, name, format });
  }
  /** What a scan that listed these has to tell. */
  const listed = async (...names: string[]): Promise<MissingInput> => {
    const { tables } = await reconciliation.lookupUpstreamTables({ connectorId, tables: names.map(of) });
    const numberSum = tables.reduce((sum, { number }) => sum + Number(number), 0);
    return { connectorId, bound: { count: names.length, numberSum } };
  };
  const missing = (input: MissingInput) =>
    new MockActivityEnvironment({}, { logger: new DefaultLogger('ERROR') }).run(() => reconcileMissing(deps, input));

  upstream.tables.push({ namespace: ['a'], name: 'one' });
  expect(await missing(await listed('one', 'two'))).toEqual({ marked: 0 });
  expect(upstream.usage.requests).toBe(0);
  // A listing that shifted between two pages: as many names as there are tables, and one of them twice.
  expect(await missing(await listed('one', 'one'))).toEqual({ marked: 1, upstreamRequests: 1 });
  expect((await reconciliation.lookupUpstreamTables({ connectorId, tables: [of('two')] })).tables[0]?.missing).toBe(
    true,
  );
  expect(await missing({ connectorId })).toEqual({ marked: 0, upstreamRequests: 1 });
});
