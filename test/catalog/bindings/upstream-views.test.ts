import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { ObjectKind } from '../../../src/generated/reconciler/internal/v1/bindings.ts';
import { ConnectorKind } from '../../../src/generated/reconciler/v1/connectors.ts';
import { type Table, TableFormat } from '../../../src/generated/reconciler/v1/tables.ts';
import { added, SCHEMA, TestTable } from '../files.ts';
import { failure, refusal, TestCatalog } from '../harness.ts';

let catalog: TestCatalog;
beforeAll(async () => {
  catalog = await TestCatalog.start();
});
afterAll(() => catalog[Symbol.asyncDispose]());

const of = (namespacePath: string[], name: string) => ({ namespacePath, name });
const SRC = of(['src'], 'v');
let count = 0;

async function setUp(names: string[] = ['one']) {
  const { namespaceId, catalogId } = await catalog.namespace();
  const { connectors, bindings, views } = catalog.clients;
  const ids: string[] = [];
  for (const name of names) {
    const { connectorId } = await connectors.createConnector({
      connector: {
        displayName: `${name} ${++count}`,
        kind: ConnectorKind.CONNECTOR_KIND_ICEBERG,
        uri: 'https://c/',
      },
    });
    ids.push(connectorId);
  }
  const [connectorId] = ids as [string];
  const put = ({ view, ...request }: { view?: object; [field: string]: unknown } = {}) =>
    bindings.ensureView({
      connectorId,
      upstream: SRC,
      uuid: 'u1',
      fingerprint: 'f1',
      view: {
        namespaceId,
        name: 'v',
        versionId: 1,
        schema: SCHEMA,
        representations: [
          { sql: 'SELECT 1', dialect: 'spark' },
          { sql: 'select 1', dialect: 'trino' },
        ],
        defaultNamespace: ['src'],
        properties: { owner: 'ann', comment: 'c' },
        ...view,
      },
      ...request,
    });
  const ensureTable = async (request: object = {}) => {
    const { table } = await bindings.ensureTable({
      connectorId,
      upstream: SRC,
      uuid: 't1',
      namespaceId,
      name: 'v',
      format: TableFormat.TABLE_FORMAT_ICEBERG,
      location: 's3://b/v',
      ...request,
    });
    return table as Table;
  };
  const get = async (request = put()) => views.getView({ viewId: (await request).viewId });
  return { namespaceId, catalogId, ids, connectorId, put, ensureTable, get };
}

