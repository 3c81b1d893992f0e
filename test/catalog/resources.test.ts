import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { SnapshotRefType, TableFormat } from '../../src/generated/reconciler/v1/tables.ts';
import { SCHEMA, TestTable } from './files.ts';
import { failure, refusal, TestCatalog } from './harness.ts';

let catalog: TestCatalog;
beforeAll(async () => {
  catalog = await TestCatalog.start();
});
afterAll(() => catalog[Symbol.asyncDispose]());

describe('Catalogs', () => {
  it('are created once per name and once per key', async () => {
    const { catalogs } = catalog.clients;
    const request = {
      catalog: { displayName: 'sales', description: 'd', properties: { a: 'b' } },
      idempotencyKey: 'k1',
    };
    const created = await catalogs.createCatalog(request);
    expect(created).toMatchObject({
      catalogId: expect.stringMatching(/^cat_/),
      displayName: 'sales',
      properties: { a: 'b' },
    });
    expect(await catalogs.createCatalog(request)).toEqual(created);
    const other = { ...request, catalog: { displayName: 'other' } };
    expect(await failure(catalogs.createCatalog(other))).toMatchObject(refusal('INVALID_ARGUMENT', 'idempotency_key'));
    expect(await failure(catalogs.createCatalog({ ...request, idempotencyKey: '' }))).toMatchObject(
      refusal('ALREADY_EXISTS', "'sales'"),
    );
    expect(await failure(catalogs.createCatalog({}))).toMatchObject(
      refusal('INVALID_ARGUMENT', 'catalog: is required'),
    );
    for (const displayName of ['', 'x'.repeat(256), 'a\nb', 'a\0']) {
      expect(await failure(catalogs.createCatalog({ catalog: { displayName } }))).toMatchObject(
        refusal('INVALID_ARGUMENT', 'catalog.display_name'),
      );
    }
  });

  it('are updated by mask and etag', async () => {
    const { catalogs } = catalog.clients;
    const created = await catalogs.createCatalog({ catalog: { displayName: 'up', description: 'old' } });
    const changed = await catalogs.updateCatalog({
      catalog: { ...created, displayName: 'ignored', description: 'new' },
      updateMask: ['description'],
    });
    expect(changed).toMatchObject({ displayName: 'up', description: 'new' });
    expect(changed.etag).not.toBe(created.etag);
    const update = (catalog: object, updateMask?: string[]) =>
      catalogs.updateCatalog({ catalog: { ...changed, etag: '', ...catalog }, updateMask });
    expect(await failure(update({ etag: created.etag }, ['description']))).toMatchObject(
      refusal('ABORTED', 'changed meanwhile'),
    );
    expect(await failure(update({}, []))).toMatchObject(refusal('INVALID_ARGUMENT', 'update_mask: is required'));
    expect(await failure(update({}))).toMatchObject(refusal('INVALID_ARGUMENT', 'update_mask'));
    expect(await failure(update({}, ['etag']))).toMatchObject(refusal('INVALID_ARGUMENT', "'etag' cannot be updated"));
    expect(await failure(update({ catalogId: 'cat_no' }, ['description']))).toMatchObject(
      refusal('NOT_FOUND', 'catalog cat_no'),
    );
    await catalogs.createCatalog({ catalog: { displayName: 'up2' } });
    expect(await failure(update({ displayName: 'up2' }, ['display_name']))).toMatchObject(
      refusal('ALREADY_EXISTS', "'up2'"),
    );
    expect(await catalogs.getCatalog({ catalogId: created.catalogId })).toEqual(changed);
  });

  it('are listed by name in pages, and deleted when empty', async () => {
    await using own = await TestCatalog.start();
    const { catalogs, namespaces } = own.clients;
    for (const displayName of ['c', 'a', 'b', 'Z']) await catalogs.createCatalog({ catalog: { displayName } });
    const first = await catalogs.listCatalogs({ pageSize: 3 });
    const second = await catalogs.listCatalogs({ pageSize: 3, pageToken: first.nextPageToken });
    expect([...first.catalogs, ...second.catalogs].map(({ displayName }) => displayName)).toEqual(['Z', 'a', 'b', 'c']);
    expect(second.nextPageToken).toBe('');
    expect(await failure(catalogs.listCatalogs({ pageToken: 'nonsense' }))).toMatchObject(
      refusal('INVALID_ARGUMENT', 'page_token'),
    );
    const [{ catalogId, etag } = { catalogId: '', etag: '' }] = first.catalogs;
    const { namespaceId } = await namespaces.createNamespace({ namespace: { catalogId, path: ['n'] } });
    expect(await failure(catalogs.deleteCatalog({ catalogId }))).toMatchObject(
      refusal('FAILED_PRECONDITION', 'still holds namespaces'),
    );
    await namespaces.deleteNamespace({ namespaceId });
    expect(await failure(catalogs.deleteCatalog({ catalogId, etag: 'old' }))).toMatchObject({ code: 'ABORTED' });
    await catalogs.deleteCatalog({ catalogId, etag });
    expect(await failure(catalogs.getCatalog({ catalogId }))).toMatchObject({ code: 'NOT_FOUND' });
    expect(await failure(catalogs.getCatalog({}))).toMatchObject(refusal('INVALID_ARGUMENT', 'catalog_id'));
  });
});

