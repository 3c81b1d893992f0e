import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { reconcileMissing } from '../../../src/activities/reconcile-missing.ts';
import { reconcileViews } from '../../../src/activities/reconcile-views.ts';
import type { ActivityDeps } from '../../../src/activities/runtime/deps.ts';
import { scanTables } from '../../../src/activities/scan-tables.ts';
import type { PageRequest } from '../../../src/connectors/spi.ts';
import { NO_NAMES } from '../../../src/contract/name-checksum.ts';
import type { NamespacePath } from '../../../src/contract/upstream-names.ts';
import { CodedError } from '../../../src/errors.ts';
import { ObjectKind } from '../../../src/generated/reconciler/internal/v1/bindings.ts';
import { TableFormat } from '../../../src/generated/reconciler/v1/tables.ts';
import { connectorSpec, TestCatalog } from '../../catalog/harness.ts';
import { activityDeps } from '../activity-deps.ts';
import { MemoryUpstream } from '../memory-upstream.ts';
import { jobRecord, run, STEP } from '../run-activity.ts';

/** Refuses to list some namespaces, and records those whose tables were listed, and all requests. */
class ClosedUpstream extends MemoryUpstream {
  readonly closed = new Set<string>();
  readonly listed: string[] = [];
  readonly requests: string[] = [];

  override async listNamespaces(namespace: NamespacePath, page: PageRequest) {
    this.requests.push(`below ${namespace.join('.')}`);
    return super.listNamespaces(namespace, page);
  }

  override async listViews(namespace: NamespacePath, page: PageRequest) {
    this.requests.push(`views ${namespace.join('.')}`);
    return super.listViews(namespace, page);
  }

  override async listTables(namespace: NamespacePath, page: PageRequest) {
    this.listed.push(namespace.join('.'));
    this.requests.push(`tables ${namespace.join('.')}`);
    if (this.closed.has(namespace.join('.'))) throw new CodedError('PERMISSION_DENIED', `${namespace} is closed`);
    return super.listTables(namespace, page);
  }
}

let catalog: TestCatalog;
let upstream: ClosedUpstream;
let deps: ActivityDeps;
beforeAll(async () => {
  catalog = await TestCatalog.start();
  upstream = new ClosedUpstream();
  deps = activityDeps(catalog, upstream);
  for (const namespace of ['sales', 'tmp', 'tmp.x']) upstream.namespaces.push(namespace.split('.'));
  for (const name of ['orders', 'orders_old', 'items']) upstream.tables.push({ namespace: ['sales'], name });
  upstream.tables.push({ namespace: ['tmp'], name: 'scratch' }, { namespace: ['tmp', 'x'], name: 'scratch' });
  for (const view of ['sales.daily', 'sales.daily_old', 'tmp.v']) upstream.views.set(view, 1);
});
afterAll(() => catalog[Symbol.asyncDispose]());

const SOURCE = { excludeNamespaces: ['tmp'], excludeTables: ['**.*_old'] };

async function connector(source: object): Promise<string> {
  return (
    await catalog.clients.connectors.createConnector({
      connector: connectorSpec({ source, policy: { missing: { maxShare: 1 } } }),
    })
  ).connectorId;
}
const input = (connectorId: string) => ({ ...STEP, connectorId, full: false, record: jobRecord(connectorId) });
const scan = (connectorId: string) => run(() => scanTables(deps, { ...input(connectorId), listed: NO_NAMES }));
const views = (connectorId: string) => run(() => reconcileViews(deps, input(connectorId)));

/** Binds the table as if it had been ingested. */
async function bind(connectorId: string, ...names: string[]): Promise<void> {
  const { namespaceId } = await catalog.namespace();
  for (const text of names) {
    const namespacePath = text.split('.').slice(0, -1);
    const request = { upstream: { namespacePath, name: text.split('.').at(-1) as string }, namespaceId };
    await catalog.clients.bindings.ensureTable({
      ...{ ...request, connectorId, name: text, format: TableFormat.TABLE_FORMAT_ICEBERG },
    });
  }
}

