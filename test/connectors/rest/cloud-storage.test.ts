import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { stubEnv, unstubAllEnvs } from '../../jest/stub-env.ts';
import { withoutCloudIdentity } from '../../storage/cloud/worker-environment.ts';
import { catalog, cleanUp, open } from './fake-catalog.ts';
import { respondWithError, startFakeServer } from './fake-server.ts';
import { TABLE, TABLE_PATH, tableMetadata } from './fake-table.ts';

const HOST = 'acct.dfs.core.windows.net';
const AZURE = `abfss://lake@${HOST}/t`;
const GOOGLE = 'gs://lake/t';
const SAS = { [`adls.sas-token.${HOST}`]: 'sv=1&sig=vended' };
const TOKEN = { 'gcs.oauth2.token': 'vended-token', 'gcs.oauth2.token-expires-at': String(Date.now() + 3_600_000) };
const KEY = { 'adls.auth.shared-key.account.name': 'acct', 'adls.auth.shared-key.account.key': 'a2V5' };

beforeEach(() => {
  withoutCloudIdentity();
  // A worker with identities of its own, which must not step in.
  stubEnv('AZURE_TENANT_ID', 'tenant');
  stubEnv('AZURE_CLIENT_ID', 'client');
  stubEnv('AZURE_CLIENT_SECRET', 'secret-of-the-worker');
});
afterEach(() => unstubAllEnvs());

interface Answer {
  config?: object;
  credentials?: { prefix: string; config: object }[];
  overrides?: object;
}

/**
 * Reads a table at this location.
 *
 * @param own the connector's properties, made of the storage's URL
 * @returns how the storage was asked, or the error if it was not
 */
async function asked(
  location: string,
  { config = {}, credentials = [], overrides = {} }: Answer,
  own: (url: string) => Record<string, string> = storageAt,
): Promise<{ path: string; authorization?: string } | Error> {
  const storage = await startFakeServer((_, response) => void response.writeHead(404).end());
  cleanUp.push(storage);
  const at = (part: object) => JSON.parse(JSON.stringify(part).replaceAll('STORAGE', storage.url));
  const server = await catalog(
    {
      [TABLE_PATH]: {
        'metadata-location': 'm',
        metadata: tableMetadata(location, `${location}/list.avro`),
        config: at(config),
        'storage-credentials': at(credentials),
      },
    },
    { defaults: {}, overrides: at(overrides) },
  );
  await using reader = await (await open(server, own(storage.url))).openTable(TABLE);
  const error = await reader.liveFileCounts(7n).catch((error) => error);
  const [request] = storage.requests;
  return request === undefined ? error : { path: request.path, authorization: request.headers.authorization };
}

const storageAt = (url: string) => ({ [`adls.connection-string.${HOST}`]: `${url}/acct`, 'gcs.service.host': url });
const refused = (...parts: string[]) => ({
  code: 'FAILED_PRECONDITION',
  message: expect.stringMatching(new RegExp(parts.join('.*'), 's')),
});