describe('Namespaces', () => {
  it('can be nested, and are listed by path with those below', async () => {
    const { namespaces, catalogs } = catalog.clients;
    const { catalogId } = await catalogs.createCatalog({ catalog: { displayName: 'nested' } });
    const paths = [['a', 'b'], ['a'], ['a b'], ['b'], ['a', 'b', 'c'], ['a-b'], ['größe.ü']];
    for (const path of paths) await namespaces.createNamespace({ namespace: { catalogId, path } });
    const list = async (parentPath: string[], pageSize = 2) => {
      const found: string[][] = [];
      let pageToken = '';
      do {
        const page = await namespaces.listNamespaces({ catalogId, parentPath, pageSize, pageToken });
        found.push(...page.namespaces.map(({ path }) => path));
        pageToken = page.nextPageToken;
      } while (pageToken !== '');
      return found;
    };
    expect(await list([])).toEqual([['a'], ['a', 'b'], ['a', 'b', 'c'], ['a b'], ['a-b'], ['b'], ['größe.ü']]);
    expect(await list(['a'])).toEqual([['a'], ['a', 'b'], ['a', 'b', 'c']]);
    expect(await list(['zz'])).toEqual([]);
    expect(await failure(namespaces.createNamespace({ namespace: { catalogId, path: ['a', 'b'] } }))).toMatchObject(
      refusal('ALREADY_EXISTS', "'nested.a.b'"),
    );
    for (const path of [[], ['a', ''], ['a\u001fb']]) {
      expect(await failure(namespaces.createNamespace({ namespace: { catalogId, path } }))).toMatchObject(
        refusal('INVALID_ARGUMENT', 'namespace.path'),
      );
    }
    expect(
      await failure(namespaces.createNamespace({ namespace: { catalogId: 'cat_no', path: ['a'] } })),
    ).toMatchObject(refusal('NOT_FOUND', 'cat_no'));
    expect(await failure(namespaces.listNamespaces({ catalogId: 'cat_no' }))).toMatchObject({ code: 'NOT_FOUND' });
  });

  it('are created once per key, updated, and not deleted while they hold objects', async () => {
    const { namespaces } = catalog.clients;
    const { catalogId } = await catalog.namespace();
    const request = { namespace: { catalogId, path: ['once'] }, idempotencyKey: 'n1' };
    const created = await namespaces.createNamespace(request);
    expect(await namespaces.createNamespace(request)).toEqual(created);
    const changed = await namespaces.updateNamespace({
      namespace: { ...created, description: 'd', properties: { x: 'y' } },
      updateMask: ['description', 'properties'],
    });
    expect(changed).toMatchObject({ description: 'd', properties: { x: 'y' } });
    expect(
      await failure(namespaces.updateNamespace({ namespace: created, updateMask: ['description'] })),
    ).toMatchObject({
      code: 'ABORTED',
    });
    expect(await failure(namespaces.updateNamespace({ namespace: changed, updateMask: ['path'] }))).toMatchObject({
      code: 'INVALID_ARGUMENT',
    });
    const view = await catalog.clients.views.createView({ view: { namespaceId: created.namespaceId, name: 'v' } });
    expect(await failure(namespaces.deleteNamespace({ namespaceId: created.namespaceId }))).toMatchObject(
      refusal('FAILED_PRECONDITION', "such as 'v'"),
    );
    await catalog.clients.views.deleteView({ viewId: view.viewId });
    await namespaces.deleteNamespace({ namespaceId: created.namespaceId });
    expect(await failure(namespaces.getNamespace({ namespaceId: created.namespaceId }))).toMatchObject({
      code: 'NOT_FOUND',
    });
    // The key is free again after its namespace was deleted.
    expect((await namespaces.createNamespace(request)).namespaceId).not.toBe(created.namespaceId);
  });
});

