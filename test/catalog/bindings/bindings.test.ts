import { createHash } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { addToChecksum, NO_NAMES } from '../../../src/contract/name-checksum.ts';
import { ObjectKind } from '../../../src/generated/reconciler/internal/v1/bindings.ts';
import { TableFormat } from '../../../src/generated/reconciler/v1/tables.ts';
import { upstreamNameHash } from '../../../src/upstream-name-hash.ts';
import { SCHEMA } from '../files.ts';
import { connectorSpec, failure, refusal, TestCatalog } from '../harness.ts';

const TABLE = ObjectKind.OBJECT_KIND_TABLE;
const VIEW = ObjectKind.OBJECT_KIND_VIEW;

let catalog: TestCatalog;
beforeAll(async () => {
  catalog = await TestCatalog.start();
});
afterAll(() => catalog[Symbol.asyncDispose]());

const upstreamName = (name: string) => ({ namespacePath: ['src', 'x'], name });
/** The checksum of these names in the namespace src.x. */
const checksum = (...names: string[]) =>
  BigInt(addToChecksum(NO_NAMES, ...names.map((name) => upstreamNameHash(['src', 'x'], name))));

async function setUp() {
  const { namespaceId } = await catalog.namespace();
  const { connectors, bindings } = catalog.clients;
  const { connectorId } = await connectors.createConnector({ connector: connectorSpec() });
  const format = TableFormat.TABLE_FORMAT_ICEBERG;
  const ensureTable = async (name: string, request: object = {}) => {
    const upstream = upstreamName(name);
    const { table } = await bindings.ensureTable({ connectorId, upstream, namespaceId, name, format, ...request });
    return table!.tableId;
  };
  const ensureView = async (name: string) => {
    const view = { namespaceId, name, schema: SCHEMA, representations: [{ sql: 'SELECT 1', dialect: 'spark' }] };
    const request = { connectorId, upstream: upstreamName(name), fingerprint: 'f', view };
    return (await bindings.ensureView(request)).viewId;
  };
  const count = (kind: ObjectKind, namespacePath: string[] = []) =>
    bindings.countBindings({ connectorId, kind, namespacePath });
  return { connectorId, namespaceId, ensureTable, ensureView, count };
}

describe('the hash of an upstream name', () => {
  it('is the beginning of a SHA-256 of all parts of the name', () => {
    const digest = createHash('sha256').update('["a","b","t"]').digest('hex');
    expect(upstreamNameHash(['a', 'b'], 't').toString(16).padStart(16, '0')).toBe(digest.slice(0, 16));
  });

  it('differs if the same characters are split differently', () => {
    const names: [string[], string][] = [
      [['a', 'b'], 'c'],
      [['a.b'], 'c'],
      [['a'], 'b.c'],
      [['a'], 'b","c'],
      [[], 'a.b.c'],
    ];
    expect(new Set(names.map((name) => upstreamNameHash(...name))).size).toBe(names.length);
  });
});

it('EnsureTable adds partition specs to those of the table', async () => {
  const { ensureTable } = await setUp();
  const spec = (specId: number, transform: string) => ({
    specId,
    fields: [{ fieldId: 1000 + specId, name: 'p', transform, sourceIds: [1] }],
  });
  const specs = async (tableId: string) => (await catalog.clients.tables.getTable({ tableId })).partitionSpecs;
  const tableId = await ensureTable('a', { uuid: 'one', partitionSpecs: [spec(0, 'day')] });
  expect(await specs(tableId)).toEqual([spec(0, 'day')]);
  await ensureTable('a', { uuid: 'one', partitionSpecs: [spec(2, 'hour'), spec(1, 'day')] });
  expect(await specs(tableId)).toEqual([spec(0, 'day'), spec(2, 'hour'), spec(1, 'day')]);
  // Another table of the name has its own.
  await ensureTable('a', { uuid: 'two', partitionSpecs: [spec(0, 'year')] });
  expect(await specs(tableId)).toEqual([spec(0, 'year')]);
  const twice = ensureTable('a', { partitionSpecs: [spec(0, 'day'), spec(0, 'hour')] });
  expect(await failure(twice)).toMatchObject({ message: 'partition_specs: has a duplicate spec_id' });
});

