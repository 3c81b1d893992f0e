import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import type { HttpClient, JsonResponse } from '../../../src/connectors/rest/http-client.ts';
import type { DeltaEndpoints } from '../../../src/connectors/unity/delta-endpoints.ts';
import { temporaryCredentials } from '../../../src/connectors/unity/table-credentials.ts';
import { UnityApi } from '../../../src/connectors/unity/unity-api.ts';
import { withoutSecrets } from '../../../src/secrets.ts';
import { ROOT } from '../../integration/stack/running-stack.ts';
import { fakeOnly } from '../../jest/fake-timers.ts';
import { FakeS3 } from '../../storage/fake-s3.ts';
import { respondWithJson } from '../rest/fake-server.ts';
import { s3Folder } from './s3-folder.ts';
import { failure, type UnityServer } from './unity-server.ts';
import { cleanUp, closeAll, openUnity, unityServer } from './unity-setup.ts';

const BUCKET = 'lake';
const SECRET = 'the-secret/of+a-vended-key';
let server: UnityServer;
let s3: FakeS3;
beforeEach(async () => {
  server = await unityServer();
  s3 = await FakeS3.start();
  cleanUp.push(s3);
  s3.answer = s3Folder(BUCKET, join(ROOT, 'test/fixtures/delta'));
  for (const name of ['t', 'u']) server.add('main', 's', { name, storage_location: `s3://${BUCKET}/rs_partitioned` });
});
afterEach(async () => {
  jest.useRealTimers();
  await closeAll();
});

/** Keys that expire after this time, each used for one table only. */
function vendKeys(seconds: number): { vended: string[] } {
  const vended: string[] = [];
  server.vend = ({ name }) => {
    const accessKeyId = `ASIA${name}${vended.length}`;
    vended.push(accessKeyId);
    s3.secrets.set(accessKeyId, SECRET);
    const expiresAtMs = Date.now() + seconds * 1000;
    return { accessKeyId, secretAccessKey: SECRET, sessionToken: `token-of-${accessKeyId}`, expiresAtMs };
  };
  return { vended };
}

const endpoint = () => ({ 's3.endpoint': s3.url, 's3.region': 'us-east-1' });
const open = (name: string, upstream: Awaited<ReturnType<typeof openUnity>>) =>
  upstream.openTable({ namespace: ['s'], name });
/** The keys with which S3 was read since the last call. */
const usedKeys = () => [
  ...new Set(s3.seen.splice(0).map(({ headers }) => /Credential=([^/]+)/.exec(String(headers.authorization))?.[1])),
];

describe.each([
  ['POST /temporary-table-credentials', false],
  ['GET /delta/v1/catalogs/main/schemas/s/tables/t/credentials', true],
])('by %s, a table', (request, hasDeltaApi) => {
  beforeEach(() => {
    server.hasDeltaApi = hasDeltaApi;
  });

  it('is read with keys of its own', async () => {
    const { vended } = vendKeys(3600);
    const upstream = await openUnity(server, endpoint());
    await using reader = await open('t', upstream);
    expect(reader.descriptor.currentSnapshotId).toBe(6n);
    expect(usedKeys()).toEqual(['ASIAt0']);
    expect(server.taken()).toContain(request);
    await open('u', upstream);
    expect(usedKeys()).toEqual(['ASIAu1']);
    expect(vended).toHaveLength(2);
    expect(withoutSecrets(`${SECRET} token-of-ASIAt0`)).toBe('*** ***');
  });

  it('is read on with new keys before they expire', async () => {
    // Keys without an expiry would be renewed after ten minutes.
    const { vended } = vendKeys(300);
    const upstream = await openUnity(server, endpoint());
    await using reader = await open('t', upstream);
    usedKeys();
    fakeOnly(['Date']);
    jest.setSystemTime(Date.now() + 200_000);
    await reader.openDataFile?.(`s3://${BUCKET}/rs_partitioned/_delta_log/00000000000000000000.json`, 100).slice(0, 4);
    expect(usedKeys()).toEqual(['ASIAt1']);
    expect(vended).toHaveLength(2);
  });

  it('names what Databricks requires if they are refused', async () => {
    server.intercept = refuse(403, "User does not have EXTERNAL USE SCHEMA on Schema 'main.s'.");
    const upstream = await openUnity(server, endpoint());
    const refused = {
      code: 'PERMISSION_DENIED',
      message: expect.stringMatching(
        /no temporary credentials for table main\.s\.t: .*privilege EXTERNAL USE SCHEMA on main\.s .*external data access enabled on the metastore/s,
      ),
    };
    await expect(open('t', upstream)).rejects.toMatchObject(refused);
    await expect(upstream.fingerprint({ namespace: ['s'], name: 't' })).rejects.toMatchObject(refused);
    expect(s3.seen).toEqual([]);
  });

  it("is read with the connector's own keys if they are refused", async () => {
    server.intercept = refuse(403, 'Access denied.');
    await using reader = await open('t', await openUnity(server, s3.properties));
    expect(reader.descriptor.currentSnapshotId).toBe(6n);
  });
});

