import { expect, it } from '@jest/globals';
import { Kysely, SqliteDialect } from 'kysely';
import { migration as first } from '../../src/catalog/store/database/migrations/0001-first.ts';
import { migration as boundViews } from '../../src/catalog/store/database/migrations/0003-bound-views.ts';
import type { Schema } from '../../src/catalog/store/database/schema.ts';
import { Sqlite } from '../../src/catalog/store/database/sqlite.ts';
import { getView } from '../../src/catalog/store/tables/views.ts';

it('views and jobs of version 0.1 stay what they were', async () => {
  const sqlite = new Sqlite(':memory:');
  const db = new Kysely<Schema>({ dialect: new SqliteDialect({ database: sqlite }) });
  await first.up(db as never);
  const resource = `'default', 1, 1, 'e'`;
  sqlite.exec(`
    insert into catalogs (catalog_id, display_name, description, properties, tenant_id, created_at, updated_at, etag)
      values ('cat_1', 'c', '', '{}', ${resource});
    insert into namespaces (namespace_id, catalog_id, path_key, description, properties, tenant_id, created_at, updated_at, etag)
      values ('ns_1', 'cat_1', 'n' || char(31), '', '{}', ${resource});
    insert into jobs values ('j', 'default', 'con_1', 'x', 'JS_SUCCEEDED', '', 1, 1, 1, 0, 5, 4, 1, 0, 0, 0, 0, 0, 0, '', '')`);
  const insert = sqlite.prepare(
    `insert into views (view_id, catalog_id, namespace_id, name, body, tenant_id, created_at, updated_at, etag)
      values (?, 'cat_1', 'ns_1', ?, ?, ${resource})`,
  );
  const upstream = { connectorId: 'con_1', namespacePath: ['a', 'b'], tableName: 't', uuid: 'u' };
  insert.run('view_1', 'plain', JSON.stringify({ versionId: 3, description: 'd' }));
  // Nothing kept two views from claiming the same upstream.
  insert.run('view_2', 'one', JSON.stringify({ versionId: 1, upstream }));
  insert.run('view_3', 'two', JSON.stringify({ versionId: 1, upstream }));
  await boundViews.up(db as never);

  expect(await getView(db, 'view_1')).toMatchObject({ versionId: 3, description: 'd', upstream: undefined });
  for (const id of ['view_2', 'view_3']) {
    expect(await getView(db, id)).toMatchObject({ versionId: 1, upstream: { ...upstream, connectorId: '' } });
  }
  expect(await db.selectFrom('jobs').selectAll().execute()).toMatchObject([{ tables_scanned: 5, views_scanned: 0 }]);
  await db.destroy();
});
