import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { TableFormat } from '../../src/generated/reconciler/v1/tables.ts';
import { TestCatalog } from './harness.ts';

let catalog: TestCatalog;
beforeAll(async () => {
  catalog = await TestCatalog.start();
});
afterAll(() => catalog[Symbol.asyncDispose]());

it('tables and views that are large are listed in pages that clients can read', async () => {
  const { namespaceId } = await catalog.namespace();
  const { tables, views } = catalog.clients;
  const properties = { large: 'x'.repeat(3 * 1024 * 1024) };
  const names = ['a', 'b', 'c', 'd', 'e'];
  for (const name of names) {
    await tables.createTable({ table: { namespaceId, name, format: TableFormat.TABLE_FORMAT_ICEBERG, properties } });
    await views.createView({ view: { namespaceId, name: `v${name}`, properties } });
  }
  const pagesOf = async (list: (pageToken: string) => Promise<{ names: string[]; nextPageToken: string }>) => {
    const pages: string[][] = [];
    let token = '';
    do {
      const page = await list(token);
      pages.push(page.names);
      token = page.nextPageToken;
    } while (token !== '');
    return pages;
  };
  const listed = await pagesOf(async (pageToken) => {
    const page = await tables.listTables({ namespaceId, pageSize: 100, pageToken });
    return { ...page, names: page.tables.map(({ name }) => name) };
  });
  expect(listed).toEqual([['a', 'b'], ['c', 'd'], ['e']]);
  const listedViews = await pagesOf(async (pageToken) => {
    const page = await views.listViews({ namespaceId, pageSize: 100, pageToken });
    return { ...page, names: page.views.map(({ name }) => name) };
  });
  expect(listedViews).toEqual([['va', 'vb'], ['vc', 'vd'], ['ve']]);
});