describe('EnsureView', () => {
  it('creates a view once, and writes nothing if nothing differs', async () => {
    const { put, get, connectorId } = await setUp();
    const { viewId, changed } = await put();
    expect(changed).toBe(true);
    const created = await catalog.clients.views.getView({ viewId });
    expect(created).toMatchObject({
      name: 'v',
      namespacePath: ['fx'],
      versionId: 1,
      representations: [{ dialect: 'spark' }, { dialect: 'trino', sql: 'select 1' }],
      defaultNamespace: ['src'],
      properties: { owner: 'ann', comment: 'c' },
      upstream: { connectorId, namespacePath: ['src'], tableName: 'v', uuid: 'u1', fingerprint: 'f1' },
    });
    expect(created.schema?.columns.length).toBeGreaterThan(0);
    expect(created.upstream?.fetchedAt).toBeInstanceOf(Date);
    expect(await put({ view: { properties: { comment: 'c', owner: 'ann' } } })).toEqual({
      viewId,
      changed: false,
      made: false,
    });
    expect(await get()).toEqual(created);
  });

  it('updates a view to a new version, and keeps the description that a user wrote', async () => {
    const { put, get } = await setUp();
    const { viewId } = await put();
    await catalog.clients.views.updateView({ view: { viewId, description: 'ours' }, updateMask: ['description'] });
    const next = { versionId: 2, representations: [{ sql: 'SELECT 2', dialect: 'spark' }] };
    expect(await put({ fingerprint: 'f2', view: next })).toEqual({ viewId, changed: true, made: false });
    expect(await catalog.clients.views.getView({ viewId })).toMatchObject({
      ...next,
      description: 'ours',
      upstream: { fingerprint: 'f2' },
    });
    // The view was dropped and recreated upstream: it stays the same view here.
    expect((await get(put({ uuid: 'u2', view: next }))).viewId).toBe(viewId);
  });

  it('moves a view if its destination has changed', async () => {
    const { put, get } = await setUp();
    const { viewId } = await put();
    const { namespaceId } = await catalog.namespace();
    expect(await get(put({ view: { namespaceId, name: 'w' } }))).toMatchObject({ viewId, namespaceId, name: 'w' });
    // The old name is free.
    expect((await put({ upstream: of(['src'], 'other') })).viewId).not.toBe(viewId);
  });

  it('refuses invalid requests', async () => {
    const { put } = await setUp();
    expect(await failure(put({ connectorId: 'con_no' }))).toMatchObject({ code: 'NOT_FOUND' });
    expect(await failure(put({ view: { namespaceId: 'ns_no' } }))).toMatchObject({ code: 'NOT_FOUND' });
    expect(await failure(put({ view: { name: '' } }))).toMatchObject(refusal('INVALID_ARGUMENT', 'view.name'));
    expect(await failure(put({ view: { schema: { json: '{' } } }))).toMatchObject(
      refusal('INVALID_ARGUMENT', 'view.schema.json'),
    );
    const twice = [
      { sql: 'a', dialect: 'spark' },
      { sql: 'b', dialect: 'Spark' },
    ];
    expect(await failure(put({ view: { representations: twice } }))).toMatchObject(
      refusal('INVALID_ARGUMENT', 'duplicate dialect'),
    );
  });

  it('never takes a name that belongs to something else, and names both connectors', async () => {
    const { put, ensureTable, ids, get } = await setUp(['first', 'second']);
    const created = await get();
    const conflict = await failure(put({ connectorId: ids[1] }));
    expect(conflict.code).toBe('ALREADY_EXISTS');
    expect(conflict.message).toMatch(
      /view 'fx\.v' belongs to 'src\.v' of connector 'first \d+' \(view view_.*\).*connector 'second \d+'/,
    );
    // A view of the same connector has another upstream name.
    expect(await failure(put({ upstream: of(['src2'], 'v') }))).toMatchObject(refusal('ALREADY_EXISTS', "'src.v'"));
    // A table needs the name.
    expect(await failure(ensureTable({ connectorId: ids[1] }))).toMatchObject(
      refusal('ALREADY_EXISTS', "table 'fx.v' belongs to 'src.v' of connector 'first"),
    );
    const { tableId } = await ensureTable({ upstream: of(['src'], 't'), name: 't' });
    const other = await failure(put({ connectorId: ids[1], upstream: of(['x'], 't'), view: { name: 't' } }));
    expect(other.message).toMatch(
      new RegExp(`view 'fx\\.t' belongs to 'src\\.t' of connector 'first \\d+' \\(table ${tableId}\\).*'second \\d+'`),
    );
    expect(await get()).toEqual(created);
  });

  it('takes over a view that no connector owns: one created by hand, or one whose connector was deleted', async () => {
    const { put, ids, namespaceId } = await setUp(['first', 'second']);
    const { views, connectors } = catalog.clients;
    const byHand = await views.createView({ view: { namespaceId, name: 'v', description: 'mine' } });
    expect(await put()).toEqual({ viewId: byHand.viewId, changed: true, made: false });
    await connectors.deleteConnector({ connectorId: ids[0] });
    expect(await views.getView({ viewId: byHand.viewId })).toMatchObject({
      description: 'mine',
      upstream: { connectorId: '', tableName: 'v' },
    });
    expect(await put({ connectorId: ids[1] })).toEqual({ viewId: byHand.viewId, changed: true, made: false });
    // A table that was created by hand is not taken over.
    await catalog.clients.tables.createTable({ table: { namespaceId, name: 't' } });
    const wants = put({ connectorId: ids[1], upstream: of(['src'], 't'), view: { name: 't' } });
    expect(await failure(wants)).toMatchObject(refusal('ALREADY_EXISTS', 'that no connector owns'));
  });
});

describe('a table and a view of the same upstream name', () => {
  it('the table is deleted with its contents only if the request states that it was dropped', async () => {
    const { put, ensureTable, get, namespaceId } = await setUp();
    const { tableId } = await ensureTable();
    const table = new TestTable(catalog, { tableId, namespaceId });
    await table.put({ snapshotId: 1, changes: [added({ filePath: 'a' })] });
    expect(await failure(put())).toMatchObject(refusal('ALREADY_EXISTS', `(table ${tableId})`));
    expect(await get(put({ replacesTable: true }))).toMatchObject({ name: 'v', namespaceId });
    expect(await failure(catalog.clients.tables.getTable({ tableId }))).toMatchObject({ code: 'NOT_FOUND' });
  });

  it('the view is deleted for a table in the same way', async () => {
    const { put, ensureTable, get } = await setUp();
    const { viewId } = await get();
    expect(await failure(ensureTable())).toMatchObject(refusal('ALREADY_EXISTS', `(view ${viewId})`));
    expect(await ensureTable({ replacesView: true })).toMatchObject({ name: 'v' });
    expect(await failure(catalog.clients.views.getView({ viewId }))).toMatchObject({ code: 'NOT_FOUND' });
    expect(await failure(put())).toMatchObject({ code: 'ALREADY_EXISTS' });
  });

  it('an object of another connector or another upstream name is not deleted', async () => {
    const { put, ensureTable, ids, get } = await setUp(['first', 'second']);
    const { tableId } = await ensureTable();
    const elsewhere = [{ connectorId: ids[1] }, { upstream: of(['src2'], 'v') }];
    for (const request of elsewhere) {
      expect(await failure(put({ ...request, replacesTable: true }))).toMatchObject({ code: 'ALREADY_EXISTS' });
    }
    await catalog.clients.tables.deleteTable({ tableId });
    const { viewId } = await get();
    for (const request of elsewhere) {
      expect(await failure(ensureTable({ ...request, replacesView: true }))).toMatchObject({ code: 'ALREADY_EXISTS' });
    }
    expect((await get()).viewId).toBe(viewId);
  });
});