describe('patterns', () => {
  it('leave tables and views out, and count them', async () => {
    const id = await connector({ ...SOURCE, namespacePath: [] });
    const { counts, changed } = await scan(id);
    expect(counts).toMatchObject({ tablesScanned: 2, tablesFiltered: 1, namespacesFiltered: 1 });
    expect(changed.map(({ name }) => name)).toEqual(['orders', 'items']);
    expect(await views(id)).toEqual(
      expect.objectContaining({ counts: { viewsScanned: 1, viewsChanged: 1, upstreamRequests: 0 } }),
    );
  });

  it.each<[string, object, string[], number]>([
    ['an excluded namespace', SOURCE, ['tables ', 'below ', 'tables sales', 'below sales'], 1],
    ['one that is not included', { includeNamespaces: ['sales'] }, ['below ', 'tables sales', 'below sales'], 1],
    ['one without an included table', { includeTables: ['tmp.x.*'] }, ['below ', 'below tmp', 'tables tmp.x'], 1],
    ['the namespaces below one', { includeTables: ['sales.orders'] }, ['below ', 'tables sales'], 1],
    ['the source namespace', { namespacePath: ['tmp'], excludeNamespaces: ['tmp'] }, [], 1],
  ])('request nothing of what they leave out: %s', async (_, source, requests, namespacesFiltered) => {
    const id = await connector(source);
    upstream.requests.length = 0;
    expect((await scan(id)).counts).toMatchObject({ namespacesFiltered });
    expect(upstream.requests).toEqual(requests);
    upstream.requests.length = 0;
    await views(id);
    expect(upstream.requests).toEqual(requests.map((request) => request.replace('tables', 'views')));
  });

  it('request nothing of what is outside of the scope of a run, which consists of names in the destination', async () => {
    const scoped = async (id: string, namespace: string) => {
      upstream.requests.length = 0;
      const { counts } = await run(() => scanTables(deps, { ...input(id), scope: { namespaces: [namespace] } }));
      return [counts.tablesScanned, counts.tablesFiltered, counts.namespacesFiltered];
    };
    expect(await scoped(await connector({}), 'tmp.x')).toEqual([1, 0, 1]);
    expect(upstream.requests).toEqual(['below ', 'below tmp', 'tables tmp.x']);
    const { connectorId } = await catalog.clients.connectors.createConnector({
      connector: connectorSpec({ destination: { catalogName: 'one', namespacePath: ['all'] } }),
    });
    expect(await scoped(connectorId, 'all')).toEqual([5, 0, undefined]);
    expect(await scoped(connectorId, 'tmp.x')).toEqual([0, 0, 1]);
  });

  it('allow a namespace that may not be listed, if they take nothing of it', async () => {
    upstream.closed.add('tmp').add('tmp.x');
    expect((await scan(await connector(SOURCE))).refused).toBeUndefined();
    expect((await scan(await connector({ excludeTables: ['tmp.scratch'] }))).refused).toHaveLength(2);
    expect((await scan(await connector({ includeNamespaces: ['tmp.x'] }))).refused).toMatchObject([
      { table: 'namespace tmp.x', code: 'PERMISSION_DENIED' },
    ]);
    expect((await scan(await connector({ excludeTables: ['tmp.x.**'] }))).refused).toMatchObject([
      { table: 'namespace tmp', code: 'PERMISSION_DENIED' },
    ]);
    upstream.closed.clear();
  });

  it('mark nothing missing that they filter, and cause no second listing', async () => {
    const id = await connector(SOURCE);
    await bind(id, 'sales.orders', 'sales.items', 'sales.gone_old', 'tmp.scratch', 'tmp.gone');
    upstream.closed.add('tmp');
    expect(await scan(id)).toHaveProperty('nothingGone', true);

    await bind(id, 'sales.gone');
    expect(await scan(id)).not.toHaveProperty('nothingGone');
    const missing = (more: object = {}) =>
      run(() => reconcileMissing(deps, { ...STEP, connectorId: id, before: 0, ...more }));
    upstream.listed.length = 0;
    expect(await missing()).toMatchObject({ counts: { tablesMissing: 1 } });
    expect(upstream.listed).toEqual(['sales', 'sales']);
    const { bindings } = await catalog.clients.bindings.listBindings({
      connectorId: id,
      kind: ObjectKind.OBJECT_KIND_TABLE,
    });
    const left = bindings.map(({ upstream: of }) => [...(of?.namespacePath ?? []), of?.name].join('.'));
    expect(left).toEqual(['sales.gone_old', 'sales.items', 'sales.orders', 'tmp.gone', 'tmp.scratch']);
    upstream.closed.clear();

    // That a filtered view is gone goes unnoticed.
    await views(id);
    upstream.views.delete('sales.daily');
    await catalog.clients.connectors.updateConnector({
      connector: { connectorId: id, source: { ...SOURCE, excludeTables: ['**.daily'] } },
      updateMask: ['source.exclude_tables'],
    });
    expect(await missing({ views: true })).toMatchObject({ counts: { viewsMissing: 0 } });
    await catalog.clients.connectors.updateConnector({
      connector: { connectorId: id, source: SOURCE },
      updateMask: ['source.exclude_tables'],
    });
    expect(await missing({ views: true })).toMatchObject({ counts: { viewsMissing: 1 } });
  });
});
