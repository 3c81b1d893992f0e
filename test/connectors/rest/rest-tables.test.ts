import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from '@jest/globals';
import type { WorkerLimits } from '../../../src/connectors/connector-spec.ts';
import type { UpstreamCatalog } from '../../../src/connectors/spi.ts';
import { catalog, cleanUp, open, type Responder } from './fake-catalog.ts';
import { respondWithJson, startFakeServer } from './fake-server.ts';
import { TABLE, TABLE_PATH, tableMetadata } from './fake-table.ts';

describe('a table', () => {
  it('has no refs to snapshots that the response leaves out', async () => {
    const server = await catalog({
      [TABLE_PATH]: {
        'metadata-location': 'http://x/m',
        metadata: tableMetadata('file:/nowhere/t', 'file:/nowhere/t/l'),
      },
    });
    await using reader = await (await open(server)).openTable(TABLE);
    expect(reader.descriptor).toMatchObject({
      metadataLocation: 'http://x/m',
      refs: [{ name: 'main', snapshotId: 7n }],
    });
    expect(server.requests.at(-1)?.headers['x-iceberg-access-delegation']).toBe('vended-credentials');
  });

  it('with a large response is requested once more, and has the same values', async () => {
    const properties = Object.fromEntries(Array.from({ length: 60 }, (_, i) => [`key-${i}`, 'x'.repeat(100_000)]));
    const server = await catalog({
      [TABLE_PATH]: {
        'metadata-location': 'http://x/m',
        metadata: tableMetadata('file:/t', 'file:/t/l', { properties }),
      },
    });
    const connector = await open(server);
    // As often as there would be no memory left if it were not given back.
    for (let n = 0; n < 30; n++) {
      await using reader = await connector.openTable(TABLE);
      expect(reader.descriptor).toMatchObject({ properties, refs: [{ name: 'main', snapshotId: 7n }] });
    }
    expect(server.requests.filter(({ path }) => path.startsWith(TABLE_PATH))).toHaveLength(60);
    expect(await connector.fingerprint(TABLE)).toContain('http://x/m');
  });

  it.each([
    [
      'nests deeply',
      `{"metadata":${'['.repeat(6_000_000)}`,
      'DATA_LOSS',
      /it nests 6,000,001 levels deep; at most 200 are read/,
    ],
    [
      'has too much of something',
      JSON.stringify({ metadata: tableMetadata('file:/t', 'file:/t/l', { properties: 'HERE' }) }).replace(
        '"HERE"',
        `{${Array.from({ length: 300_000 }, (_, i) => `"k${i}":"${'v'.repeat(8)}"`)}}`,
      ),
      'FAILED_PRECONDITION',
      /is too large: properties has more than 250,000 entries/,
    ],
  ])('in a response that %s is refused, each time', async (_, body, code, message) => {
    const respond: Responder = (_request, response) => {
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end(body);
    };
    const connector = await open(await catalog({ [TABLE_PATH]: respond }));
    for (let n = 0; n < 5; n++) {
      await expect(connector.openTable(TABLE)).rejects.toMatchObject({
        code,
        message: expect.stringMatching(message),
      });
    }
  });

  it('that cannot be loaded fails with the URL and the response', async () => {
    const server = await catalog({});
    await expect((await open(server)).openTable(TABLE)).rejects.toMatchObject({
      code: 'NOT_FOUND',
      message: expect.stringContaining(`${TABLE_PATH}?snapshots=all returned 404 NoSuchThingException`),
    });
  });

  it.each([
    ['without metadata', { 'metadata-location': 'x' }, /metadata should be an object/],
    ['with incomplete metadata', { metadata: { location: 'file:/x' } }, /format-version/],
    ['that is not an object', [], /should be an object/],
  ])('in a response %s is data loss', async (_, content, message) => {
    const server = await catalog({ [TABLE_PATH]: content });
    await expect((await open(server)).openTable(TABLE)).rejects.toMatchObject({
      code: 'DATA_LOSS',
      message: expect.stringMatching(message),
    });
  });

  const KEYS = { 's3.access-key-id': 'AKIA1', 's3.secret-access-key': 'a-vended-secret' };
  it.each<[string, unknown, RegExp]>([
    [
      'an object for the list of credentials',
      { 'storage-credentials': { prefix: 's3://b', config: KEYS } },
      /storage-credentials should be a list but is an object/,
    ],
    [
      'a list for the config of credentials',
      { 'storage-credentials': [{ prefix: 's3://b', config: [KEYS] }] },
      /storage-credentials\[0\]\.config should be an object but is a list/,
    ],
    ['text for a config', { config: JSON.stringify(KEYS) }, /config should be an object but is a string/],
    ['a list around it all', [{ config: KEYS }], /the document should be an object but is a list/],
    [
      'a large config that is not JSON',
      `{"pad":"${'x'.repeat(300_000)}","metadata":{"location":"s3://b/t"},"metadata-location":"m","config":{"s3.secret-access-key": a-vended-secret}}`,
      /something other than a table as in the OpenAPI: it is not JSON \(config, from byte \d+, is not\)/,
    ],
    ['text after it', `${JSON.stringify({ config: KEYS })}.`, /a body that is not JSON: \d+ bytes, not shown/],
  ])('withholds the credentials in a malformed response from errors: %s', async (_, content, message) => {
    const metadata = tableMetadata('s3://b/t', 's3://b/t/l');
    const whole = typeof content === 'object' && !Array.isArray(content) ? { metadata, ...content } : content;
    const server = await catalog({
      [TABLE_PATH]: ((_request, response) => respondWithJson(response, whole)) as Responder,
    });
    const error = await (await open(server)).openTable(TABLE).catch((e) => e);
    expect(error).toMatchObject({ code: 'DATA_LOSS', message: expect.stringMatching(message) });
    expect(error.message).not.toContain('a-vended-secret');
  });

  const folder = mkdtempSync(join(tmpdir(), 'rest-connector-'));
  mkdirSync(join(folder, 'a/t'), { recursive: true });
  mkdirSync(join(folder, 'b'));
  for (const file of ['a/t/list.avro', 'b/list.avro']) writeFileSync(join(folder, file), 'no avro');
  afterAll(() => rmSync(folder, { recursive: true }));

  const manifests = async (
    manifestList: string,
    {
      properties = {},
      limits = {},
      more = {},
    }: { properties?: Record<string, string>; limits?: WorkerLimits; more?: object } = {},
  ) => {
    const metadata = tableMetadata(`file://${folder}/a/t`, `file://${manifestList}`, more);
    const server = await catalog({ [TABLE_PATH]: { 'metadata-location': 'm', metadata } });
    await using reader = await (await open(server, properties, {}, limits)).openTable(TABLE);
    return reader.liveFileCounts(7n).catch((error) => error);
  };

  it('reads only its own files', async () => {
    expect(await manifests(`${folder}/a/t/list.avro`)).toMatchObject({
      code: 'DATA_LOSS',
      message: expect.stringContaining('Avro'),
    });
    for (const path of [`${folder}/b/list.avro`, `${folder}/a/t/../../b/list.avro`, `${folder}/a/t2/list.avro`]) {
      expect(await manifests(path)).toMatchObject({ code: 'PERMISSION_DENIED' });
    }
  });

  it('reads no other files because of its properties, unless the connector allows it', async () => {
    const more = {
      properties: { 'write.metadata.path': `file://${folder}/b`, 'write.data.path': `file://${folder}/b` },
    };
    expect(await manifests(`${folder}/b/list.avro`, { more })).toMatchObject({
      code: 'PERMISSION_DENIED',
      message: expect.stringContaining('storage.allowed-locations'),
    });
    const properties = { 'storage.allowed-locations': `s3://x/y, file://${folder}/b/` };
    expect(await manifests(`${folder}/b/list.avro`, { properties })).toMatchObject({ code: 'DATA_LOSS' });
  });

  it("is read with vended credentials, and other allowed locations with the connector's own keys", async () => {
    const s3 = await startFakeServer((_, response) => void response.writeHead(404).end());
    cleanUp.push(s3);
    const keyUsed = async (manifestList: string, config = {}) => {
      const server = await catalog({
        [TABLE_PATH]: {
          'metadata-location': 'm',
          metadata: tableMetadata('s3://b/t', manifestList),
          config,
          'storage-credentials': [
            { prefix: 's3://b/t/a', config: { 's3.access-key-id': 'AKIAVENDED', 's3.secret-access-key': 'vended' } },
          ],
        },
      });
      const connector = await open(server, {
        's3.endpoint': s3.url,
        's3.path-style-access': 'true',
        's3.access-key-id': 'AKIAOWN',
        's3.secret-access-key': 'own-secret',
        'storage.allowed-locations': 's3://other',
      });
      await using reader = await connector.openTable(TABLE);
      await expect(reader.liveFileCounts(7n)).rejects.toThrow('list.avro');
      return /Credential=([^/]+)/.exec(s3.requests.at(-1)?.headers.authorization ?? '')?.[1];
    };
    expect(await keyUsed('s3://b/t/a/list.avro')).toBe('AKIAVENDED');
    expect(await keyUsed('s3://other/list.avro')).toBe('AKIAOWN');
    // The keys in the table's config serve what no prefix covers.
    const config = { 's3.access-key-id': 'AKIACONFIG', 's3.secret-access-key': 'config' };
    expect(await keyUsed('s3://b/t/a/list.avro', config)).toBe('AKIAVENDED');
    expect(await keyUsed('s3://b/t/list.avro', config)).toBe('AKIACONFIG');
  });

  it('whose location is the root of the file system cannot read any file', async () => {
    for (const location of ['file:/', 'file:///', '/', `file://${folder}/../../../../../../..`]) {
      const metadata = tableMetadata(location, `file://${folder}/b/list.avro`);
      const server = await catalog({ [TABLE_PATH]: { 'metadata-location': 'm', metadata } });
      await using reader = await (await open(server)).openTable(TABLE);
      await expect(reader.liveFileCounts(7n)).rejects.toMatchObject({ code: 'PERMISSION_DENIED' });
    }
  });

  it('is read from this machine only if the worker allows it', async () => {
    expect(await manifests(`${folder}/a/t/list.avro`, { limits: { localRoots: [] } })).toMatchObject({
      code: 'PERMISSION_DENIED',
    });
    expect(await manifests(`${folder}/a/t/list.avro`, { limits: { localRoots: [folder] } })).toMatchObject({
      code: 'DATA_LOSS',
    });
  });
});