describe('bound views', () => {
  it('are found by their upstream names, marked missing and found again', async () => {
    const { put, connectorId, ids } = await setUp(['first', 'second']);
    const { bindings, views } = catalog.clients;
    const a = await put({ upstream: of(['x'], 'a'), view: { name: 'a' } });
    const b = await put({ upstream: of(['x', 'y'], 'b'), view: { name: 'b' } });
    await put({ upstream: of(['z'], 'c'), view: { name: 'c' } });
    const lookup = async () =>
      (
        await bindings.lookupBindings({
          connectorId,
          kind: ObjectKind.OBJECT_KIND_VIEW,
          names: [of(['z'], 'c'), of(['x'], 'nope'), of(['x'], 'a')],
        })
      ).bindings;
    expect(await lookup()).toMatchObject([
      { name: 'c', namespacePath: ['fx'], missing: false },
      { objectId: '' },
      { objectId: a.viewId, fingerprint: 'f1' },
    ]);
    const list = async (namespacePath: string[]) => {
      const names: (string | undefined)[] = [];
      let pageToken = '';
      do {
        const page = await bindings.listBindings({
          connectorId,
          kind: ObjectKind.OBJECT_KIND_VIEW,
          namespacePath,
          pageSize: 1,
          pageToken,
        });
        for (const { upstream } of page.bindings) names.push(upstream?.name);
        pageToken = page.nextPageToken;
      } while (pageToken);
      return names;
    };
    expect(await list([])).toEqual(['a', 'b', 'c']);
    expect(await list(['x'])).toEqual(['a', 'b']);
    const mark = (objectIds: string[], id = connectorId) =>
      bindings.markMissing({ connectorId: id, kind: ObjectKind.OBJECT_KIND_VIEW, objectIds });
    expect(await mark([a.viewId], ids[1])).toEqual({ marked: 0n });
    expect(await mark([a.viewId, b.viewId, a.viewId, 'view_no'])).toEqual({ marked: 2n });
    expect(await mark([a.viewId])).toEqual({ marked: 0n });
    expect(await list([])).toEqual(['c']);
    expect((await lookup())[2]).toMatchObject({ missing: true });
    expect((await views.getView({ viewId: a.viewId })).upstream?.missingSince).toBeInstanceOf(Date);
    const back = await put({ upstream: of(['x'], 'a'), view: { name: 'a' } });
    expect(back).toEqual({ viewId: a.viewId, changed: true, made: false });
    expect((await views.getView({ viewId: a.viewId })).upstream?.missingSince).toBeUndefined();
    const tooMany = Array.from({ length: 1001 }, () => SRC);
    expect(
      await failure(bindings.lookupBindings({ connectorId, kind: ObjectKind.OBJECT_KIND_VIEW, names: tooMany })),
    ).toMatchObject(refusal('INVALID_ARGUMENT', 'at most 1000'));
  });

  it('is bound by workers only', async () => {
    const { namespaceId, connectorId, get } = await setUp();
    const { viewId, upstream: bound } = await get();
    const { views } = catalog.clients;
    const upstream = { connectorId, namespacePath: ['src'], tableName: 'other', missingSince: new Date(1e12) };
    expect(await failure(views.createView({ view: { namespaceId, name: 'w', upstream } }))).toMatchObject(
      refusal('INVALID_ARGUMENT', 'view.upstream: is set by workers only'),
    );
    const update = { view: { viewId, upstream }, updateMask: ['upstream'] };
    expect(await failure(views.updateView(update))).toMatchObject(refusal('INVALID_ARGUMENT', 'upstream'));
    expect((await views.getView({ viewId })).upstream).toEqual(bound);
  });
});
