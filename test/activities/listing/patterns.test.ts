import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { MockActivityEnvironment } from '@temporalio/testing';
import { DefaultLogger } from '@temporalio/worker';
import { reconcileMissing } from '../../../src/activities/reconcile-missing.ts';
import { reconcileViews } from '../../../src/activities/reconcile-views.ts';
import type { ActivityDeps } from '../../../src/activities/runtime/deps.ts';
import { scanTables } from '../../../src/activities/scan-tables.ts';
import type { PageRequest } from '../../../src/connectors/spi.ts';
import type { ScanPage } from '../../../src/contract/activities.ts';
import { newProgress } from '../../../src/contract/job.ts';
import type { NamespacePath } from '../../../src/contract/upstream-names.ts';
import { CodedError } from '../../../src/errors.ts';
import { ObjectKind } from '../../../src/generated/reconciler/internal/v1/bindings.ts';
import { TableFormat } from '../../../src/generated/reconciler/v1/tables.ts';
import { connectorSpec, TestCatalog } from '../../catalog/harness.ts';
import { activityDeps } from '../activity-deps.ts';
import { MemoryUpstream } from '../memory-upstream.ts';

/** Refuses to list some namespaces, and records those whose tables were listed. */
class ClosedUpstream extends MemoryUpstream {
  readonly closed = new Set<string>();
  readonly listed: string[] = [];

  override async listTables(namespace: NamespacePath, page: PageRequest) {
    this.listed.push(namespace.join('.'));
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
const environment = () => new MockActivityEnvironment({}, { logger: new DefaultLogger('ERROR') });
const record = (connectorId: string) => ({
  ...{ jobId: 'job', runId: '', connectorId, connectorName: '', full: false, message: '', failures: [] },
  request: { connector: connectorId },
  progress: { ...newProgress(), state: 'JS_RUNNING' as const },
});

async function connector(source: object): Promise<string> {
  return (
    await catalog.clients.connectors.createConnector({
      connector: connectorSpec({ source, policy: { missing: { maxShare: 1 } } }),
    })
  ).connectorId;
}
const scan = (connectorId: string) =>
  environment().run(() =>
    scanTables(deps, { connectorId, full: false, record: record(connectorId) }),
  ) as Promise<ScanPage>;
const views = (connectorId: string) =>
  environment().run(() => reconcileViews(deps, { connectorId, full: false, record: record(connectorId) }));

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
    const { scanned, filtered, changed } = await scan(id);
    expect({ scanned, filtered }).toEqual({ scanned: 2, filtered: 3 });
    expect(changed.map(({ name }) => name)).toEqual(['orders', 'items']);
    expect(await views(id)).toMatchObject({ scanned: 1, changed: 1, errors: 0 });
  });

  it('allow a namespace that may not be listed, if they take nothing of it', async () => {
    upstream.closed.add('tmp').add('tmp.x');
    expect((await scan(await connector(SOURCE))).refused).toBeUndefined();
    expect((await scan(await connector({ excludeTables: ['tmp.scratch'] }))).refused).toHaveLength(2);
    expect((await scan(await connector({ includeNamespaces: ['tmp.x'] }))).refused).toHaveLength(2);
    expect((await scan(await connector({ excludeTables: ['tmp.x.**'] }))).refused).toMatchObject([
      { table: 'namespace tmp', code: 'PERMISSION_DENIED' },
    ]);
    upstream.closed.clear();
  });

  it('mark nothing missing that they filter, and cause no second listing', async () => {
    const id = await connector(SOURCE);
    await bind(id, 'sales.orders', 'sales.items', 'sales.gone_old', 'tmp.scratch', 'tmp.gone');
    upstream.closed.add('tmp');
    const { listed } = await scan(id);
    upstream.listed.length = 0;
    const missing = (input: object) =>
      environment().run(() => reconcileMissing(deps, { connectorId: id, before: 0, ...input }));
    expect(await missing({ listed })).toEqual({ marked: 0 });
    expect(upstream.listed).toEqual([]);

    await bind(id, 'sales.gone');
    expect(await missing({ listed })).toMatchObject({ marked: 1 });
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
    expect(await missing({ views: true })).toMatchObject({ marked: 0 });
    await catalog.clients.connectors.updateConnector({
      connector: { connectorId: id, source: SOURCE },
      updateMask: ['source.exclude_tables'],
    });
    expect(await missing({ views: true })).toMatchObject({ marked: 1 });
  });
});