describe('Tables', () => {
  it('store all fields', async () => {
    const { tables } = catalog.clients;
    const { namespaceId, catalogId } = await catalog.namespace();
    const table = {
      namespaceId,
      name: 'orders 2',
      description: 'd',
      format: TableFormat.TABLE_FORMAT_ICEBERG,
      formatVersion: 2,
      location: 'file:///w/orders',
      metadataLocation: 'file:///w/orders/metadata/1.json',
      properties: { k: 'v' },
      schema: SCHEMA,
      partitionSpecs: [{ specId: 0, fields: [{ fieldId: 1000, name: 'p', transform: 'bucket[4]', sourceIds: [1] }] }],
      defaultSpecId: 0,
      refs: [{ name: 'main', snapshotId: 2n ** 62n, type: SnapshotRefType.SNAPSHOT_REF_TYPE_BRANCH, maxRefAgeMs: 5n }],
    };
    const created = await tables.createTable({ table, idempotencyKey: 't1' });
    expect(created).toMatchObject({
      ...table,
      catalogId,
      namespacePath: ['fx'],
      schema: {
        ...SCHEMA,
        columns: [
          { columnId: 1, name: 'id', required: true },
          { columnId: 2 },
          { columnId: 3 },
          { columnId: 5, name: 'where.city', type: 'string' },
        ],
      },
    });
    expect(created.currentSnapshotId).toBeUndefined();
    expect(created.upstream).toBeUndefined();
    expect(await tables.createTable({ table, idempotencyKey: 't1' })).toEqual(created);
    expect(await tables.getTable({ tableId: created.tableId })).toEqual(created);
    expect(await failure(tables.createTable({ table }))).toMatchObject(refusal('ALREADY_EXISTS', `'fx."orders 2"'`));
    expect(await failure(catalog.clients.views.createView({ view: { namespaceId, name: 'orders 2' } }))).toMatchObject({
      code: 'ALREADY_EXISTS',
    });
  });

  it('refuse invalid fields', async () => {
    const { tables } = catalog.clients;
    const { namespaceId } = await catalog.namespace();
    const create = (table: object) => failure(tables.createTable({ table: { namespaceId, name: 'x', ...table } }));
    expect(await create({ name: '' })).toMatchObject(refusal('INVALID_ARGUMENT', 'table.name: is required'));
    expect(await create({ namespaceId: 'ns_no' })).toMatchObject(refusal('NOT_FOUND', 'namespace ns_no'));
    expect(await create({ schema: { schemaId: 0, json: '{"fields": 3}' } })).toMatchObject(
      refusal('INVALID_ARGUMENT', 'table.schema.json'),
    );
    expect(await create({ currentSnapshotId: 1n })).toMatchObject(refusal('INVALID_ARGUMENT', 'current_snapshot_id'));
    expect(
      await create({ refs: [{ name: 'a', snapshotId: 1n, type: SnapshotRefType.SNAPSHOT_REF_TYPE_UNSPECIFIED }] }),
    ).toMatchObject(refusal('INVALID_ARGUMENT', 'table.refs[0].type'));
    expect(await create({ partitionSpecs: [{ specId: 1 }, { specId: 1 }] })).toMatchObject(
      refusal('INVALID_ARGUMENT', 'duplicate spec_id'),
    );
    expect(await create({ upstream: { connectorId: 'con_no', tableName: 't' } })).toMatchObject(
      refusal('INVALID_ARGUMENT', 'table.upstream: is set by workers only'),
    );
    const several = await create({ name: '', location: 'x'.repeat(10_000) });
    expect(several.message).toContain('table.name');
    expect(several.message).toContain('table.location');
  });

  it('are updated by mask; the current snapshot must be complete', async () => {
    const { ingestion, tables } = catalog.clients;
    const table = await TestTable.create(catalog);
    const update = (fields: object, ...updateMask: string[]) =>
      ingestion.updateTable({ table: { tableId: table.tableId, ...fields }, updateMask });
    await table.createSnapshot({ snapshotId: 5 });
    expect(await failure(update({ currentSnapshotId: 5n }, 'current_snapshot_id'))).toMatchObject(
      refusal('FAILED_PRECONDITION', 'snapshot 5'),
    );
    expect(await failure(update({ currentSnapshotId: 6n }, 'current_snapshot_id'))).toMatchObject({
      code: 'FAILED_PRECONDITION',
    });
    await table.send({ snapshotId: 5 });
    const fetchedAt = new Date(1_700_000_000_000);
    const schema = { schemaId: 3, json: SCHEMA.json };
    const changed = await update(
      {
        currentSnapshotId: 5n,
        location: 's3://b/t',
        schema,
        upstream: { tableName: 't', fingerprint: 'f', fetchedAt },
      },
      'current_snapshot_id',
      'location',
      'schema',
      'upstream',
    );
    expect(changed).toMatchObject({
      currentSnapshotId: 5n,
      location: 's3://b/t',
      schema: { schemaId: 3 },
      upstream: { fingerprint: 'f', fetchedAt },
    });
    expect((await update({ upstream: { fingerprint: 'g' } }, 'upstream.fingerprint')).upstream).toMatchObject({
      tableName: 't',
      fingerprint: 'g',
      fetchedAt,
    });
    expect((await update({}, 'current_snapshot_id')).currentSnapshotId).toBeUndefined();
    expect(await failure(update({ name: 'n' }, 'name'))).toMatchObject({ code: 'INVALID_ARGUMENT' });
    expect(await tables.getTableSchema({ tableId: table.tableId, schemaId: 3 })).toMatchObject(schema);
    expect(await failure(tables.getTableSchema({ tableId: table.tableId, schemaId: 9 }))).toMatchObject(
      refusal('NOT_FOUND', 'schema 9'),
    );
    const put = await tables.putTableSchema({ tableId: table.tableId, schema: { schemaId: 9, json: SCHEMA.json } });
    expect(put.columns).toHaveLength(4);
    expect(
      await failure(tables.putTableSchema({ tableId: table.tableId, schema: { schemaId: 9, json: '[]' } })),
    ).toMatchObject({ code: 'INVALID_ARGUMENT' });
  });

  it('are bound by workers only', async () => {
    const { tables } = catalog.clients;
    const { tableId } = await TestTable.create(catalog);
    const upstream = { connectorId: '', tableName: 'other', fingerprint: 'f' };
    for (const path of ['upstream', 'upstream.fingerprint', 'upstream.missing_since', 'upstream.coverage']) {
      expect(await failure(tables.updateTable({ table: { tableId, upstream }, updateMask: [path] }))).toMatchObject(
        refusal('INVALID_ARGUMENT', path),
      );
    }
    expect((await tables.getTable({ tableId })).upstream).toBeUndefined();
  });

  it('are deleted with all their contents', async () => {
    const { tables } = catalog.clients;
    const table = await TestTable.create(catalog);
    await table.put({ snapshotId: 1 });
    expect(await failure(tables.deleteTable({ tableId: table.tableId, etag: 'x' }))).toMatchObject({ code: 'ABORTED' });
    await tables.deleteTable({ tableId: table.tableId });
    expect(await failure(tables.getTable({ tableId: table.tableId }))).toMatchObject({ code: 'NOT_FOUND' });
    expect(await failure(table.paths(1))).toMatchObject({ code: 'NOT_FOUND' });
    const again = await tables.createTable({ table: { namespaceId: table.namespaceId, name: 't' } });
    expect((await catalog.clients.snapshots.listSnapshots({ tableId: again.tableId })).snapshots).toEqual([]);
    const names = ['b', 'a', 'c'];
    for (const name of names) await tables.createTable({ table: { namespaceId: table.namespaceId, name } });
    const first = await tables.listTables({ namespaceId: table.namespaceId, pageSize: 2 });
    const second = await tables.listTables({
      namespaceId: table.namespaceId,
      pageSize: 2,
      pageToken: first.nextPageToken,
    });
    expect([...first.tables, ...second.tables].map(({ name }) => name)).toEqual(['a', 'b', 'c', 't']);
    expect(await failure(tables.listTables({ namespaceId: 'ns_no', pageToken: first.nextPageToken }))).toMatchObject({
      code: 'INVALID_ARGUMENT',
    });
  });
});

