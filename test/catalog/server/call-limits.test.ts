import { type ClientHttp2Stream, connect as connectHttp2 } from 'node:http2';
import { type AddressInfo, connect as connectTcp, createServer, type Socket } from 'node:net';
import { setImmediate as turn } from 'node:timers/promises';
import { afterEach, expect, it, jest } from '@jest/globals';
import { connectCatalog } from '../../../src/catalog-client/connect.ts';
import { keepAlive } from '../../../src/catalog-client/keep-alive.ts';
import { fakeOnly } from '../../jest/fake-timers.ts';
import { added, encode, TestTable } from '../files.ts';
import { failure, refusal, TestCatalog } from '../harness.ts';

afterEach(() => {
  jest.useRealTimers();
});

/** Fakes the timers of the service and its clients, which run in this process. */
const fakeTimers = () => fakeOnly(['setTimeout', 'clearTimeout', 'Date']);

/** Lets the fake clock advance in steps, between which messages arrive. */
async function pass(seconds: number): Promise<void> {
  for (let passed = 0; passed < seconds; passed += 5) {
    jest.advanceTimersByTime(5_000);
    for (let turns = 0; turns < 30; turns += 1) await turn();
  }
}

/** A promise that a test resolves. */
function signal(): { done: Promise<void>; resolve(): void } {
  let resolve = () => {};
  const done = new Promise<void>((given) => {
    resolve = given;
  });
  return { done, resolve };
}

const FILES = Array.from({ length: 4 }, (_, n) => added({ filePath: `${n}` }));
const hostAndPort = (address: string) => ({ host: address.split(':')[0], port: Number(address.split(':')[1]) });

it('a stream that is silent for a minute ends, and can be sent again', async () => {
  await using catalog = await TestCatalog.start();
  const table = await TestTable.create(catalog);
  await table.createSnapshot({ snapshotId: 1 });
  fakeTimers();
  const begun = signal();
  async function* requests() {
    yield* table.requests({ snapshotId: 1, changes: FILES.slice(0, 3), finish: false });
    begun.resolve();
    await new Promise(() => {});
  }
  const silent = failure(catalog.clients.fileChanges.commitSnapshot(requests()));
  await begun.done;
  await pass(50);
  expect(await Promise.race([silent, 'open'])).toBe('open');
  await pass(15);
  expect(await silent).toMatchObject(refusal('DEADLINE_EXCEEDED', 'the client sent nothing for 60 s'));
  expect(await table.send({ snapshotId: 1, changes: FILES, expected: { data: 4 } })).toMatchObject({ complete: true });
});

it('a worker whose upstream is slow keeps its stream alive', async () => {
  await using catalog = await TestCatalog.start();
  const table = await TestTable.create(catalog);
  await table.createSnapshot({ snapshotId: 1 });
  fakeTimers();
  const [begun, read] = [signal(), signal()];
  async function* requests() {
    yield* table.requests({ snapshotId: 1, changes: FILES.slice(0, 3), finish: false });
    begun.resolve();
    await read.done;
    yield encode({ $case: 'changes', value: { changes: FILES.slice(3) } });
    yield encode({ $case: 'finish', value: { expectedDataFileCount: 4n } });
  }
  const nothing = encode({ $case: 'changes', value: { changes: [] } });
  const sent = catalog.clients.fileChanges.commitSnapshot(keepAlive(requests(), () => nothing));
  await begun.done;
  await pass(300);
  read.resolve();
  expect(await sent).toMatchObject({ complete: true, filesAdded: 4n });
});

it('calls without a request end after a minute, and their streams are closed', async () => {
  await using catalog = await TestCatalog.start();
  fakeTimers();
  const session = connectHttp2(`http://${catalog.address}`);
  const { maxConcurrentStreams } = await new Promise<{ maxConcurrentStreams?: number }>((resolve) =>
    session.once('remoteSettings', resolve),
  );
  expect(maxConcurrentStreams).toBe(256);
  const statuses: unknown[] = [];
  const streams: ClientHttp2Stream[] = [];
  for (const path of ['v1.Catalogs/GetCatalog', 'v1.TableStatistics/PutFileColumnStats', 'v1.Plans/StreamPlan']) {
    const headers = { ':method': 'POST', 'content-type': 'application/grpc', te: 'trailers' };
    const stream = session.request({ ...headers, ':path': `/reconciler.${path}` }).resume();
    stream.on('response', (response) => statuses.push(response['grpc-status']));
    stream.on('trailers', (trailers) => statuses.push(trailers['grpc-status']));
    streams.push(stream);
  }
  await pass(50);
  expect(statuses).toEqual([]);
  await pass(25);
  // DEADLINE_EXCEEDED
  expect(statuses).toEqual(['4', '4', '4']);
  expect(streams.map(({ closed }) => closed)).toEqual([true, true, true]);
  session.destroy();
});

it('connections that never speak, or are not used, are closed, and clients connect again', async () => {
  await using catalog = await TestCatalog.start();
  await catalog.clients.catalogs.listCatalogs({});
  fakeTimers();
  let closed = 0;
  const sockets: Socket[] = [];
  for (let n = 0; n < 50; n += 1) {
    const socket = connectTcp(hostAndPort(catalog.address) as { port: number }).resume();
    socket.on('close', () => {
      closed += 1;
    });
    sockets.push(socket);
    await new Promise((resolve) => socket.once('connect', resolve));
  }
  await pass(25);
  expect(closed).toBe(0);
  await pass(30);
  expect(closed).toBe(50);
  const unused = connectHttp2(`http://${catalog.address}`);
  await new Promise((resolve) => unused.once('remoteSettings', resolve));
  await pass(250);
  expect(unused.closed).toBe(false);
  await pass(60);
  expect(unused.closed).toBe(true);
  expect(await catalog.clients.catalogs.listCatalogs({})).toEqual({ catalogs: [], nextPageToken: '' });
});

it('one client makes a thousand calls at the same time', async () => {
  await using catalog = await TestCatalog.start();
  const calls = Array.from({ length: 1000 }, () => catalog.clients.catalogs.listCatalogs({}));
  expect(await Promise.all(calls)).toHaveLength(1000);
});

it('a client notices that the catalog no longer answers', async () => {
  await using catalog = await TestCatalog.start();
  // A network that loses everything from some time on, without closing the connection.
  const pairs: [Socket, Socket][] = [];
  const network = createServer((client) => {
    const server = connectTcp(hostAndPort(catalog.address) as { port: number });
    client.pipe(server).pipe(client);
    pairs.push([client, server]);
  });
  await new Promise<void>((resolve) => network.listen(0, '127.0.0.1', resolve));
  fakeTimers();
  const clients = connectCatalog(`127.0.0.1:${(network.address() as AddressInfo).port}`);
  await clients.catalogs.listCatalogs({});
  for (const [client, server] of pairs) {
    client.unpipe();
    server.unpipe();
  }
  const lost = failure(clients.catalogs.listCatalogs({}));
  await pass(25);
  expect(await Promise.race([lost, 'waiting'])).toBe('waiting');
  await pass(30);
  expect(await lost).toMatchObject({ code: 'UNAVAILABLE' });
  clients.close();
  for (const socket of pairs.flat()) socket.destroy();
  network.close();
});
