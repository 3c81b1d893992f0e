import { type ChildProcess, execFileSync, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { text } from 'node:stream/consumers';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { openDatabase } from '../../../src/catalog/store/database/database.ts';
import { Sqlite } from '../../../src/catalog/store/database/sqlite.ts';

const SCRIPT = join(import.meta.dirname, 'dying-process.ts');
const folder = mkdtempSync(join(tmpdir(), 'migrations-'));
const undisturbed = join(folder, 'undisturbed.db');
let statements: number;

/** Opens a database in a process that is killed before a statement, if there is a number. */
async function open(file: string, statement?: number): Promise<{ outcome: string; output: string }> {
  const args = ['--import', 'tsx', SCRIPT, file, ...(statement === undefined ? [] : [String(statement)])];
  const child: ChildProcess = spawn(process.execPath, args, { stdio: ['ignore', 'pipe', 'pipe'] });
  const closed = once(child, 'close');
  const [output, errors] = await Promise.all([text(child.stdout!), text(child.stderr!)]);
  const [code, signal] = await closed;
  return { outcome: signal ?? `exit ${code}`, output: output + errors };
}

/** All that a migration creates, and what says that it has been applied. */
function contents(file: string): unknown {
  const db = new Sqlite(file, { readonly: true });
  try {
    return {
      schema: db.prepare('select type, name, tbl_name, sql from sqlite_schema order by type, name').all(),
      applied: db.prepare('select name from kysely_migration').all(),
      lock: db.prepare('select * from kysely_migration_lock').all(),
      statistics: db.prepare('select * from sqlite_stat1 order by tbl, idx').all(),
      pageSize: db.pragma('page_size'),
      journal: db.pragma('journal_mode'),
      check: db.pragma('integrity_check'),
    };
  } finally {
    db.close();
  }
}

async function migrateHere(file: string): Promise<void> {
  await (await openDatabase(file)).close();
}

beforeAll(async () => {
  const { outcome, output } = await open(undisturbed);
  expect(outcome).toBe('exit 0');
  statements = Number(output);
  // More than one per table; otherwise the script does not count.
  expect(statements).toBeGreaterThan(60);
});

afterAll(() => rmSync(folder, { recursive: true, force: true }));

it('completes a migration that was killed before any of its statements', async () => {
  const expected = contents(undisturbed);
  const numbers = Array.from({ length: statements }, (_, i) => i + 1);
  const kill = async () => {
    for (let number = numbers.shift(); number !== undefined; number = numbers.shift()) {
      const file = join(folder, `killed-${number}.db`);
      expect([number, (await open(file, number)).outcome]).toEqual([number, 'SIGKILL']);
      await migrateHere(file);
      expect([number, contents(file)]).toEqual([number, expected]);
    }
  };
  await Promise.all([kill(), kill()]);
}, 600_000);

it('completes a migration for which the disk had been too full', async () => {
  const disk = join(folder, 'disk');
  mkdirSync(disk);
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', disk]);
  const outcomes = new Set<string>();
  try {
    for (let kilobytes = 4; kilobytes <= 2048; kilobytes = Math.ceil(kilobytes * 1.5)) {
      execFileSync('mount', ['-o', `remount,size=${kilobytes}k`, disk]);
      const file = join(disk, 'catalog.db');
      const { outcome, output } = await open(file);
      if (outcome !== 'exit 0') expect(output).toMatch(/SQLITE_FULL|disk is full|SQLITE_IOERR|disk I\/O error|ENOSPC/);
      outcomes.add(outcome);
      execFileSync('mount', ['-o', 'remount,size=16m', disk]);
      await migrateHere(file);
      expect([kilobytes, contents(file)]).toEqual([kilobytes, contents(undisturbed)]);
      for (const suffix of ['', '-wal', '-shm']) rmSync(file + suffix, { force: true });
    }
    expect(outcomes).toEqual(new Set(['exit 0', 'exit 1']));
  } finally {
    execFileSync('umount', [disk]);
  }
}, 300_000);