describe('Views', () => {
  it('are created, updated by mask, listed and deleted', async () => {
    const { views } = catalog.clients;
    const { namespaceId } = await catalog.namespace();
    const view = {
      namespaceId,
      name: 'v',
      versionId: 1,
      schema: SCHEMA,
      representations: [{ sql: 'select 1', dialect: 'spark' }],
      defaultCatalog: 'c',
      defaultNamespace: ['a'],
      properties: { k: 'v' },
    };
    const created = await views.createView({ view, idempotencyKey: 'v1' });
    expect(created).toMatchObject({ ...view, namespacePath: ['fx'] });
    expect(await views.createView({ view, idempotencyKey: 'v1' })).toEqual(created);
    expect(await failure(views.createView({ view }))).toMatchObject({ code: 'ALREADY_EXISTS' });
    const twice = { ...created, representations: [...view.representations, { sql: 'select 2', dialect: 'SPARK' }] };
    expect(await failure(views.updateView({ view: twice, updateMask: ['representations'] }))).toMatchObject(
      refusal('INVALID_ARGUMENT', 'duplicate dialect'),
    );
    const changed = await views.updateView({
      view: { ...created, versionId: 2, description: 'no' },
      updateMask: ['version_id'],
    });
    expect(changed).toMatchObject({ versionId: 2, description: '' });
    expect(await failure(views.updateView({ view: created, updateMask: ['version_id'] }))).toMatchObject({
      code: 'ABORTED',
    });
    expect((await views.listViews({ namespaceId })).views).toEqual([changed]);
    expect(await failure(views.deleteView({ viewId: created.viewId, etag: created.etag }))).toMatchObject({
      code: 'ABORTED',
    });
    await views.deleteView({ viewId: created.viewId });
    expect(await failure(views.getView({ viewId: created.viewId }))).toMatchObject(
      refusal('NOT_FOUND', `view ${created.viewId}`),
    );
  });
});

