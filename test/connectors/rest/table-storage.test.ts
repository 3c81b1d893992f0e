import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { stubEnv, unstubAllEnvs } from '../../jest/stub-env.ts';
import { withoutCloudIdentity } from '../../storage/cloud/worker-environment.ts';
import { catalog, cleanUp, open } from './fake-catalog.ts';
import { startFakeServer } from './fake-server.ts';
import { TABLE, TABLE_PATH, tableMetadata } from './fake-table.ts';

// First, because the worker's keys that the other tests set are remembered.
it('a table whose storage needs a setting that is missing is not called broken', async () => {
  for (const name of ['AWS_REGION', 'AWS_DEFAULT_REGION']) stubEnv(name, undefined);
  stubEnv('AWS_CONFIG_FILE', '/no/such/file');
  stubEnv('AWS_SHARED_CREDENTIALS_FILE', '/no/such/file');
  stubEnv('AWS_EC2_METADATA_DISABLED', 'true');
  withoutCloudIdentity();
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
      ['gs://b/t', {}, 'FAILED_PRECONDITION', /no Google credentials of the worker.*gcs\.credentials/],
      ['abfss://c@a.dfs.core.windows.net/t', {}, 'FAILED_PRECONDITION', /no Azure identity.*adls\.sas-token\.ACCOUNT/],
      [
        'abfss://c@a.example.com/t',
        {},
        'FAILED_PRECONDITION',
        /not a host of Azure.*adls\.connection-string\.a\.example\.com/,
      ],
      ['gs://b/t', { 'gcs.service.host': 'ftp://x' }, 'FAILED_PRECONDITION', /gcs\.service\.host=ftp/],
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

describe('a table whose storage is at an endpoint that the catalog names', () => {
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
