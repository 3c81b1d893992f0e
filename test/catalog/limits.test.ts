import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { ClientError, Metadata } from 'nice-grpc';
import { RetryInfo, RichClientError } from 'nice-grpc-error-details';
import { ANYONE } from '../../src/catalog/identity/principal.ts';
import { openDatabase } from '../../src/catalog/store/database/database.ts';
import { ObjectKind } from '../../src/generated/reconciler/internal/v1/bindings.ts';
import { JobState } from '../../src/generated/reconciler/v1/jobs.ts';
import { TableFormat } from '../../src/generated/reconciler/v1/tables.ts';
import { TenantLimits } from '../../src/generated/reconciler/v1/tenants.ts';
import { added, TestTable } from './files.ts';
import { connectorSpec, TestCatalog } from './harness.ts';

const reader = { metadata: Metadata({ who: 'reader' }) };

let catalog: TestCatalog;
beforeEach(async () => {
  catalog = await TestCatalog.start({
    authenticate: async ({ metadata }) =>
      metadata.get('who') === 'reader' ? { ...ANYONE, roles: ['reader'], tenants: ['default'] } : ANYONE,
  });
});
afterEach(async () => {
  await catalog[Symbol.asyncDispose]();
});

/** Sets the limits of the tenant in the database; the service reads them when it first needs them. */
async function limit(limits: Parameters<typeof TenantLimits.fromPartial>[0]): Promise<void> {
  const { db, close } = await openDatabase(catalog.file);
  const json = JSON.stringify(TenantLimits.toJSON(TenantLimits.fromPartial(limits)));
  await db.updateTable('tenants').set({ limits: json }).where('tenant_id', '=', 'default').execute();
  await close();
  await catalog.restart();
}

/** What a call beyond a limit is answered with: the message, and the wait in milliseconds. */
async function exhausted(call: Promise<unknown>): Promise<{ message: string; retryMs: number }> {
  const error = await call.then(
    () => expect('the call').toBe('refused'),
    (error: unknown) => error,
  );
  expect(error).toBeInstanceOf(RichClientError);
  const { code, details, extra } = error as RichClientError;
  expect({ code, details }).toMatchObject({ code: 8 });
  const info = extra.find((detail): detail is RetryInfo => detail.$type === RetryInfo.$type);
  const { seconds = 0, nanos = 0 } = info?.retryDelay ?? {};
  return { message: details, retryMs: seconds * 1000 + nanos / 1_000_000 };
}

it('refuses requests beyond those of a second, but not those of workers', async () => {
  await limit({ requestsPerSecond: 5 });
  const { catalogs } = catalog.clients;
  const results = await Promise.allSettled(Array.from({ length: 50 }, () => catalogs.listCatalogs({}, reader)));
  const refused = results.filter((result) => result.status === 'rejected');
  expect(refused.length).toBeGreaterThan(20);
  expect(refused.length).toBeLessThanOrEqual(45);
  expect(await exhausted(Promise.reject((refused[0] as PromiseRejectedResult).reason))).toEqual({
    message: expect.stringMatching(/^tenant 'default' has made more than 5 requests in a second: wait/),
    retryMs: 200,
  });
  await Promise.all(Array.from({ length: 50 }, () => catalogs.listCatalogs({})));
});

it('refuses streams beyond those that may be open, until one ends', async () => {
  await limit({ openStreams: 1 });
  const table = await TestTable.create(catalog);
  // More than fits into the windows of HTTP/2, so that the stream stays open while nobody reads it.
  const columns = [{ columnId: 1, lowerBound: Buffer.alloc(30_000), valueCount: 1n }];
  await table.put({
    snapshotId: 1,
    changes: Array.from({ length: 200 }, (_, i) => added({ filePath: `f${i}`, columns })),
  });
  const { plans } = catalog.clients;
  const request = { tableId: table.tableId, snapshotId: 1n };
  const open = plans.streamPlan(request, reader)[Symbol.asyncIterator]();
  await open.next();
  const second = async () => {
    for await (const _ of plans.streamPlan(request, reader)) break;
  };
  expect(await exhausted(second())).toMatchObject({ message: expect.stringContaining('1 streams open') });
  await open.return?.();
  await expect(retried(second)).resolves.toBeUndefined();
});

/** Repeats a call until it is not refused: the end of a stream takes a moment to arrive. */
async function retried(call: () => Promise<void>): Promise<void> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await call();
    } catch (error) {
      if (!(error instanceof ClientError) || attempt === 50) throw error;
      await new Promise((resolve) => setTimeout(resolve, 50));
    }
  }
}

describe('refuses', () => {
  it('connectors', async () => {
    await limit({ connectors: 1n });
    const create = () => catalog.clients.connectors.createConnector({ connector: connectorSpec() });
    const { connectorId } = await create();
    expect(await exhausted(create())).toEqual({
      message:
        "tenant 'default' has 1 connectors, and may have 1: wait, or have the limit raised with `reconciler tenant update`",
      retryMs: 10_000,
    });
    await catalog.clients.connectors.deleteConnector({ connectorId });
    await create();
  });

  it('tables, but not changes of those that are there', async () => {
    const { namespaceId } = await catalog.namespace();
    const { connectorId } = await catalog.clients.connectors.createConnector({ connector: connectorSpec() });
    const ensure = (name: string, fields: object = {}) =>
      catalog.clients.bindings.ensureTable({
        connectorId,
        namespaceId,
        name,
        format: TableFormat.TABLE_FORMAT_ICEBERG,
        upstream: { namespacePath: ['fx'], name },
        ...fields,
      });
    await ensure('first');
    await limit({ tables: 1n });
    expect(await exhausted(ensure('second'))).toMatchObject({ message: expect.stringContaining('has 1 tables') });
    await exhausted(ensure('second', { reserveIfNew: true }));
    await exhausted(
      catalog.clients.tables.createTable({
        table: { namespaceId, name: 'third', format: TableFormat.TABLE_FORMAT_ICEBERG },
      }),
    );
    await ensure('first', { location: 'file:///elsewhere' });
    const kind = ObjectKind.OBJECT_KIND_TABLE;
    const { count } = await catalog.clients.bindings.countBindings({ connectorId, kind });
    expect(count).toBe(1n);
  });

  it('files, of which those that are removed do not count', async () => {
    const table = await TestTable.create(catalog);
    await table.put({ snapshotId: 1, changes: [added({ filePath: 'a' }), added({ filePath: 'b' })] });
    await limit({ files: 2n });
    const third = () => table.put({ snapshotId: 2, changes: [added({ filePath: 'c' })] });
    expect(await exhausted(third())).toMatchObject({ message: expect.stringContaining('has 2 data and delete files') });
    await catalog.clients.snapshots.deleteSnapshot({ tableId: table.tableId, snapshotId: 1n });
    await catalog.restart();
    await third();
  });

  it('jobs', async () => {
    await limit({ runningJobs: 1 });
    const create = async () => {
      const { connectorId } = await catalog.clients.connectors.createConnector({ connector: connectorSpec() });
      return connectorId;
    };
    const [one, other] = [await create(), await create()];
    await catalog.claim(one, 'first');
    expect(await exhausted(catalog.claim(other, 'second'))).toEqual({
      message: expect.stringContaining('has 1 running jobs, and may have 1'),
      retryMs: 10_000,
    });
    await exhausted(catalog.clients.connectors.triggerReconcile({ connectorId: other }));
    // The run that has the claim may ask again.
    await catalog.claim(one, 'first');
    await catalog.endJob(one, 'first', { state: JobState.JS_SUCCEEDED });
    await catalog.claim(other, 'second');
  });
});