/** Refuses credentials with Unity Catalog's error. */
function refuse(status: number, message: string): UnityServer['intercept'] {
  return ({ path }, response) => {
    if (!/credentials/.test(path)) return false;
    const { json } = failure(status, status === 401 ? 'UNAUTHENTICATED' : 'PERMISSION_DENIED', message);
    respondWithJson(response, json, status);
    return true;
  };
}

it('a 401 that means that external access is off says so, and does not blame the token', async () => {
  server.hasDeltaApi = false;
  server.intercept = refuse(
    401,
    "Request for table 't' from outside of Databricks Unity Catalog enabled compute is denied.",
  );
  await expect(open('t', await openUnity(server, endpoint()))).rejects.toMatchObject({
    code: 'PERMISSION_DENIED',
    message: expect.stringContaining('external data access enabled on the metastore'),
  });
});

it('none are requested if the connector says so', async () => {
  vendKeys(3600);
  await open('t', await openUnity(server, { ...s3.properties, 'rest.access-delegation': 'none' }));
  expect(server.taken().filter((request) => request.includes('credentials'))).toEqual([]);
});

/** What is vended for a table, with an answer of the catalog. */
function vended(location: string, answer: object, byName = false) {
  const client = { json: async () => ({ json: answer }) as JsonResponse } as Partial<HttpClient> as HttpClient;
  const endpoints = { has: async () => byName } as Partial<DeltaEndpoints> as DeltaEndpoints;
  return temporaryCredentials(
    new UnityApi(client, 'https://host'),
    endpoints,
    { catalog: 'c', schema: 's', table: 't' },
    { id: 'i', location },
  );
}

describe('keys of other stores', () => {
  const azure = 'abfss://container@account.dfs.core.windows.net/t';
  it.each([
    [
      azure,
      { azure_user_delegation_sas: { sas_token: '?sv=1&sig=abc' }, expiration_time: 1_700_000_000_000 },
      {
        'adls.sas-token.account.dfs.core.windows.net': 'sv=1&sig=abc',
        'adls.sas-token-expires-at-ms.account.dfs.core.windows.net': '1700000000000',
      },
    ],
    [
      'gs://bucket/t',
      { gcp_oauth_token: { oauth_token: 'ya29.x' }, expiration_time: 1_700_000_000_000 },
      { 'gcs.oauth2.token': 'ya29.x', 'gcs.oauth2.token-expires-at': '1700000000000' },
    ],
  ])('become properties of Iceberg, for %s', async (location, answer, config) => {
    expect(await vended(location, answer)).toEqual([{ prefix: location, config }]);
  });

  it('come from the Delta API too, which has a prefix for each', async () => {
    const config = { 'azure.sas-token': 'sv=1', 's3.access-key-id': null };
    const entry = { prefix: azure, operation: 'READ', config, 'expiration-time-ms': null };
    expect(await vended(azure, { 'storage-credentials': [entry, { ...entry, config: {} }] }, true)).toEqual([
      { prefix: azure, config: { 'adls.sas-token.account.dfs.core.windows.net': 'sv=1' } },
    ]);
  });

  it.each([
    [{ aws_temp_credentials: null, azure_user_delegation_sas: null, gcp_oauth_token: null, expiration_time: null }],
    [{}],
  ])('are none if all are null: %j', async (answer) => {
    expect(await vended('s3://b/t', answer)).toEqual([]);
  });

  it('are not shown by the error about a malformed answer', async () => {
    const answer = { aws_temp_credentials: { access_key_id: { wrong: 'shhh-secret' } } };
    const error = await vended('s3://b/t', answer).catch((error: Error) => error);
    expect(error).toMatchObject({ code: 'DATA_LOSS' });
    expect((error as Error).message).not.toContain('shhh');
  });
});