describe('CountBindings', () => {
  it('returns a sum that only the bound names have', async () => {
    const { ensureTable, count } = await setUp();
    for (const name of ['a', 'b', 'c']) await ensureTable(name);
    const all = { count: 3n, checksum: checksum('c', 'a', 'b') };
    expect(await count(TABLE)).toEqual(all);
    expect(await count(TABLE, ['src'])).toEqual(all);
    for (const names of [
      ['a', 'b'],
      ['a', 'b', 'b'],
      ['a', 'b', 'd'],
      ['a', 'b', 'c', 'd'],
      ['A', 'b', 'c'],
    ]) {
      expect(checksum(...names)).not.toBe(all.checksum);
    }
    expect(await count(TABLE, ['sr'])).toEqual({ count: 0n, checksum: 0n });
  });

  it('leaves out a missing object, and counts it again when it is back', async () => {
    const { connectorId, ensureTable, count } = await setUp();
    const [, b] = [await ensureTable('a'), await ensureTable('b')];
    await catalog.clients.bindings.markMissing({ connectorId, kind: TABLE, objectIds: [b] });
    expect(await count(TABLE)).toEqual({ count: 1n, checksum: checksum('a') });
    await ensureTable('b');
    expect(await count(TABLE)).toEqual({ count: 2n, checksum: checksum('a', 'b') });
  });

  it('follows a binding to another upstream name, and does not count deleted objects', async () => {
    const { connectorId, ensureTable, count } = await setUp();
    const { tables, ingestion } = catalog.clients;
    const tableId = await ensureTable('a');
    const upstream = { connectorId, namespacePath: ['src', 'x'], tableName: 'renamed' };
    await ingestion.updateTable({ table: { tableId, upstream }, updateMask: ['upstream'] });
    expect(await count(TABLE)).toEqual({ count: 1n, checksum: checksum('renamed') });
    await ingestion.updateTable({ table: { tableId }, updateMask: ['upstream'] });
    expect(await count(TABLE)).toEqual({ count: 0n, checksum: 0n });
    expect((await tables.getTable({ tableId })).upstream).toBeUndefined();
    await tables.deleteTable({ tableId: await ensureTable('b') });
    expect(await count(TABLE)).toEqual({ count: 0n, checksum: 0n });
  });

  it('counts tables and views separately, even if they have the same upstream name', async () => {
    const { connectorId, namespaceId, ensureTable, ensureView, count } = await setUp();
    await ensureTable('a', { name: 'table_a' });
    await ensureView('a');
    await ensureView('v');
    expect(await count(TABLE)).toEqual({ count: 1n, checksum: checksum('a') });
    expect(await count(VIEW)).toEqual({ count: 2n, checksum: checksum('a', 'v') });
    // Bindings of another connector do not count.
    const other = await setUp();
    await other.ensureTable('a', { namespaceId, name: 'other' });
    expect(await count(TABLE)).toEqual({ count: 1n, checksum: checksum('a') });
    await catalog.clients.connectors.deleteConnector({ connectorId, deleteContents: true });
    expect(await other.count(TABLE)).toEqual({ count: 1n, checksum: checksum('a') });
  });

  it('sums hashes beyond 64 bits', async () => {
    const { ensureTable, count } = await setUp();
    const names = Array.from({ length: 40 }, (_, i) => `n${i}`);
    for (const name of names) await ensureTable(name);
    const sum = names.reduce((total, name) => total + upstreamNameHash(['src', 'x'], name), 0n);
    expect(sum).toBeGreaterThan(2n ** 64n);
    expect((await count(TABLE)).checksum).toBe(BigInt.asUintN(64, sum));
  });
});

