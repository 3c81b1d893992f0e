import { type ChildProcess, spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdirSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { lockDatabase } from '../../../src/catalog/store/database/database-lock.ts';
import { connectCatalog } from '../../../src/catalog-client/connect.ts';
import { freePort } from '../../../src/stack/ports.ts';
import { failure } from '../harness.ts';

const BIN = join(import.meta.dirname, '../../../bin/reconciler.js');

describe('the lock of a database', () => {
  let folder: string;
  let file: string;
  const children: ChildProcess[] = [];

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'lock-'));
    mkdirSync(join(folder, 'data'));
    file = join(folder, 'data', 'catalog.db');
  });

  afterEach(async () => {
    for (const child of children.splice(0)) {
      if (child.exitCode !== null || child.signalCode !== null) continue;
      child.kill('SIGKILL');
      await once(child, 'exit');
    }
    rmSync(folder, { recursive: true });
  });

  it.each([
    ['a link to the file', (link: string) => symlinkSync(file, link)],
    [
      'a relative link to a link',
      (link: string) => {
        symlinkSync('data/catalog.db', `${link}.2`);
        symlinkSync(`${link}.2`, link);
      },
    ],
  ])('is the same through %s, whether the file exists or not', async (_, make) => {
    const link = join(folder, 'link.db');
    make(link);
    const lock = await lockDatabase(file, { waitMs: 0 });
    await expect(lockDatabase(link, { waitMs: 0 })).rejects.toMatchObject({ code: 'FAILED_PRECONDITION' });
    lock.release();
    const throughLink = await lockDatabase(link, { waitMs: 0 });
    await expect(lockDatabase(file, { waitMs: 0 })).rejects.toMatchObject({ code: 'FAILED_PRECONDITION' });
    throughLink.release();
  });

  it('is not taken over before the holder, which looks each second, has noticed that its file was deleted', async () => {
    writeFileSync(file, 'a database');
    // It has no lock file yet, as one that was copied here.
    const holder = await lockDatabase(file);
    const order: string[] = [];
    const timer = setInterval(() => {
      if (!holder.isHeld()) order.push('noticed');
    }, 1_000);
    rmSync(`${file}.lock`);
    const next = await lockDatabase(file);
    clearInterval(timer);
    order.push('taken over');
    expect([order[0], order.at(-1)]).toEqual(['noticed', 'taken over']);
    next.release();
    holder.release();
  });

  interface Service {
    child: ChildProcess;
    clients: ReturnType<typeof connectCatalog>;
    output(): string;
  }

  async function serve(): Promise<Service> {
    const address = `127.0.0.1:${await freePort('127.0.0.1')}`;
    const args = [BIN, 'catalog', '--insecure-no-auth', '--address', address, '--database', file];
    const env = { ...process.env, TEMPORAL_ADDRESS: '127.0.0.1:9', RECONCILER_DATA_DIR: folder };
    const child = spawn(process.execPath, args, { env, stdio: ['ignore', 'pipe', 'pipe'] });
    children.push(child);
    let output = '';
    for (const stream of [child.stdout, child.stderr])
      stream.setEncoding('utf8').on('data', (part) => (output += part));
    return { child, clients: connectCatalog(address), output: () => output };
  }

  async function logged(service: Service, line: string): Promise<void> {
    while (!service.output().includes(line)) {
      if (service.child.exitCode !== null) throw new Error(service.output());
      await sleep(20);
    }
  }

  it('does not let two services write if its file is deleted: the first one ends', async () => {
    const create = ({ clients }: Service, displayName: string) =>
      clients.catalogs.createCatalog({ catalog: { displayName } });
    const first = await serve();
    await logged(first, 'is listening');
    await create(first, 'a');
    const exit = once(first.child, 'exit');
    rmSync(`${file}.lock`);
    const second = await serve();
    const firstStopped = logged(first, 'catalog service has stopped').then(() => 'the first stops');
    const secondListens = logged(second, 'is listening').then(() => 'the second listens');
    expect(await Promise.race([firstStopped, secondListens])).toBe('the first stops');
    expect((await exit)[0]).toBe(1);
    expect(first.output()).toContain(`error: the lock file of database ${file} was deleted or replaced`);
    await secondListens;
    await create(second, 'b');
    expect(await failure(create(first, 'c'))).toMatchObject({ code: 'UNAVAILABLE' });
    const { catalogs } = await second.clients.catalogs.listCatalogs({});
    expect(catalogs.map(({ displayName }) => displayName)).toEqual(['a', 'b']);
    for (const { clients } of [first, second]) clients.close();
  });
});
