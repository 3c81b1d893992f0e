import { fork } from 'node:child_process';
import { once } from 'node:events';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { Sqlite, sqlitePath } from '../../src/catalog/store/database/sqlite.ts';
import { type Harness, runCli, startHarness } from './harness.ts';

let folder: string;
let database: string;
let backup: string;
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'reconciler-backup-'));
  database = join(folder, 'data/catalog.db');
  backup = join(folder, 'backup.db');
});
afterEach(() => rmSync(folder, { recursive: true, force: true }));

const run = (...args: string[]) => runCli(args, { RECONCILER_DATA_DIR: join(folder, 'data') });

/** Starts a service on the database. */
const serve = () => startHarness(database);

async function names(cli: Harness): Promise<string[]> {
  const { connectors } = await cli.clients.connectors.listConnectors({});
  return connectors.map(({ displayName }) => displayName);
}

/** What a database has, read without the project's own code. */
function read<T>(file: string, sql: string): T {
  const sqlite = new Sqlite(file, { readonly: true });
  try {
    return sqlite.prepare(sql).pluck().get() as T;
  } finally {
    sqlite.close();
  }
}

/** A backup of a catalog with the connector `a`; the catalog then got another one, `b`. */
async function backedUp(): Promise<void> {
  await using cli = await serve();
  await cli.create('a');
  expect(await run('backup', backup)).toMatchObject({ code: 0, stderr: '' });
  await cli.create('b');
}

describe('reconciler backup', () => {
  it('copies a database in use to one private file, and prints what it has and how to restore it', async () => {
    await using cli = await serve();
    await cli.create('a');
    const { code, stdout } = await run('backup', backup);
    expect(code).toBe(0);
    expect(stdout).toMatch(
      /^backed up .*data\/catalog\.db to .*backup\.db\n[\d.]+ KiB: 0 tables, 0 views, 1 connector, 0 jobs; checked\nto restore it: .* `reconciler restore .*backup\.db`\n$/,
    );
    expect(statSync(backup).mode & 0o777).toBe(0o600);
    expect(read(backup, 'select display_name from connectors')).toBe('a');
    expect(read(backup, 'pragma integrity_check')).toBe('ok');
    // Nothing else is left.
    expect(readdirSync(folder).sort()).toEqual(['backup.db', 'data']);
    expect(await names(cli)).toEqual(['a']);
  });

  it('prints JSON on request', async () => {
    await using cli = await serve();
    const { json } = await run('backup', backup, '--json');
    expect(json).toEqual([
      {
        ...{ file: backup, database, catalogId: expect.stringMatching(/^svc_/), sizeBytes: statSync(backup).size },
        ...{ tables: 0, views: 0, connectors: 0, jobs: 0 },
      },
    ]);
    expect(await names(cli)).toEqual([]);
  });

  it('ends, with the state of one moment, while another process never stops writing', async () => {
    await using _cli = await serve();
    const writer = join(folder, 'writer.cjs');
    writeFileSync(
      writer,
      `const db = new (require(${JSON.stringify(sqlitePath)}))(${JSON.stringify(database)}, { timeout: 5000 });
       db.pragma('synchronous = off');
       db.exec('create table filler (a, b); create table pairs (a)');
       db.prepare("with recursive n(i) as (select 1 union all select i + 1 from n where i < 20000) insert into filler select i, randomblob(4000) from n").run();
       const insert = db.prepare('insert into pairs values (?)');
       let n = 0;
       const write = db.transaction(() => { insert.run(n); insert.run(n++); });
       setInterval(() => { for (const end = Date.now() + 50; Date.now() < end; ) write(); process.send('ready'); }, 1);`,
    );
    const child = fork(writer);
    try {
      await once(child, 'message');
      const before = read<number>(database, 'select count(*) from pairs');
      expect(await run('backup', backup)).toMatchObject({ code: 0, stderr: '' });
      expect(read<number>(database, 'select count(*) from pairs')).toBeGreaterThan(before);
      expect(read(backup, 'select count(*) from filler')).toBe(20_000);
      expect(read<number>(backup, 'select count(*) from pairs')).toBeGreaterThanOrEqual(before);
      // Each transaction is in it with both of its rows, or not at all.
      expect(read(backup, 'select count(*) - 2 * count(distinct a) from pairs')).toBe(0);
    } finally {
      child.kill('SIGKILL');
    }
  });

  it('replaces a file only with --force, and never the database', async () => {
    await backedUp();
    const before = readFileSync(backup);
    const refused = await run('backup', backup);
    expect([refused.code, refused.stderr]).toEqual([1, `error: ${backup} exists: add --force to replace it\n`]);
    expect(readFileSync(backup)).toEqual(before);
    expect((await run('backup', backup, '--force')).code).toBe(0);
    expect(read(backup, 'select count(*) from connectors')).toBe(2);
    symlinkSync(database, join(folder, 'link.db'));
    for (const file of [database, join(folder, 'link.db')]) {
      const { code, stderr } = await run('backup', file, '--force');
      expect([code, stderr]).toEqual([2, `error: ${file} is the database itself: name another file\n`]);
    }
    await using other = await startHarness(join(folder, 'other.db'));
    const { stderr } = await run('backup', join(folder, 'other.db'), '--force');
    expect(stderr).toContain('other.db is a database in use');
    expect(await names(other)).toEqual([]);
  });

  it('states what is wrong with a database, and writes nothing', async () => {
    const noDatabase = await run('backup', backup);
    expect([noDatabase.code, noDatabase.stderr]).toEqual([
      1,
      `error: database ${database} does not exist: name the catalog's with --database\n`,
    ]);
    await backedUp();
    rmSync(backup);
    expect((await run('backup', join(folder, 'no/where.db'))).stderr).toContain('no does not exist');
    // The pages of the last third are gone.
    truncateSync(database, Math.floor((statSync(database).size * 2) / 3));
    const damaged = await run('backup', backup);
    expect(damaged.code).toBe(1);
    expect(damaged.stderr).toMatch(/is damaged: /);
    writeFileSync(database, 'x'.repeat(10_000));
    expect((await run('backup', backup)).stderr).toContain(`${database} is not a SQLite database`);
    expect(existsSync(backup)).toBe(false);
    expect(readdirSync(folder)).toEqual(['data']);
  });
});

