import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { ObjectKind } from '../../../src/generated/reconciler/internal/v1/bindings.ts';
import { ConnectorKind } from '../../../src/generated/reconciler/v1/connectors.ts';
import { JobState } from '../../../src/generated/reconciler/v1/jobs.ts';
import { type Table, TableFormat } from '../../../src/generated/reconciler/v1/tables.ts';
import { added, SCHEMA, TestTable } from '../files.ts';
import { failure, refusal, TestCatalog } from '../harness.ts';

let catalog: TestCatalog;
beforeAll(async () => {
  catalog = await TestCatalog.start();
});
afterAll(() => catalog[Symbol.asyncDispose]());

let count = 0;
const connector = async (fields: object = {}) =>
  catalog.clients.connectors.createConnector({
    connector: {
      displayName: `con ${++count}`,
      kind: ConnectorKind.CONNECTOR_KIND_ICEBERG,
      uri: 'file:///w',
      ...fields,
    },
  });

describe('RecordJob', () => {
  it('refuses invalid records', async () => {
    const { reconciliation } = catalog.clients;
    expect(await failure(reconciliation.recordJob({}))).toMatchObject(refusal('INVALID_ARGUMENT', 'job: is required'));
    expect(await failure(reconciliation.recordJob({ job: { jobId: 'j' } }))).toMatchObject(
      refusal('INVALID_ARGUMENT', 'job.state'),
    );
    expect(
      await failure(
        reconciliation.recordJob({ job: { jobId: 'j', state: JobState.JS_RUNNING, counters: { tablesScanned: -1n } } }),
      ),
    ).toMatchObject(refusal('INVALID_ARGUMENT', 'job.counters.tables_scanned'));
    const failures = Array.from({ length: 1001 }, (_, i) => ({ table: `t${i}`, code: 'X' }));
    expect(
      await failure(reconciliation.recordJob({ job: { jobId: 'j', state: JobState.JS_RUNNING }, failures })),
    ).toMatchObject(refusal('INVALID_ARGUMENT', 'at most 1000'));
  });

  it('accepts any characters that upstreams put into names and messages', async () => {
    const { jobs, reconciliation } = catalog.clients;
    const { connectorId } = await connector();
    const long = 'x'.repeat(10_000);
    const job = { jobId: 'odd', connectorId, state: JobState.JS_FAILED, message: 'not JSON: \0', phase: '\0' };
    const failures = [
      { table: 'n."a\0b"', code: 'DATA_LOSS', message: "unexpected token '\0'" },
      { table: long, code: 'INTERNAL', message: long },
    ];
    expect(await reconciliation.recordJob({ job, failures })).toMatchObject({ message: 'not JSON: \\x00' });
    const stored = (await jobs.listJobFailures({ jobId: 'odd' })).failures;
    expect(stored).toMatchObject([
      { table: 'n."a\u{fffd}b"', message: "unexpected token '\\x00'" },
      { table: `${long.slice(0, 8191)}…`, message: `${long.slice(0, 8191)}…` },
    ]);
  });
});

describe('destinations', () => {
  it('are created by name and found by id', async () => {
    const { reconciliation, catalogs, namespaces } = catalog.clients;
    const { connectorId, displayName } = await connector();
    const ensure = (destination: object, namespacePath: string[] = []) =>
      reconciliation.ensureDestination({ connectorId, destination, namespacePath });
    const created = await ensure({ catalogName: 'dest' }, ['a', 'b']);
    expect(created).toMatchObject({ namespacePath: ['a', 'b'], catalogMade: true, namespaceMade: true });
    const found = { ...created, catalogMade: false, namespaceMade: false };
    expect(await ensure({ catalogName: 'dest' }, ['a', 'b'])).toEqual(found);
    expect(await ensure({ catalogName: 'dest' })).toEqual({
      catalogId: created.catalogId,
      namespaceId: '',
      namespacePath: [],
      catalogMade: false,
      namespaceMade: false,
    });
    const fixed = await ensure({ catalogId: created.catalogId, namespacePath: ['all'] }, ['a', 'b']);
    expect(fixed).toMatchObject({ catalogId: created.catalogId, namespacePath: ['all'], namespaceMade: true });
    expect(
      await ensure({
        catalogId: created.catalogId,
        catalogName: 'dest',
        namespaceId: fixed.namespaceId,
        namespacePath: ['all'],
      }),
    ).toEqual({ ...fixed, namespaceMade: false });
    expect((await catalogs.getCatalog({ catalogId: (await ensure({})).catalogId })).displayName).toBe(displayName);
    expect(await failure(ensure({ catalogId: created.catalogId, catalogName: 'other' }))).toMatchObject(
      refusal('FAILED_PRECONDITION', "is the catalog 'dest', catalog_name is 'other'"),
    );
    expect(
      await failure(ensure({ catalogId: created.catalogId, namespaceId: fixed.namespaceId, namespacePath: ['x'] })),
    ).toMatchObject(refusal('FAILED_PRECONDITION', "'all', namespace_path is 'x'"));
    const elsewhere = await namespaces.createNamespace({
      namespace: { catalogId: (await ensure({})).catalogId, path: ['y'] },
    });
    expect(await failure(ensure({ catalogId: created.catalogId, namespaceId: elsewhere.namespaceId }))).toMatchObject(
      refusal('FAILED_PRECONDITION', 'is not in the catalog'),
    );
    expect(await failure(ensure({ catalogId: 'cat_no' }))).toMatchObject({ code: 'NOT_FOUND' });
    expect(await failure(ensure({ catalogName: 'z' }, ['']))).toMatchObject({ code: 'INVALID_ARGUMENT' });
  });

  it('are stored in the connector unless it was changed meanwhile', async () => {
    const { reconciliation, connectors } = catalog.clients;
    const { connectorId, etag } = await connector({ destination: { catalogName: 'main' } });
    const bind = (destination: object) => reconciliation.bindDestination({ connectorId, destination });
    const bound = await bind({ catalogName: 'main', catalogId: 'cat_1' });
    expect(bound.destination).toMatchObject({ catalogName: 'main', catalogId: 'cat_1' });
    expect(bound.etag).not.toBe(etag);
    expect((await bind({ catalogId: 'cat_1' })).etag).toBe(bound.etag);
    await connectors.updateConnector({
      connector: { connectorId, destination: { catalogName: 'new' } },
      updateMask: ['destination'],
    });
    expect(await failure(bind({ catalogName: 'main', catalogId: 'cat_1' }))).toMatchObject(
      refusal('ABORTED', 'catalogName is new'),
    );
  });
});

