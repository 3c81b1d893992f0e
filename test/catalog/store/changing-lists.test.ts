import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { type Database, openDatabase } from '../../../src/catalog/store/database/database.ts';
import { scopedTo } from '../../../src/catalog/store/database/scoped.ts';
import { write } from '../../../src/catalog/store/database/transaction.ts';
import { insertCatalog, listCatalogs } from '../../../src/catalog/store/namespaces/catalogs.ts';

let database: Database;
beforeEach(async () => {
  database = await openDatabase(':memory:');
  for (const name of ['b', 'c', 'd']) await create(name);
});
afterEach(() => database.close());

const create = (displayName: string) =>
  write(scopedTo(database.db, 'default'), (trx) =>
    insertCatalog(trx, { displayName, description: '', properties: {} }),
  );
const remove = (name: string) => database.db.deleteFrom('catalogs').where('display_name', '=', name).execute();

/** Lists everything in pages, and changes something after the first statement of the first page. */
async function listWhile(change: () => Promise<unknown>, size: number): Promise<string[]> {
  const names: string[] = [];
  let changed: Promise<unknown> | undefined;
  for (let after: string | undefined, more = true; more; ) {
    const page = listCatalogs(scopedTo(database.db, 'default'), size, after);
    // Statements use the only connection in the order in which they are requested.
    changed ??= change();
    const { items, last } = await page;
    names.push(...items.map(({ displayName }) => displayName));
    after = last?.displayName;
    more = last !== undefined;
  }
  await changed;
  return names;
}

describe('a list that changes while it is read', () => {
  it('has everything that exists all the time, whatever is added before it', async () => {
    expect(await listWhile(() => create('a'), 10)).toEqual(expect.arrayContaining(['b', 'c', 'd']));
  });

  it('ends if what would follow was deleted', async () => {
    expect(await listWhile(() => remove('d'), 2)).toEqual(['b', 'c']);
  });

  it('goes on if something of the page was deleted', async () => {
    expect(await listWhile(() => remove('b'), 2)).toEqual(['c', 'd']);
  });
});
