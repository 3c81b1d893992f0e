import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from '@jest/globals';
import { makeDataDir } from '../../src/stack/private-data.ts';

let folder: string;
let dataDir: string;

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'private-data-'));
  dataDir = join(folder, 'data');
});

afterEach(() => rmSync(folder, { recursive: true }));

const modeOf = (path: string) => (statSync(path).mode & 0o777).toString(8);
const FILES = [
  'catalog.db',
  'catalog.db-wal',
  'catalog.db.lock',
  'temporal.db',
  'stack.json',
  'up.lock',
  'logs/a.log.1',
];

/** A data directory that anybody can read. */
function makeOpenDataDir(): void {
  mkdirSync(join(dataDir, 'logs'), { recursive: true });
  for (const name of FILES) writeFileSync(join(dataDir, name), '');
  for (const name of ['', 'logs', ...FILES]) chmodSync(join(dataDir, name), name.match(/^(logs)?$/) ? 0o755 : 0o644);
}

it('a new data directory can be entered only by its user', () => {
  makeDataDir(join(dataDir, 'deep'));
  expect([dataDir, join(dataDir, 'deep'), join(dataDir, 'deep/logs')].map(modeOf)).toEqual(['700', '700', '700']);
});

it('an existing data directory becomes private', () => {
  makeOpenDataDir();
  makeDataDir(dataDir);
  expect([modeOf(dataDir), modeOf(join(dataDir, 'logs'))]).toEqual(['700', '700']);
  expect(FILES.map((name) => modeOf(join(dataDir, name)))).toEqual(FILES.map(() => '600'));
});

it('a directory that also contains something else stays open, as do its other files and the targets of links', () => {
  makeOpenDataDir();
  writeFileSync(join(dataDir, 'package.json'), '{}', { mode: 0o644 });
  writeFileSync(join(folder, 'elsewhere.db'), '', { mode: 0o644 });
  rmSync(join(dataDir, 'temporal.db'));
  symlinkSync(join(folder, 'elsewhere.db'), join(dataDir, 'temporal.db'));
  makeDataDir(dataDir);
  expect(modeOf(dataDir)).toBe('755');
  expect(modeOf(join(dataDir, 'package.json'))).toBe('644');
  expect(modeOf(join(folder, 'elsewhere.db'))).toBe('644');
  const own = readdirSync(dataDir).filter((name) => !/^(package.json|temporal.db|logs)$/.test(name));
  expect(own.map((name) => modeOf(join(dataDir, name)))).toEqual(own.map(() => '600'));
});