describe('EnsureTable', () => {
  const setUp = async (names: string[] = ['one']) => {
    const { namespaceId } = await catalog.namespace();
    const ids: string[] = [];
    for (const name of names) ids.push((await connector({ displayName: `${name} ${++count}` })).connectorId);
    const ensure = async (request: object) => {
      const { table } = await catalog.clients.bindings.ensureTable({
        connectorId: ids[0],
        upstream: { namespacePath: ['src'], name: 't' },
        uuid: 'u1',
        namespaceId,
        name: 't',
        format: TableFormat.TABLE_FORMAT_ICEBERG,
        location: 'file:///w/t',
        ...request,
      });
      return table as Table;
    };
    return { namespaceId, ids, ensure };
  };

  it('creates a table once and finds it again without a write', async () => {
    const { ensure, ids } = await setUp();
    const created = await ensure({});
    expect(created).toMatchObject({
      name: 't',
      location: 'file:///w/t',
      upstream: { connectorId: ids[0], namespacePath: ['src'], tableName: 't', uuid: 'u1', fingerprint: '' },
    });
    expect(await ensure({})).toEqual(created);
    expect((await ensure({ location: 'file:///new' })).location).toBe('file:///new');
    expect(await failure(ensure({ name: '' }))).toMatchObject(refusal('INVALID_ARGUMENT', 'name: is required'));
    expect(await failure(ensure({ format: TableFormat.TABLE_FORMAT_UNSPECIFIED }))).toMatchObject(
      refusal('INVALID_ARGUMENT', 'format'),
    );
    expect(await failure(ensure({ connectorId: 'con_no' }))).toMatchObject({ code: 'NOT_FOUND' });
    expect(await failure(ensure({ namespaceId: 'ns_no' }))).toMatchObject({ code: 'NOT_FOUND' });
  });

  it('empties a table that was dropped and recreated upstream', async () => {
    const { ensure, namespaceId } = await setUp();
    const { tableId } = await ensure({});
    const table = new TestTable(catalog, { tableId, namespaceId });
    await table.put({ snapshotId: 1, changes: [added({ filePath: 'a' })] });
    await catalog.clients.ingestion.updateTable({
      table: { tableId, currentSnapshotId: 1n, schema: SCHEMA, upstream: { fingerprint: 'f' } },
      updateMask: ['current_snapshot_id', 'schema', 'upstream.fingerprint'],
    });
    expect((await ensure({})).currentSnapshotId).toBe(1n);
    const anew = await ensure({ uuid: 'u2' });
    expect(anew).toMatchObject({
      tableId,
      upstream: { uuid: 'u2', fingerprint: '' },
      currentSnapshotId: undefined,
      schema: undefined,
    });
    expect(await failure(table.paths(1))).toMatchObject({ code: 'NOT_FOUND' });
    await table.put({ snapshotId: 1, changes: [added({ filePath: 'b' })], expected: { data: 1 } });
    expect(await table.paths(1)).toEqual(['b']);
  });

  it('moves a table if its destination has changed', async () => {
    const { ensure } = await setUp();
    const created = await ensure({});
    const { namespaceId } = await catalog.namespace();
    expect(await ensure({ namespaceId, name: 'moved' })).toMatchObject({
      tableId: created.tableId,
      namespaceId,
      name: 'moved',
    });
    // The old name is free.
    expect((await ensure({ upstream: { namespacePath: ['src'], name: 'other' } })).tableId).not.toBe(created.tableId);
  });

  it('never takes a name that belongs to something else', async () => {
    const { ensure, ids, namespaceId } = await setUp(['first', 'second']);
    const created = await ensure({});
    const conflict = await failure(ensure({ connectorId: ids[1] }));
    expect(conflict.code).toBe('ALREADY_EXISTS');
    expect(conflict.message).toMatch(
      /'fx\.t' belongs to 'src\.t' of connector 'first \d+' \(table tbl_.*\).*connector 'second \d+'/,
    );
    expect(await failure(ensure({ upstream: { namespacePath: ['src2'], name: 't' } }))).toMatchObject(
      refusal('ALREADY_EXISTS', 'first'),
    );
    await catalog.clients.views.createView({ view: { namespaceId, name: 'v' } });
    expect(await failure(ensure({ name: 'v', upstream: { namespacePath: ['src'], name: 'v' } }))).toMatchObject(
      refusal('ALREADY_EXISTS', 'view view_'),
    );
    expect(await catalog.clients.tables.getTable({ tableId: created.tableId })).toEqual(created);
  });

  it('takes over a table that no connector owns: one created by hand, or one whose connector was deleted', async () => {
    const { ensure, ids, namespaceId } = await setUp(['first', 'second']);
    const byHand = await catalog.clients.tables.createTable({ table: { namespaceId, name: 't' } });
    expect((await ensure({})).tableId).toBe(byHand.tableId);
    await catalog.clients.connectors.deleteConnector({ connectorId: ids[0] });
    expect(await catalog.clients.tables.getTable({ tableId: byHand.tableId })).toMatchObject({
      upstream: { connectorId: '', tableName: 't' },
    });
    expect(await ensure({ connectorId: ids[1] })).toMatchObject({
      tableId: byHand.tableId,
      upstream: { connectorId: ids[1], fingerprint: '' },
    });
  });

  it('finds tables by their upstream names, marks them missing and finds them again', async () => {
    const { ensure, ids } = await setUp();
    const { bindings, tables, ingestion } = catalog.clients;
    const [connectorId] = ids as [string];
    const of = (namespacePath: string[], name: string) => ({ namespacePath, name });
    const a = await ensure({ upstream: of(['x'], 'a'), name: 'a' });
    const b = await ensure({ upstream: of(['x', 'y'], 'b'), name: 'b' });
    const c = await ensure({ upstream: of(['z'], 'c'), name: 'c' });
    await ingestion.updateTable({
      table: { tableId: a.tableId, upstream: { fingerprint: 'fp' } },
      updateMask: ['upstream.fingerprint'],
    });
    const lookup = async () =>
      (
        await bindings.lookupBindings({
          connectorId,
          kind: ObjectKind.OBJECT_KIND_TABLE,
          names: [of(['z'], 'c'), of(['x'], 'nope'), of(['x'], 'a'), of(['x'], 'b')],
        })
      ).bindings;
    expect(await lookup()).toMatchObject([
      { objectId: c.tableId, missing: false, namespacePath: ['fx'], name: 'c' },
      { objectId: '' },
      { objectId: a.tableId, fingerprint: 'fp' },
      { objectId: '' },
    ]);
    const list = async (namespacePath: string[]) => {
      const request = { connectorId, kind: ObjectKind.OBJECT_KIND_TABLE, namespacePath, pageSize: 1 };
      const first = await bindings.listBindings(request);
      const rest = first.nextPageToken
        ? (await bindings.listBindings({ ...request, pageToken: first.nextPageToken })).bindings
        : [];
      return [...first.bindings, ...rest].map(({ upstream }) => upstream?.name);
    };
    expect(await list(['x'])).toEqual(['a', 'b']);
    expect(await list(['x', 'y'])).toEqual(['b']);
    const other = (await connector()).connectorId;
    const mark = (objectIds: string[], id = connectorId) =>
      bindings.markMissing({ connectorId: id, kind: ObjectKind.OBJECT_KIND_TABLE, objectIds });
    expect(await mark([a.tableId], other)).toEqual({ marked: 0n });
    expect(await mark([a.tableId, b.tableId, 'tbl_no'])).toEqual({ marked: 2n });
    expect(await mark([a.tableId])).toEqual({ marked: 0n });
    expect(await list([])).toEqual(['c']);
    expect((await lookup())[2]).toMatchObject({ missing: true });
    expect((await tables.getTable({ tableId: a.tableId })).upstream?.missingSince).toBeInstanceOf(Date);
    expect((await ensure({ upstream: of(['x'], 'a'), name: 'a' })).upstream?.missingSince).toBeUndefined();
    expect(
      await failure(
        bindings.lookupBindings({
          connectorId,
          kind: ObjectKind.OBJECT_KIND_TABLE,
          names: Array.from({ length: 1001 }, () => of(['x'], 'a')),
        }),
      ),
    ).toMatchObject(refusal('INVALID_ARGUMENT', 'at most 1000'));
  });
});