describe('a fingerprint', () => {
  const respondWith = (etag: string | undefined, location: string | null = 'file:/m/1.json', time = 1) =>
    ((_, response) =>
      respondWithJson(
        response,
        {
          ...(location && { 'metadata-location': location }),
          metadata: tableMetadata('file:/m', 'file:/m/l', { 'last-updated-ms': time }),
        },
        200,
        etag === undefined ? {} : { etag },
      )) as Responder;
  const descriptorOf = async (connector: UpstreamCatalog) => (await connector.openTable(TABLE)).descriptor.fingerprint;

  it('is the same from the opened table, and from requests with and without the known one', async () => {
    for (const [etag, location] of [
      ['"x"', 'm'],
      ['W/"x"', 'm'],
      ['plain', 'm'],
      [undefined, 'm'],
      [undefined, null],
      ['"x"', null],
    ] as const) {
      const server = await catalog({ [TABLE_PATH]: respondWith(etag, location) });
      const known = await descriptorOf(await open(server));
      const reopened = await open(server);
      expect(await reopened.fingerprint(TABLE)).toBe(known);
      expect(await reopened.fingerprint(TABLE, known)).toBe(known);
    }
  });

  it('costs a response without a body if the ETag is still current', async () => {
    const server = await catalog({
      [TABLE_PATH]: ((request, response, n) => {
        if (request.headers['if-none-match'] === '"x"' && request.path.endsWith('?snapshots=all'))
          return void response.writeHead(304).end();
        respondWith('"x"')(request, response, n);
      }) as Responder,
    });
    const connector = await open(server);
    const known = await descriptorOf(connector);
    const before = { ...connector.usage };
    expect(await connector.fingerprint(TABLE, known)).toBe(known);
    expect(connector.usage).toEqual({ requests: before.requests + 1, bytes: before.bytes });
  });

  it('is the same if the catalog returns another ETag each time, or none', async () => {
    let etag: string | undefined = '"1"';
    const server = await catalog({
      [TABLE_PATH]: ((request, response, n) => respondWith(etag)(request, response, n)) as Responder,
    });
    const connector = await open(server);
    const known = await descriptorOf(connector);
    etag = '"2"';
    expect(await connector.fingerprint(TABLE, known)).toBe(known);
    etag = undefined;
    expect(await connector.fingerprint(TABLE, known)).toBe(known);
  });

  it.each([
    ['with ETags', '"1"', '"2"'],
    ['without ETags', undefined, undefined],
  ])('changes with the table (%s)', async (_, first, second) => {
    let respond = respondWith(first, 'file:/m/1.json');
    const server = await catalog({
      [TABLE_PATH]: ((request, response, n) => respond(request, response, n)) as Responder,
    });
    const connector = await open(server);
    const known = await descriptorOf(connector);
    respond = respondWith(second, 'file:/m/2.json');
    const changed = await connector.fingerprint(TABLE, known);
    expect(changed).not.toBe(known);
    expect(await connector.fingerprint(TABLE, changed)).toBe(changed);
    expect(await descriptorOf(connector)).toBe(changed);
  });

  it('of a table without a metadata file changes with its metadata', async () => {
    let respond = respondWith(undefined, null, 1);
    const server = await catalog({
      [TABLE_PATH]: ((request, response, n) => respond(request, response, n)) as Responder,
    });
    const connector = await open(server);
    const known = await descriptorOf(connector);
    respond = respondWith(undefined, null, 2);
    expect(await connector.fingerprint(TABLE, known)).not.toBe(known);
  });
});