describe('a table on Azure', () => {
  it.each([
    [
      'with the credentials of its prefix',
      {
        credentials: [
          { prefix: 's3://x', config: {} },
          { prefix: AZURE, config: SAS },
        ],
      },
    ],
    [
      'with a prefix of another scheme',
      { credentials: [{ prefix: 'wasbs://lake@acct.blob.core.windows.net/', config: SAS }] },
    ],
    ['with a token in its config', { config: { ...SAS, 'adls.sas-token-expires-at-ms.acct': '9999999999999' } }],
    ['with a token for the name of the account', { config: { 'adls.sas-token.acct': 'sv=1&sig=vended' } }],
  ])('is read %s', async (_, answer) => {
    const read = { path: '/acct/lake/t/list.avro?sv=1&sig=vended' };
    expect(await asked(AZURE, answer)).toEqual(read);
    // They replace the connector's own.
    expect(await asked(AZURE, answer, (url) => ({ ...storageAt(url), ...KEY }))).toEqual(read);
  });

  it("is read with the connector's own key if none are vended for it", async () => {
    const own = (url: string) => ({ ...storageAt(url), ...KEY });
    const other = { credentials: [{ prefix: `abfss://lake@${HOST}/other`, config: SAS }] };
    for (const answer of [{}, other]) {
      expect(await asked(AZURE, answer, own)).toMatchObject({
        authorization: expect.stringMatching(/^SharedKey acct:/),
      });
    }
    expect(await asked(AZURE, other)).toMatchObject(
      refused('vended no credentials for', 'lake@acct.*/t/list', 'adls\\.sas-token'),
    );
  });

  it('is read at an endpoint of the catalog only with vended credentials', async () => {
    const endpoint = { [`adls.connection-string.${HOST}`]: 'STORAGE/acct' };
    const none = () => ({});
    expect(await asked(AZURE, { config: { ...endpoint, ...SAS } }, none)).toMatchObject({
      path: expect.stringContaining('sig=vended'),
    });
    const message = refused('the catalog names the endpoint http', `adls\\.connection-string\\.${HOST}`);
    expect(await asked(AZURE, { config: endpoint }, none)).toMatchObject(message);
    expect(await asked(AZURE, { overrides: endpoint }, () => KEY)).toMatchObject(message);
    expect(await asked(AZURE, { overrides: { 'adls.account-host': 'evil.example' } }, none)).toMatchObject(
      refused('the catalog names the endpoint https://evil.example'),
    );
    expect(await asked('abfss://lake@evil.example/t', {}, none)).toMatchObject(
      refused('evil.example is not a host of Azure'),
    );
  });

  it('takes no identity of the worker from the catalog', async () => {
    const overrides = { 'adls.tenant-id': 'evil', 'adls.client-id': 'evil', 'adls.client-secret': 'evil' };
    stubEnv('AZURE_AUTHORITY_HOST', 'http://127.0.0.1:1');
    expect(await asked(AZURE, { overrides })).toMatchObject({
      message: expect.stringContaining('client client of tenant tenant'),
    });
  });
});

describe('a table on Google', () => {
  it.each([
    ['with the credentials of its prefix', { credentials: [{ prefix: 'gs://lake/', config: TOKEN }] }],
    ['with credentials for all that is there', { credentials: [{ prefix: 'gs', config: TOKEN }] }],
    ['with a token in its config', { config: TOKEN }],
  ])('is read %s', async (_, answer) => {
    expect(await asked(GOOGLE, answer)).toEqual({
      path: '/storage/v1/b/lake/o/t%2Flist.avro?alt=media',
      authorization: 'Bearer vended-token',
    });
  });

  it('is read at an endpoint of the catalog only with vended credentials', async () => {
    const endpoint = { 'gcs.service.host': 'STORAGE' };
    const own = () => ({
      'gcs.credentials':
        '{"type": "authorized_user", "client_id": "c", "client_secret": "secret", "refresh_token": "refresh"}',
    });
    expect(await asked(GOOGLE, { config: { ...endpoint, ...TOKEN } }, own)).toMatchObject({
      authorization: 'Bearer vended-token',
    });
    for (const answer of [{ config: endpoint }, { overrides: endpoint }]) {
      expect(await asked(GOOGLE, answer, own)).toMatchObject(
        refused('the catalog names the endpoint http', 'gcs\\.service\\.host='),
      );
    }
  });
});

it.each([
  [AZURE, 'adls\\.auth\\.shared-key'],
  [GOOGLE, 'gcs\\.credentials'],
])('a catalog that vends nothing for %s causes an error that names what else is possible', async (location, advice) => {
  const server = await catalog({
    [TABLE_PATH]: ({ headers }: { headers: Record<string, string> }, response: import('node:http').ServerResponse) => {
      if (headers['x-iceberg-access-delegation'])
        return respondWithError(response, 403, 'ForbiddenException', 'no delegation');
      const metadata = tableMetadata(location, `${location}/list.avro`);
      response
        .writeHead(200, { 'content-type': 'application/json' })
        .end(JSON.stringify({ 'metadata-location': 'm', metadata }));
    },
  });
  await expect((await open(server)).openTable(TABLE)).rejects.toMatchObject(
    refused('refuses to delegate', advice, 'rest\\.access-delegation=none'),
  );
});
