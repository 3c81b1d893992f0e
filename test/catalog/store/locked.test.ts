import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import { openDatabase } from '../../../src/catalog/store/database/database.ts';
import { write } from '../../../src/catalog/store/database/transaction.ts';
import type { CodedError } from '../../../src/errors.ts';
import { added, TestTable } from '../files.ts';
import { failure, TestCatalog } from '../harness.ts';
import { lockElsewhere } from './locking-process.ts';

describe('while another process has locked the database', () => {
  it('writes wait, reads answer, and everything is written in the end', async () => {
    await using catalog = await TestCatalog.start();
    const table = await TestTable.create(catalog);
    const { catalogs } = catalog.clients;
    const lock = await lockElsewhere(catalog.file);
    let written = 0;
    const names = Array.from({ length: 50 }, (_, i) => `c${i}`);
    const writes = names.map(async (displayName) => {
      await catalogs.createCatalog({ catalog: { displayName } });
      written += 1;
    });
    const bulk = table.put({ snapshotId: 1, changes: [added({ filePath: 'a' }), added({ filePath: 'b' })] });
    // Each read waits until the one before has been answered, so they are answered while the writes wait.
    for (let i = 0; i < 20; i++) await catalogs.listCatalogs({});
    expect(written).toBe(0);
    await lock.unlock();
    await Promise.all([...writes, bulk]);
    expect(await table.paths(1)).toEqual(['a', 'b']);
    const found = (await catalogs.listCatalogs({ pageSize: 1000 })).catalogs.map(({ displayName }) => displayName);
    expect(found).toEqual(expect.arrayContaining(names));
  });

  it('writes fail with UNAVAILABLE if it stays locked, and are possible afterwards', async () => {
    await using catalog = await TestCatalog.start({ healthAddress: '127.0.0.1:0' });
    const table = await TestTable.create(catalog);
    const { catalogs } = catalog.clients;
    const lock = await lockElsewhere(catalog.file);
    const create = (i: number) => catalogs.createCatalog({ catalog: { displayName: `c${i}` } });
    const answers = [
      ...Array.from({ length: 30 }, (_, i) => failure(create(i))),
      failure(table.put({ snapshotId: 1, changes: [added({ filePath: 'a' })] })),
    ];
    const unavailable = {
      code: 'UNAVAILABLE',
      message:
        `database ${catalog.file} is locked by another process: end what writes to it beside the catalog service; ` +
        'jobs wait and then continue',
    };
    for (const answer of await Promise.all(answers)) expect(answer).toEqual(unavailable);
    const ready = await fetch(`http://${catalog.aside.healthAddress}/readyz`);
    expect(ready.status).toBe(200);
    await lock.unlock();
    await create(100);
    while (!catalog.log.join().includes('another process has locked the database')) await sleep(100);
  });

  it('nothing is written that waited until another service could use the database', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'locked-'));
    const file = join(folder, 'catalog.db');
    const { db, health, close } = await openDatabase(file);
    const lock = await lockElsewhere(file);
    const row = { tenant_id: 'default', job_id: 'j', run_id: 'r' };
    const writes = [
      write(db, (trx) => trx.insertInto('job_runs').values(row).execute()),
      db.insertInto('job_runs').values(row).execute(),
    ].map((written) => written.catch((error: CodedError) => error.message));
    // Both wait when this read has been answered.
    expect(await db.selectFrom('job_runs').selectAll().execute()).toEqual([]);
    const reason = health.reportUnlocked().message;
    await lock.unlock();
    expect(await Promise.all(writes)).toEqual([reason, reason]);
    expect(await db.selectFrom('job_runs').selectAll().execute()).toEqual([]);
    await close();
    rmSync(folder, { recursive: true });
  });

  it('statements outside of transactions wait too', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'locked-'));
    const file = join(folder, 'catalog.db');
    const { db, close } = await openDatabase(file);
    const lock = await lockElsewhere(file);
    const deleted = db.deleteFrom('job_runs').executeTakeFirst();
    let waits = true;
    deleted.then(() => {
      waits = false;
    });
    expect(await db.selectFrom('job_runs').selectAll().execute()).toEqual([]);
    expect(waits).toBe(true);
    await lock.unlock();
    expect(await deleted).toEqual({ numDeletedRows: 0n });
    await close();
    rmSync(folder, { recursive: true });
  });
});
