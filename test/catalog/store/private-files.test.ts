import { chmodSync, mkdtempSync, readdirSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { openDatabase } from '../../../src/catalog/store/database/database.ts';
import { lockDatabase } from '../../../src/catalog/store/database/database-lock.ts';
import { Sqlite } from '../../../src/catalog/store/database/sqlite.ts';

let folder: string;
let before: number;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'private-'));
  before = process.umask(0o022);
});

afterEach(() => {
  process.umask(before);
  rmSync(folder, { recursive: true });
});

/** The modes of all files in a folder, in octal. */
function modes(of: string): Record<string, string> {
  return Object.fromEntries(readdirSync(of).map((name) => [name, (statSync(join(of, name)).mode & 0o777).toString(8)]));
}

const PRIVATE = {
  'catalog.db': '600',
  'catalog.db-shm': '600',
  'catalog.db-wal': '600',
  'catalog.db.lock': '600',
  'catalog.db.lock-journal': '600',
};

async function open(file: string) {
  const lock = await lockDatabase(file);
  const database = await openDatabase(file);
  return {
    async close() {
      await database.close();
      lock.release();
    },
  };
}

it('other users can read neither a new database nor its folder', async () => {
  const data = join(folder, 'a', 'b');
  const opened = await open(join(data, 'catalog.db'));
  expect(modes(data)).toEqual(PRIVATE);
  expect(modes(folder)).toEqual({ a: '700' });
  expect(modes(join(folder, 'a'))).toEqual({ b: '700' });
  await opened.close();
});

it('a database that others could read becomes private, in a folder that stays as it is', async () => {
  chmodSync(folder, 0o755);
  const file = join(folder, 'catalog.db');
  await (await open(file)).close();
  // As a service leaves them that was killed.
  const killed = new Sqlite(file);
  killed.exec('create table t (a); drop table t');
  for (const name of readdirSync(folder)) chmodSync(join(folder, name), 0o644);
  const opened = await open(file);
  expect(modes(folder)).toEqual(PRIVATE);
  expect(statSync(folder).mode & 0o777).toBe(0o755);
  killed.close();
  await opened.close();
});
