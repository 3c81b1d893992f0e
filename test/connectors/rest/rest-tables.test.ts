import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import type { WorkerLimits } from '../../../src/connectors/connector-spec.ts';
import type { UpstreamCatalog } from '../../../src/connectors/spi.ts';
import { stubEnv, unstubAllEnvs } from '../../jest/stub-env.ts';
import { catalog, cleanUp, open, type Responder } from './fake-catalog.ts';
import { respondWithJson, startFakeServer } from './fake-server.ts';

/** Table metadata with one snapshot, whose manifest list may be outside of the table's location. */
function tableMetadata(location: string, manifestList: string, more: object = {}) {
  return {
    'format-version': 2,
    'table-uuid': '7f1b5e7b-1f18-4f62-8214-576f9f29d990',
    location,
    'last-sequence-number': 1,
    'last-updated-ms': 1_795_443_818_499,
    'last-column-id': 1,
    schemas: [{ type: 'struct', 'schema-id': 0, fields: [{ id: 1, name: 'id', required: false, type: 'long' }] }],
    'current-schema-id': 0,
    'partition-specs': [{ 'spec-id': 0, fields: [] }],
    'default-spec-id': 0,
    'current-snapshot-id': 7,
    snapshots: [
      {
        'snapshot-id': 7,
        'sequence-number': 1,
        'timestamp-ms': 1_795_443_818_470,
        summary: { operation: 'append' },
        'manifest-list': manifestList,
        'schema-id': 0,
      },
    ],
    refs: { main: { 'snapshot-id': 7, type: 'branch' }, old: { 'snapshot-id': 6, type: 'tag' } },
    ...more,
  };
}

