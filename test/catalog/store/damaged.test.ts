import { randomBytes } from 'node:crypto';
import {
  closeSync,
  copyFileSync,
  mkdtempSync,
  openSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  writeSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import { createChannel, createClient } from 'nice-grpc';
import { HealthDefinition } from 'nice-grpc-server-health';
import { openDatabase } from '../../../src/catalog/store/database/database.ts';
import { added, TestTable } from '../files.ts';
import { failure, TestCatalog } from '../harness.ts';

const HEALTH = { healthAddress: '127.0.0.1:0' };

/** A catalog with some megabytes of files in one table. */
async function filled(): Promise<{ catalog: TestCatalog; table: TestTable }> {
  const catalog = await TestCatalog.start(HEALTH);
  const table = await TestTable.create(catalog);
  const changes = Array.from({ length: 5_000 }, (_, i) => added({ filePath: `${'long/'.repeat(40)}${i}` }));
  await table.put({ snapshotId: 1, changes });
  return { catalog, table };
}

/** Overwrites the second half of a file. */
function damage(file: string): void {
  const { size } = statSync(file);
  const fd = openSync(file, 'r+');
  for (let at = Math.ceil(size / 2); at < size; at += 8192) writeSync(fd, randomBytes(8192), 0, 8192, at);
  closeSync(fd);
}

async function ready(catalog: TestCatalog): Promise<{ status: number; database: string }> {
  const response = await fetch(`http://${catalog.aside.healthAddress}/readyz`);
  const { database } = (await response.json()) as { database: string };
  return { status: response.status, database };
}

/** The status that gRPC's health service reports: 1 is SERVING, 2 is NOT_SERVING. */
async function grpcHealth(catalog: TestCatalog): Promise<number> {
  const channel = createChannel(catalog.address);
  try {
    return (await createClient(HealthDefinition, channel).check({ service: '' })).status;
  } finally {
    channel.close();
  }
}

async function until(condition: () => Promise<boolean>): Promise<void> {
  while (!(await condition())) await sleep(50);
}

const createCatalog = (catalog: TestCatalog, displayName: string) =>
  catalog.clients.catalogs.createCatalog({ catalog: { displayName } });

it('the catalog service does not start if its database is too damaged to be opened', async () => {
  const { catalog } = await filled();
  await catalog.stop();
  truncateSync(catalog.file, 100_000);
  await expect(catalog.startAgain()).rejects.toMatchObject({
    code: 'DATA_LOSS',
    message: expect.stringMatching(`^database ${catalog.file} is damaged, .*restore a backup`),
  });
  rmSync(catalog.directory, { recursive: true });
});

it('the log of a database is not moved into a file that replaces it just after the start', async () => {
  const directory = mkdtempSync(join(tmpdir(), 'replaced-'));
  const file = join(directory, 'catalog.db');
  const { db, close } = await openDatabase(file);
  copyFileSync(file, `${file}.copy`);
  renameSync(`${file}.copy`, file);
  const before = readFileSync(file);
  await sleep(1_000);
  expect(await db.selectFrom('catalogs').selectAll().execute()).toEqual([]);
  expect(readFileSync(file).equals(before)).toBe(true);
  await close();
  rmSync(directory, { recursive: true });
});

describe('the catalog service is not ready, and writes nothing,', () => {
  it('if pages of its database were damaged before its start', async () => {
    const { catalog } = await filled();
    await catalog.stop();
    damage(catalog.file);
    await catalog.startAgain();
    const reason = new RegExp(`^database ${catalog.file} is damaged, .*SQLite: .*restore a backup`);
    expect(await ready(catalog)).toEqual({ status: 503, database: expect.stringMatching(reason) });
    expect(await grpcHealth(catalog)).toBe(2);
    expect(await failure(createCatalog(catalog, 'new'))).toEqual({
      code: 'DATA_LOSS',
      message: expect.stringMatching(reason),
    });
    // What is intact can still be read.
    expect((await catalog.clients.catalogs.listCatalogs({})).catalogs).toHaveLength(1);
    expect(catalog.log.join()).toContain('is damaged');
    await catalog[Symbol.asyncDispose]();
  });

  it('as soon as a call finds a damaged page', async () => {
    const { catalog, table } = await filled();
    await catalog.restart();
    expect((await ready(catalog)).status).toBe(200);
    damage(catalog.file);
    expect(await failure(table.paths(1))).toEqual({
      code: 'DATA_LOSS',
      message: expect.stringContaining(`database ${catalog.file} is damaged`),
    });
    expect(await ready(catalog)).toEqual({ status: 503, database: expect.stringContaining('is damaged') });
    expect(await failure(createCatalog(catalog, 'new'))).toMatchObject({ code: 'DATA_LOSS' });
    await until(async () => (await grpcHealth(catalog)) === 2);
    await catalog[Symbol.asyncDispose]();
  });

  it.each([
    ['deleted', (file: string) => rmSync(file)],
    [
      'replaced',
      (file: string) => {
        copyFileSync(file, `${file}.copy`);
        renameSync(`${file}.copy`, file);
      },
    ],
  ])('if the file was %s', async (_, change) => {
    await using catalog = await TestCatalog.start(HEALTH);
    const table = await TestTable.create(catalog);
    const column = { columnId: 1, valueCount: 7n };
    await table.put({ snapshotId: 1, changes: [added({ filePath: 'a', recordCount: 7n, columns: [column] })] });
    change(catalog.file);
    const reason = `database ${catalog.file} was deleted or replaced while the catalog service had it open`;
    expect(await ready(catalog)).toEqual({ status: 503, database: expect.stringContaining(reason) });
    expect(await failure(createCatalog(catalog, 'lost'))).toEqual({
      code: 'DATA_LOSS',
      message: expect.stringContaining(reason),
    });
    await until(async () => catalog.log.join().includes(reason));
    // What is computed for readers at the first request is not stored.
    expect(await table.columns(1)).toMatchObject([column, {}, {}, {}]);
    expect(await table.stats(1)).toMatchObject({ liveRowCount: 7n });
  });

  it('until a file that was moved away is back', async () => {
    await using catalog = await TestCatalog.start(HEALTH);
    renameSync(catalog.file, `${catalog.file}.away`);
    await until(async () => (await grpcHealth(catalog)) === 2);
    expect((await ready(catalog)).status).toBe(503);
    renameSync(`${catalog.file}.away`, catalog.file);
    await until(async () => (await grpcHealth(catalog)) === 1);
    expect((await ready(catalog)).status).toBe(200);
    await createCatalog(catalog, 'after');
  });
});