describe('bindings', () => {
  it('are looked up by the kind that the request names', async () => {
    const { connectorId } = await setUp();
    const { bindings } = catalog.clients;
    const required = refusal('INVALID_ARGUMENT', 'kind: is required');
    expect(await failure(bindings.lookupBindings({ connectorId }))).toMatchObject(required);
    expect(await failure(bindings.listBindings({ connectorId }))).toMatchObject(required);
    expect(await failure(bindings.countBindings({ connectorId }))).toMatchObject(required);
    expect(await failure(bindings.markMissing({ connectorId }))).toMatchObject(required);
    const objectIds = Array.from({ length: 1001 }, (_, i) => `tbl_${i}`);
    expect(await failure(bindings.markMissing({ connectorId, kind: TABLE, objectIds }))).toMatchObject(
      refusal('INVALID_ARGUMENT', 'object_ids: has 1001 entries, at most 1000 are allowed'),
    );
  });

  it('are listed by how long they have been missing', async () => {
    const { connectorId, ensureTable, ensureView } = await setUp();
    const { bindings } = catalog.clients;
    const missing = { table: await ensureTable('gone'), view: await ensureView('gone_view') };
    await ensureTable('there');
    const list = async (kind: ObjectKind, seconds?: bigint) => {
      const missingFor = seconds === undefined ? undefined : { seconds };
      const page = await bindings.listBindings({ connectorId, kind, missingFor });
      return page.bindings.map(({ name, missing }) => [name, missing]);
    };
    await bindings.markMissing({ connectorId, kind: TABLE, objectIds: [missing.table, missing.view] });
    expect(await list(VIEW)).toEqual([['gone_view', false]]);
    await bindings.markMissing({ connectorId, kind: VIEW, objectIds: [missing.view] });
    expect(await list(TABLE)).toEqual([['there', false]]);
    expect(await list(TABLE, 0n)).toEqual([['gone', true]]);
    expect(await list(VIEW, 0n)).toEqual([['gone_view', true]]);
    expect(await list(TABLE, 3600n)).toEqual([]);
  });

  it('change the etag of their object when they change', async () => {
    const { connectorId, ensureTable } = await setUp();
    const { bindings, tables } = catalog.clients;
    const tableId = await ensureTable('t');
    const etag = async () => (await tables.getTable({ tableId })).etag;
    const before = await etag();
    await ensureTable('t');
    expect(await etag()).toBe(before);
    await bindings.markMissing({ connectorId, kind: TABLE, objectIds: [tableId] });
    const marked = await etag();
    expect(marked).not.toBe(before);
    await ensureTable('t');
    expect(await etag()).not.toBe(marked);
  });

  it('must exist before a part of the upstream can be updated', async () => {
    const { namespaceId } = await setUp();
    const { tables, ingestion } = catalog.clients;
    const { tableId } = await tables.createTable({ table: { namespaceId, name: 'by_hand' } });
    const update = { table: { tableId, upstream: { fingerprint: 'f' } }, updateMask: ['upstream.fingerprint'] };
    expect(await failure(ingestion.updateTable(update))).toMatchObject(
      refusal('FAILED_PRECONDITION', `table ${tableId} has no upstream`),
    );
  });

  it('hide a table from readers by name until it is completely ingested', async () => {
    const { namespaceId, ensureTable } = await setUp();
    const { tables, directory, ingestion } = catalog.clients;
    const tableId = await ensureTable('t');
    const { name } = await directory.lookup({ id: tableId });
    const resolve = () => directory.resolve({ name: { $case: 'parts', value: name! } });
    const listed = async () => (await tables.listTables({ namespaceId })).tables.map((table) => table.tableId);
    expect(await listed()).toEqual([]);
    expect(await failure(resolve())).toMatchObject({ code: 'NOT_FOUND' });
    const upstream = { fingerprint: 'f' };
    await ingestion.updateTable({ table: { tableId, upstream }, updateMask: ['upstream.fingerprint'] });
    expect(await listed()).toEqual([tableId]);
    expect(await resolve()).toMatchObject({ tableId });
  });
});

describe('what the catalog has of a bound table', () => {
  const read = async (connectorId: string, name: string) => {
    const parts = [];
    const upstream = upstreamName(name);
    for await (const part of catalog.clients.bindings.readBoundTable({ connectorId, upstream })) parts.push(part);
    return parts;
  };

  it('is its state and all versions of its schema', async () => {
    const { connectorId, ensureTable } = await setUp();
    const fields = [{ fieldId: 1000, name: 'p', transform: 'identity', sourceIds: [1] }];
    const json = (id: number) =>
      JSON.stringify({ ...JSON.parse(SCHEMA.json), 'schema-id': id, doc: 'x'.repeat(200_000) });
    // Not in order.
    const tableId = await ensureTable('t', {
      uuid: 'u',
      schemas: [2, 0].map((schemaId) => ({ schemaId, json: json(schemaId) })),
      partitionSpecs: [{ specId: 3, fields }],
    });
    await catalog.clients.tables.putTableSchema({ tableId, schema: { schemaId: 1, json: json(1) } });
    const committedAt = new Date('2026-02-03T04:05:06.789Z');
    const snapshot = { tableId, snapshotId: 7n, committedAt };
    await catalog.clients.snapshots.createSnapshot({ snapshot, metadataOnly: true });
    const upstream = { fingerprint: '7:1:e', coverage: 'snapshots=all files=none' };
    const updateMask = ['upstream.fingerprint', 'upstream.coverage', 'current_snapshot_id'];
    await catalog.clients.ingestion.updateTable({ table: { tableId, upstream, currentSnapshotId: 7n }, updateMask });
    const [first, ...parts] = await read(connectorId, 't');
    const partitionSpecs = [{ specId: 3, fields }];
    expect(first?.state).toEqual({ uuid: 'u', fingerprint: '7:1:e', partitionSpecs, committedAt });
    expect(parts.map(({ schemas }) => schemas)).toEqual([
      [0, 1].map((schemaId) => ({ schemaId, json: json(schemaId), columns: [] })),
      [{ schemaId: 2, json: json(2), columns: [] }],
    ]);
  });

  it('is nothing for a name that is not bound', async () => {
    const { connectorId, ensureView } = await setUp();
    await ensureView('v');
    expect(await read(connectorId, 'v')).toEqual([]);
    expect(await failure(read('con_none', 't'))).toMatchObject({ code: 'NOT_FOUND' });
  });
});