describe('reconciler restore', () => {
  it('puts the backup in the place of the database, which is kept', async () => {
    await backedUp();
    const { code, stdout } = await run('restore', backup);
    expect(code).toBe(0);
    const [, kept = ''] = /^the database before is (\S+catalog\.db\.replaced-\S+); delete it/m.exec(stdout) ?? [];
    expect(stdout).toMatch(/^now start the catalog service; the first job of its connector verifies all its tables$/m);
    expect(statSync(database).mode & 0o777).toBe(0o600);
    expect(readdirSync(join(folder, 'data')).sort()).toEqual(
      ['catalog.db', 'catalog.db.lock', kept.slice(kept.lastIndexOf('/') + 1)].sort(),
    );
    expect(read(kept, 'select count(*) from connectors')).toBe(2);
    expect(read(database, 'select catalog_id from service')).toBe(read(backup, 'select catalog_id from service'));
    await using cli = await serve();
    expect(await names(cli)).toEqual(['a']);
  });

  it('keeps what only the write-ahead log of the replaced database has, and does not apply it to the new one', async () => {
    await backedUp();
    // A service that was killed leaves its log.
    const sqlite = new Sqlite(database);
    sqlite.exec("update connectors set display_name = 'late' where display_name = 'b'");
    const files = ['', '-wal', '-shm'];
    for (const suffix of files) copyFileSync(database + suffix, join(folder, `killed.db${suffix}`));
    sqlite.close();
    for (const suffix of files) copyFileSync(join(folder, `killed.db${suffix}`), database + suffix);
    expect(statSync(`${database}-wal`).size).toBeGreaterThan(0);
    const [{ replaced }] = (await run('restore', backup, '--json')).json;
    expect(read(replaced, "select count(*) from connectors where display_name = 'late'")).toBe(1);
    expect(existsSync(`${database}-wal`)).toBe(false);
    expect(read(database, 'pragma integrity_check')).toBe('ok');
    expect(read(database, 'select group_concat(display_name) from connectors')).toBe('a');
  });

  it('replaces a damaged database, and creates one that does not exist', async () => {
    await backedUp();
    writeFileSync(database, 'x'.repeat(10_000));
    writeFileSync(`${database}-wal`, 'y'.repeat(10_000));
    const [{ replaced }] = (await run('restore', backup, '--json')).json;
    expect(readFileSync(replaced, 'utf8')).toMatch(/^x+$/);
    expect(existsSync(`${database}-wal`)).toBe(false);
    expect(read(database, 'select display_name from connectors')).toBe('a');
    const elsewhere = join(folder, 'new/machine/catalog.db');
    const { code, stdout } = await run('restore', backup, '--database', elsewhere);
    expect(code).toBe(0);
    expect(stdout).not.toContain('the database before');
    expect(statSync(join(folder, 'new/machine')).mode & 0o777).toBe(0o700);
    expect(read(elsewhere, 'select display_name from connectors')).toBe('a');
  });

  it('replaces the file that a link names', async () => {
    await backedUp();
    const link = join(folder, 'link.db');
    symlinkSync(database, link);
    expect((await run('restore', backup, '--database', link)).code).toBe(0);
    expect(read(database, 'select count(*) from connectors')).toBe(1);
    expect(read(link, 'select count(*) from connectors')).toBe(1);
  });

  it('refuses a database that a service uses', async () => {
    await using cli = await serve();
    expect((await run('backup', backup)).code).toBe(0);
    await cli.create('b');
    const { code, stderr } = await run('restore', backup);
    expect(code).toBe(1);
    expect(stderr).toContain(`database ${database} is served by another catalog service`);
    expect(await names(cli)).toEqual(['b']);
    expect(readdirSync(join(folder, 'data')).filter((name) => /partial|replaced/.test(name))).toEqual([]);
  });

  it.each(['normal', 'exclusive'])(
    'refuses a database that another program has open, in the locking mode %s',
    async (mode) => {
      await backedUp();
      const other = new Sqlite(database);
      other.pragma(`locking_mode = ${mode}`);
      other.exec('create table of_another_program (n); begin; select * from of_another_program');
      const rows = other.prepare('select count(*) from connectors').pluck();
      rows.get();
      const { code, stderr } = await run('restore', backup);
      expect([code, stderr]).toEqual([
        1,
        expect.stringContaining(`database ${database} is open in another process: close it first`),
      ]);
      other.exec('commit');
      expect(rows.get()).toBe(2);
      other.close();
      expect(read(database, 'select group_concat(display_name) from connectors')).toBe('a,b');
    },
  );

  it('checks the backup before it touches anything', async () => {
    await backedUp();
    const wrong = (name: string, change: (sqlite: InstanceType<typeof Sqlite>) => void) => {
      const file = join(folder, name);
      copyFileSync(backup, file);
      const sqlite = new Sqlite(file);
      sqlite.pragma('foreign_keys = off');
      change(sqlite);
      sqlite.close();
      return file;
    };
    const text = join(folder, 'text');
    writeFileSync(text, 'gpg'.repeat(5_000));
    const empty = join(folder, 'empty');
    writeFileSync(empty, '');
    const cut = join(folder, 'cut');
    copyFileSync(backup, cut);
    truncateSync(cut, Math.floor(statSync(cut).size / 2));
    const foreign = join(folder, 'foreign');
    const other = new Sqlite(foreign);
    other.exec('create table t (a)');
    other.close();
    const newer = wrong('newer', (sqlite) => {
      sqlite.exec("insert into kysely_migration values ('9999-later', '2030')");
    });
    const orphan = wrong('orphan', (sqlite) => {
      sqlite.exec("insert into claim_waiters values (1, 'default', 'con_gone', 'job')");
    });
    const before = readFileSync(database);
    for (const [file, message] of [
      [join(folder, 'nothing'), /backup .*nothing does not exist/],
      [text, /text is not a SQLite database: if the backup was encrypted or compressed/],
      [empty, /empty is not the database of a catalog service: it is empty/],
      [cut, /cut is damaged: /],
      [foreign, /foreign is not the database of a catalog service: it has other tables/],
      [newer, /newer was written by a newer version .*9999-later/],
      [orphan, /orphan is damaged: a row of claim_waiters refers to a row of connectors that does not exist/],
      [database, /is the database itself/],
    ] as const) {
      const { code, stdout, stderr } = await run('restore', file);
      expect({ file, code, stdout }).toMatchObject({ stdout: '' });
      expect(code).not.toBe(0);
      expect(stderr).toMatch(message);
    }
    expect(readFileSync(database)).toEqual(before);
    expect(readdirSync(join(folder, 'data')).filter((name) => /partial|replaced/.test(name))).toEqual([]);
  });

  it('marks what is uncertain since the backup', async () => {
    await backedUp();
    const prepared = new Sqlite(backup);
    const binding = (id: string, fingerprint: string) =>
      prepared.exec(
        `insert into bindings values ('${id}', 'default', 'OBJECT_KIND_TABLE', null, 'p', '${id}', 1, '', '${fingerprint}', '', null, null)`,
      );
    binding('tbl_read', 'v3.metadata.json');
    binding('tbl_new', '');
    prepared.exec("update connectors set running_job_id = 'job', claim_run_id = 'run', claim_epoch = 7");
    prepared.close();
    const began = Date.now();
    expect((await run('restore', backup)).code).toBe(0);
    const restoredAt = read<number>(database, 'select restored_at from service');
    expect(restoredAt).toBeGreaterThanOrEqual(began);
    expect(read(database, 'select unverified_since from connectors')).toBe(restoredAt);
    // No write of a job that had the connector before is accepted.
    expect(read(database, "select running_job_id || '/' || claim_run_id || '/' || claim_epoch from connectors")).toBe(
      '//8',
    );
    // Its fingerprint is no upstream's; an object that was never read completely stays one.
    expect(read(database, "select fingerprint from bindings where object_id = 'tbl_read'")).toBe('unfinished');
    expect(read(database, "select fingerprint from bindings where object_id = 'tbl_new'")).toBe('');
    expect(read(backup, 'select restored_at from service')).toBeNull();
  });

  it('gives a copy an identity of its own, if it is to exist beside the original', async () => {
    await backedUp();
    const copy = join(folder, 'copy/catalog.db');
    mkdirSync(join(folder, 'copy'));
    const { stdout } = await run('restore', backup, '--database', copy, '--new-identity');
    const id = read<string>(copy, 'select catalog_id from service');
    expect(id).toMatch(/^svc_/);
    expect(id).not.toBe(read(backup, 'select catalog_id from service'));
    expect(stdout).toContain(`the catalog has a new identity, ${id}`);
  });
});
