import { spawnSync } from 'node:child_process';
import { existsSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, it } from '@jest/globals';
import { createChannel, createClient, createClientFactory } from 'nice-grpc';
import { BadRequest, errorDetailsClientMiddleware, RichClientError } from 'nice-grpc-error-details';
import { HealthDefinition } from 'nice-grpc-server-health';
import { pino } from 'pino';
import { anyone } from '../../../src/catalog/auth/authorize-middleware.ts';
import { startCatalog } from '../../../src/catalog/server/server.ts';
import { lockDatabase } from '../../../src/catalog/store/database/database-lock.ts';
import { Sqlite } from '../../../src/catalog/store/database/sqlite.ts';
import { CatalogsDefinition } from '../../../src/generated/reconciler/v1/catalogs.ts';
import { ConnectorKind } from '../../../src/generated/reconciler/v1/connectors.ts';
import { stubEnv, unstubAllEnvs } from '../../jest/stub-env.ts';
import { added, TestTable } from '../files.ts';
import { FakeJobs, failure, TestCatalog } from '../harness.ts';

const logger = pino({ level: 'silent' });

describe('the catalog service', () => {
  it('keeps everything across a restart', async () => {
    await using catalog = await TestCatalog.start();
    const table = await TestTable.create(catalog);
    await table.put({ snapshotId: 1, changes: [added({ filePath: 'a' }), added({ filePath: 'b' })] });
    await table.createSnapshot({ snapshotId: 2, base: 1 });
    await table.send({ snapshotId: 2, changes: [added({ filePath: 'c' })], finish: false });
    await catalog.restart();
    expect(await table.paths(1)).toEqual(['a', 'b']);
    await table.send({ snapshotId: 2, changes: [added({ filePath: 'd' })], expected: { data: 4 } });
    expect(await table.paths(2)).toEqual(['a', 'b', 'c', 'd']);
  });

  it('is the only service of its database, and waits for another one to stop', async () => {
    const catalog = await TestCatalog.start();
    await expect(lockDatabase(catalog.file, { waitMs: 0 })).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
      message: `database ${catalog.file} is served by another catalog service on this machine: use that service, stop it, or pass another --database`,
    });
    let stopped: Promise<void> | undefined;
    const second = { address: '127.0.0.1:0', databaseFile: catalog.file, jobs: new FakeJobs(), logger };
    const logs = pino(
      { level: 'warn' },
      {
        write: (line: string) => {
          expect(JSON.parse(line).msg).toBe('waiting for another catalog service to stop');
          stopped ??= catalog.stop();
        },
      },
    );
    const next = await startCatalog({ authenticate: anyone, ...second, logger: logs });
    expect(stopped).toBeDefined();
    await next.stop();
    (await lockDatabase(catalog.file, { waitMs: 0 })).release();
    await catalog[Symbol.asyncDispose]();
  });

  it('finishes deletions that a stopped service had begun', async () => {
    await using catalog = await TestCatalog.start();
    const table = await TestTable.create(catalog);
    await table.put({ snapshotId: 1, changes: Array.from({ length: 3000 }, (_, i) => added({ filePath: `f${i}` })) });
    await catalog.clients.tables.deleteTable({ tableId: table.tableId });
    await catalog.restart();
    const count = () => {
      const db = new Sqlite(catalog.file, { readonly: true });
      const names = ['files', 'memberships', 'snapshots', 'chains', 'table_contents', 'table_schemas'];
      const counts = names.map((name) => db.prepare(`select count(*) from ${name}`).pluck().get());
      db.close();
      return counts;
    };
    for (let left = 50; left > 0 && count().some((n) => n !== 0); left -= 1) await sleep(100);
    expect(count()).toEqual([0, 0, 0, 0, 0, 0]);
  });

  it('finishes running streams before it stops, and accepts no new calls', async () => {
    const catalog = await TestCatalog.start();
    const table = await TestTable.create(catalog);
    await table.createSnapshot({ snapshotId: 1 });
    const { clients } = catalog;
    let stopped: Promise<void> | undefined;
    async function* slow() {
      const requests = table.requests({
        snapshotId: 1,
        changes: Array.from({ length: 1000 }, (_, i) => added({ filePath: `f${i}` })),
        chunk: 100,
      });
      let sent = 0;
      for await (const request of requests) {
        yield request;
        sent += 1;
        if (sent === 3) {
          await sleep(100);
          // The service stops while this stream is running.
          stopped = catalog.stopService();
        }
        await sleep(20);
      }
    }
    const answer = await clients.fileChanges.commitSnapshot(slow());
    expect(answer).toMatchObject({ complete: true, filesAdded: 1000n });
    await stopped;
    expect(await failure(clients.catalogs.listCatalogs({}, { signal: AbortSignal.timeout(5000) }))).toMatchObject({
      code: 'UNAVAILABLE',
    });
    await catalog[Symbol.asyncDispose]();
  });

  it('reports that a port is in use', async () => {
    await using catalog = await TestCatalog.start();
    const second = startCatalog({
      authenticate: anyone,
      address: catalog.address,
      databaseFile: ':memory:',
      jobs: new FakeJobs(),
      logger,
    });
    await expect(second).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      message: expect.stringContaining(`${catalog.address}: the port is in use`),
    });
  });

  it('leaves nothing behind when it cannot start', async () => {
    await using catalog = await TestCatalog.start();
    const directory = mkdtempSync(join(tmpdir(), 'catalog-'));
    const databaseFile = join(directory, 'c.db');
    let open = 0;
    class Connection extends FakeJobs {
      override async close() {
        open -= 1;
      }
    }
    const jobs = async () => {
      open += 1;
      return new Connection();
    };
    const start = (address: string) => startCatalog({ authenticate: anyone, address, databaseFile, jobs, logger });
    await expect(start(catalog.address)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    await sleep(100);
    expect(open).toBe(0);
    const db = new Sqlite(databaseFile);
    db.exec('delete from service');
    db.close();
    await expect(start('127.0.0.1:0')).rejects.toThrow('no result');
    // It is neither locked nor open: closing the last connection removes the write-ahead log.
    (await lockDatabase(databaseFile, { waitMs: 0 })).release();
    expect(existsSync(`${databaseFile}-wal`)).toBe(false);
    rmSync(directory, { recursive: true });
  });

  it('refuses a database of a newer version, a file that is no database, and a path that cannot be opened', async () => {
    const directory = mkdtempSync(join(tmpdir(), 'catalog-'));
    const start = (databaseFile: string) =>
      startCatalog({ authenticate: anyone, address: '127.0.0.1:0', databaseFile, jobs: new FakeJobs(), logger });
    const file = join(directory, 'new', 'c.db');
    await (await start(file)).stop();
    const db = new Sqlite(file);
    db.exec("insert into kysely_migration values ('0999-future', '2030-01-01')");
    db.close();
    await expect(start(file)).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
      message: expect.stringMatching(/newer version.*0999-future/),
    });
    writeFileSync(join(directory, 'text'), 'this is no database'.repeat(100));
    await expect(start(join(directory, 'text'))).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
      message: expect.stringContaining('cannot be opened'),
    });
    await expect(start(join(directory, 'text', 'c.db'))).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    rmSync(directory, { recursive: true });
  });

  it('answers health checks', async () => {
    await using catalog = await TestCatalog.start();
    const channel = createChannel(catalog.address);
    const health = createClient(HealthDefinition, channel);
    expect(await health.check({ service: '' })).toEqual({ status: 1 });
    expect(await health.check({ service: 'reconciler.v1.Connectors' })).toEqual({ status: 1 });
    await expect(health.check({ service: 'nope' })).rejects.toThrow(/NOT_FOUND/);
    channel.close();
  });

  it('describes itself through reflection', async () => {
    const built = spawnSync(join('node_modules', '.bin', 'buf'), ['build', '-o', '-'], { maxBuffer: 1 << 24 });
    expect(built.status).toBe(0);
    const { readDescriptorSet } = await import('../../../src/catalog/server/descriptor-set.ts');
    // `npx buf build -o src/generated/descriptors.binpb` creates this file.
    expect(readDescriptorSet()).toBeDefined();
    await using catalog = await TestCatalog.start();
    expect(catalog.log.join()).not.toContain('reflection is off');
    const raw = {
      list: {
        path: '/grpc.reflection.v1.ServerReflection/ServerReflectionInfo',
        requestStream: true,
        responseStream: true,
        requestSerialize: (bytes: Uint8Array) => bytes,
        requestDeserialize: (bytes: Uint8Array) => bytes,
        responseSerialize: (bytes: Uint8Array) => bytes,
        responseDeserialize: (bytes: Uint8Array) => bytes,
        options: {},
      },
    } as const;
    const channel = createChannel(catalog.address);
    async function reflected(request: number[]): Promise<string> {
      async function* ask() {
        yield Buffer.from(request);
      }
      for await (const answer of createClient(raw, channel).list(ask())) return Buffer.from(answer).toString('latin1');
      return '';
    }
    // list_services = 7
    const services = await reflected([0x3a, 0x00]);
    expect(services).toContain('reconciler.v1.TableStatistics');
    expect(services).toContain('grpc.health.v1.Health');
    // file_containing_symbol = 4, as grpcurl asks for the types of a call and of the details of its error.
    const symbol = (name: string) => reflected([0x22, name.length, ...Buffer.from(name)]);
    expect(await symbol('grpc.health.v1.Health')).toContain('HealthCheckResponse');
    for (const name of ['Status', 'BadRequest', 'ErrorInfo', 'RetryInfo']) {
      expect(await symbol(`google.rpc.${name}`)).toContain('google.rpc');
      expect(await symbol(`google.rpc.${name}`)).not.toContain('not found');
    }
    // file_by_filename = 3, as it then asks for what those files import.
    const file = (name: string) => reflected([0x1a, name.length, ...Buffer.from(name)]);
    for (const name of ['google/protobuf/any.proto', 'google/protobuf/duration.proto'])
      expect(await file(name)).not.toContain('not found');
    expect(await symbol('google.rpc.Nothing')).toContain('not found');
    channel.close();
  });

  it('names fields in google.rpc.BadRequest', async () => {
    await using catalog = await TestCatalog.start();
    const channel = createChannel(catalog.address);
    const client = createClientFactory().use(errorDetailsClientMiddleware).create(CatalogsDefinition, channel);
    const error = await client.createCatalog({ catalog: { displayName: '' } }).catch((e: unknown) => e);
    expect(error).toBeInstanceOf(RichClientError);
    expect((error as RichClientError).extra).toMatchObject([
      { $type: BadRequest.$type, fieldViolations: [{ field: 'catalog.display_name', description: 'is required' }] },
    ]);
    channel.close();
  });

  it('answers malformed messages with INVALID_ARGUMENT, and internal errors with INTERNAL and no details', async () => {
    await using catalog = await TestCatalog.start();
    const raw = (path: string) =>
      ({
        call: {
          path,
          requestStream: false,
          responseStream: false,
          requestSerialize: (b: Uint8Array) => b,
          requestDeserialize: (b: Uint8Array) => b,
          responseSerialize: (b: Uint8Array) => b,
          responseDeserialize: (b: Uint8Array) => b,
          options: {},
        },
      }) as const;
    const channel = createChannel(catalog.address);
    const send = (path: string, bytes: number[]) => failure(createClient(raw(path), channel).call(Buffer.from(bytes)));
    expect(await send('/reconciler.v1.Catalogs/CreateCatalog', [0x0a, 0xff])).toMatchObject({
      code: 'INVALID_ARGUMENT',
    });
    // An enum value that the contract does not define.
    expect(await send('/reconciler.v1.Connectors/CreateConnector', [0x0a, 2, 0x20, 99])).toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringContaining('99'),
    });
    channel.close();
    const db = new Sqlite(catalog.file);
    db.exec('alter table catalogs rename to hidden');
    db.close();
    const error = await failure(catalog.clients.catalogs.listCatalogs({}));
    expect(error).toMatchObject({ code: 'INTERNAL' });
    expect(error.message).not.toMatch(/catalogs\b.*select|sqlite|hidden|no such table|\.ts/i);
    expect(catalog.log.join()).toContain('no such table');
  });

  it('is reached directly, whatever proxies there are for upstreams', async () => {
    for (const name of ['http_proxy', 'https_proxy', 'grpc_proxy']) stubEnv(name, 'http://127.0.0.1:9');
    const running = await startCatalog({
      authenticate: anyone,
      address: '127.0.0.1:0',
      databaseFile: ':memory:',
      logger,
      jobs: async () => new FakeJobs(),
    });
    const { connectCatalog } = await import('../../../src/catalog-client/connect.ts');
    const clients = connectCatalog(running.address);
    try {
      expect((await clients.connectors.listConnectors({})).connectors).toEqual([]);
    } finally {
      unstubAllEnvs();
      clients.close();
      await running.stop();
    }
  });

  it('starts without Temporal, and connects to it once when it becomes available', async () => {
    const jobs = new FakeJobs();
    let [tries, away] = [0, true];
    const running = await startCatalog({
      authenticate: anyone,
      address: '127.0.0.1:0',
      databaseFile: ':memory:',
      logger,
      jobs: async () => {
        tries += 1;
        if (away) throw new Error('refused');
        return jobs;
      },
    });
    const { connectCatalog } = await import('../../../src/catalog-client/connect.ts');
    const clients = connectCatalog(running.address);
    const { connectorId } = await clients.connectors.createConnector({
      connector: { displayName: 'x', kind: ConnectorKind.CONNECTOR_KIND_ICEBERG, uri: 'file:///w' },
    });
    expect(await failure(clients.connectors.triggerReconcile({ connectorId }))).toMatchObject({
      code: 'UNAVAILABLE',
      message: 'Temporal cannot be reached: refused',
    });
    away = false;
    await clients.connectors.triggerReconcile({ connectorId });
    const before = tries;
    await clients.connectors.triggerReconcile({ connectorId });
    expect(tries).toBe(before);
    clients.close();
    await running.stop();
    await running.stop();
  });
});