describe('Directory', () => {
  it('resolves names to ids and back', async () => {
    const { directory, namespaces, tables, views } = catalog.clients;
    const { catalogId } = await catalog.clients.catalogs.createCatalog({ catalog: { displayName: 'my.cat' } });
    const { namespaceId } = await namespaces.createNamespace({ namespace: { catalogId, path: ['a', 'b c'] } });
    const { tableId } = await tables.createTable({ table: { namespaceId, name: 't"1' } });
    const { viewId } = await views.createView({ view: { namespaceId, name: 'v' } });
    const resolve = (text: string, object = false) =>
      directory.resolve({ name: { $case: 'text', value: text }, object });
    expect(await resolve(`"my.cat".a.'b c'."t\\"1"`, true)).toMatchObject({
      catalogId,
      namespaceId,
      tableId,
      viewId: '',
    });
    expect(await resolve('"my.cat".a."b c".v', true)).toMatchObject({ viewId, tableId: '' });
    expect(await resolve('"my.cat".a."b c"')).toMatchObject({
      namespaceId,
      tableId: '',
      name: { namespacePath: ['a', 'b c'] },
    });
    expect(
      await directory.resolve({
        name: { $case: 'parts', value: { catalog: 'my.cat', namespacePath: ['a', 'b c'], object: 'v' } },
      }),
    ).toMatchObject({ viewId });
    for (const [id, text] of [
      [tableId, '"my.cat".a."b c"."t\\"1"'],
      [viewId, '"my.cat".a."b c".v'],
      [namespaceId, '"my.cat".a."b c"'],
      [catalogId, '"my.cat"'],
    ] as const) {
      expect((await directory.lookup({ id })).text).toBe(text);
    }
    expect(await failure(resolve('nope.a.t', true))).toMatchObject(refusal('NOT_FOUND', "catalog 'nope'"));
    expect(await failure(resolve('"my.cat".x.t', true))).toMatchObject(refusal('NOT_FOUND', `namespace '"my.cat".x'`));
    expect(await failure(resolve('"my.cat".a."b c".x', true))).toMatchObject(refusal('NOT_FOUND', 'table or view'));
    expect(await failure(resolve('"my.cat', true))).toMatchObject(refusal('INVALID_ARGUMENT', 'position 1'));
    expect(await failure(resolve('a.b', true))).toMatchObject(refusal('INVALID_ARGUMENT', 'catalog.namespace.name'));
    expect(await failure(directory.resolve({}))).toMatchObject({ code: 'INVALID_ARGUMENT' });
    for (const id of ['tbl_no', 'cat_no', 'con_x', 'x'])
      expect(await failure(directory.lookup({ id }))).toMatchObject({ code: 'NOT_FOUND' });
  });
});