const TABLE = { namespace: ['a'], name: 't' };
const TABLE_PATH = '/v1/namespaces/a/tables/t';

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

  describe('whose storage is at an endpoint that the catalog names', () => {
    const evil = 's3.endpoint';
    /** Reads a table on S3. @returns the key with which S3 was asked, or the error if it was not */
    async function keyUsed(
      named: { config?: object; overrides?: object; defaults?: object; credentials?: object[] },
      own: (endpoint: string) => Record<string, string> = () => ({}),
    ) {
      const s3 = await startFakeServer((_, response) => void response.writeHead(404).end());
      cleanUp.push(s3);
      const endpoint = { [evil]: s3.url, 's3.path-style-access': 'true' };
      const at = (part: object | undefined) => (part === undefined ? {} : { ...endpoint, ...part });
      const server = await catalog(
        {
          [TABLE_PATH]: {
            'metadata-location': 'm',
            metadata: tableMetadata('s3://b/t', 's3://b/t/list.avro'),
            config: at(named.config),
            'storage-credentials': (named.credentials ?? []).map((more) => ({ prefix: 's3://b', config: at(more) })),
          },
        },
        { defaults: at(named.defaults), overrides: at(named.overrides) },
      );
      const connector = await open(server, { 'client.region': 'eu-west-1', ...own(s3.url) });
      await using reader = await connector.openTable(TABLE);
      const error = await reader.liveFileCounts(7n).catch((error) => error);
      const [asked] = s3.requests;
      return asked === undefined ? error : /Credential=([^/]+)/.exec(asked.headers.authorization ?? '')?.[1];
    }

    beforeEach(() => {
      stubEnv('AWS_ACCESS_KEY_ID', 'AKIAWORKER');
      stubEnv('AWS_SECRET_ACCESS_KEY', 'secret-of-the-worker');
    });
    afterEach(() => unstubAllEnvs());

    it.each([
      ["the table's config", { config: {} }],
      ["the catalog's overrides", { overrides: {} }],
      ["the catalog's defaults", { defaults: {} }],
      ['credentials without keys', { credentials: [{}] }],
    ])("(in %s) is not read with the worker's own keys", async (_, named) => {
      const refusal = {
        code: 'FAILED_PRECONDITION',
        message: expect.stringMatching(/s3\.access-key-id.*property s3\.endpoint=http/),
      };
      expect(await keyUsed(named)).toMatchObject(refusal);
      // Nor with a role or profile of the worker.
      const role = { 'client.assume-role.arn': 'arn:aws:iam::1:role/r' };
      expect(await keyUsed(named, () => role)).toMatchObject(refusal);
      expect(await keyUsed(named, () => ({ 'client.profile-name': 'p' }))).toMatchObject(refusal);
      // The connector allows another endpoint.
      expect(await keyUsed({ ...named, config: {} }, () => ({ [evil]: 'http://127.0.0.1:9' }))).toMatchObject(refusal);
    });

    it("is read with the worker's own keys if the connector names the same endpoint", async () => {
      expect(await keyUsed({ config: {} }, (endpoint) => ({ [evil]: `${endpoint}/` }))).toBe('AKIAWORKER');
      // Without an endpoint of the catalog, the connector's is used.
      const own = (endpoint: string) => ({ [evil]: endpoint, 's3.path-style-access': 'true' });
      expect(await keyUsed({}, own)).toBe('AKIAWORKER');
    });

    it('is read with vended keys, with keys of the connector, or with none', async () => {
      const keys = (prefix: string, id: string) => ({
        [`${prefix}.access-key-id`]: id,
        [`${prefix}.secret-access-key`]: 'a-secret',
      });
      expect(await keyUsed({ credentials: [keys('s3', 'AKIAVENDED')] })).toBe('AKIAVENDED');
      expect(await keyUsed({ config: {} }, () => keys('client', 'AKIAOWN'))).toBe('AKIAOWN');
      expect(await keyUsed({ config: { 's3.anonymous': 'true' } })).toBeUndefined();
      // The connector's own keys replace the identity of the defaults, and the overrides replace the connector's.
      const defaults = { ...keys('s3', 'AKIADEFAULT'), 's3.session-token': 'session' };
      expect(await keyUsed({ defaults })).toBe('AKIADEFAULT');
      expect(await keyUsed({ defaults }, () => keys('client', 'AKIAOWN'))).toBe('AKIAOWN');
      expect(await keyUsed({ overrides: defaults }, () => keys('s3', 'AKIAOWN'))).toBe('AKIADEFAULT');
    });

    it("has no part in where a role is assumed with the worker's own keys", async () => {
      const sts = await startFakeServer((_, response) => void response.writeHead(500).end());
      const ownSts = await startFakeServer((_, response) => void response.writeHead(400).end());
      cleanUp.push(sts, ownSts);
      stubEnv('AWS_ENDPOINT_URL_STS', ownSts.url);
      const own = (endpoint: string) => ({
        [evil]: endpoint,
        'client.assume-role.arn': 'arn:aws:iam::1:role/of-the-connector',
      });
      await keyUsed({ config: { 'client.sts.endpoint': sts.url } }, own);
      expect([sts.requests.length, ownSts.requests.length]).toEqual([0, 1]);
    });
  });

  it('whose storage needs a setting that is missing is not called broken', async () => {
    for (const name of ['AWS_REGION', 'AWS_DEFAULT_REGION']) stubEnv(name, undefined);
    stubEnv('AWS_CONFIG_FILE', '/no/such/file');
    stubEnv('AWS_SHARED_CREDENTIALS_FILE', '/no/such/file');
    stubEnv('AWS_EC2_METADATA_DISABLED', 'true');
    const keys = { 's3.access-key-id': 'AKIA', 's3.secret-access-key': 'a-secret' };
    const failure = async (location: string, config: object) => {
      const metadata = tableMetadata(location, `${location}/list.avro`);
      const server = await catalog({ [TABLE_PATH]: { 'metadata-location': 'm', metadata, config } });
      await using reader = await (await open(server)).openTable(TABLE);
      return reader.liveFileCounts(7n).catch((error) => error);
    };
    try {
      for (const [location, config, code, message] of [
        ['s3://b/t', keys, 'FAILED_PRECONDITION', /client\.region or s3\.region, or AWS_REGION/],
        [
          's3://b/t',
          { 's3.access-key-id': 'AKIA', 'client.region': 'eu-west-1' },
          'FAILED_PRECONDITION',
          /s3\.secret-access-key is not/,
        ],
        ['s3://b/t', { 'client.region': 'eu-west-1' }, 'FAILED_PRECONDITION', /client\.access-key-id/],
        ['s3://b/t', { ...keys, 's3.endpoint': 'ftp://x' }, 'FAILED_PRECONDITION', /s3\.endpoint=ftp/],
        ['gs://b/t', {}, 'UNIMPLEMENTED', /the scheme gs: is not supported/],
        ['abfss://c@a.dfs.core.windows.net/t', {}, 'UNIMPLEMENTED', /abfss: is not supported/],
        ['oss://b/t', {}, 'UNIMPLEMENTED', /oss: is not supported/],
        ['hdfs://n/t', {}, 'UNIMPLEMENTED', /hdfs: is not supported/],
      ] as const) {
        const error = await failure(location, config);
        expect([location, config, error]).toEqual([
          location,
          config,
          expect.objectContaining({ code, message: expect.stringMatching(message) }),
        ]);
        expect(error.message).not.toMatch(/restore the file|roll the table back/i);
      }
    } finally {
      unstubAllEnvs();
    }
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
