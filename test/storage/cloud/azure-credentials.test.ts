import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { rememberConnectorSecret, withoutSecrets } from '../../../src/secrets.ts';
import { azureCredentials } from '../../../src/storage/azure/azure-credentials.ts';
import {
  type FakeServer,
  type ReceivedRequest,
  respondWithJson,
  startFakeServer,
} from '../../connectors/rest/fake-server.ts';
import { stubEnv, unstubAllEnvs } from '../../jest/stub-env.ts';
import { withoutCloudIdentity } from './worker-environment.ts';

const HOST = 'acct.dfs.core.windows.net';
const RESOURCE = 'https://storage.azure.com';
let count = 0;
/** Token credentials are cached by their settings, so each test has its own client. */
let clientId: string;
let server: FakeServer;
let answer: (request: ReceivedRequest) => [json: unknown, status?: number];
let folder: string;

beforeEach(async () => {
  clientId = `client-${++count}`;
  folder = mkdtempSync(join(tmpdir(), 'azure-'));
  withoutCloudIdentity();
  answer = () => [{ access_token: `token-of-${clientId}`, expires_in: 3599 }];
  server = await startFakeServer((request, response) => respondWithJson(response, ...answer(request)));
});
afterEach(async () => {
  unstubAllEnvs();
  rmSync(folder, { recursive: true });
  await server[Symbol.asyncDispose]();
});

const current = (properties: Record<string, string>) => azureCredentials(properties, HOST).current();
const principal = () => ({
  'adls.tenant-id': 'tenant',
  'adls.client-id': clientId,
  'adls.client-secret': 'the client secret&',
});
const key = { 'adls.auth.shared-key.account.name': 'acct', 'adls.auth.shared-key.account.key': 'a2V5' };

it('masks many tokens that a catalog vends, and still the secrets of connectors', () => {
  rememberConnectorSecret('the secret of a connector');
  for (let table = 0; table < 1_000; table++)
    azureCredentials({ 'adls.sas-token.acct': `sig=of-table-${table}` }, HOST, true);
  expect(withoutSecrets('sig=of-table-999, the secret of a connector')).toBe('***, ***');
});

describe('the properties of a connector', () => {
  it.each([
    ['an account key', key, { account: 'acct', key: 'a2V5' }],
    [
      "pyiceberg's names of it",
      { 'adls.account-name': 'ACCT', 'adls.account-key': 'a2V5' },
      { account: 'acct', key: 'a2V5' },
    ],
    [
      'a SAS token of the host, before a key',
      { ...key, [`adls.sas-token.${HOST}`]: '?sv=1&sig=a' },
      { sas: 'sv=1&sig=a' },
    ],
    ['a SAS token of the Blob host', { 'adls.sas-token.acct.blob.core.windows.net': 'sig=b' }, { sas: 'sig=b' }],
    ['a SAS token of the name', { 'adls.sas-token.acct': 'sig=c' }, { sas: 'sig=c' }],
    ['a SAS token of any account', { 'adls.sas-token': 'sig=d' }, { sas: 'sig=d' }],
    [
      'a connection string',
      { 'adls.connection-string': 'AccountName=acct;AccountKey=a2V5==' },
      { account: 'acct', key: 'a2V5==' },
    ],
    [
      'a connection string with a SAS token',
      {
        [`adls.connection-string.${HOST}`]:
          'BlobEndpoint=https://acct.blob.core.windows.net/;SharedAccessSignature=sv=1&sig=e',
      },
      { sas: 'sv=1&sig=e' },
    ],
    [
      'the URL of an endpoint with a SAS token',
      { 'adls.connection-string.acct': 'https://x.example/acct?sig=f' },
      { sas: 'sig=f' },
    ],
    ['a token', { 'adls.token': 'a-token' }, { value: 'a-token', expiresAt: Number.POSITIVE_INFINITY }],
    ['none', { 'adls.anon': 'true' }, { anonymous: true }],
  ])('select %s', async (_, properties, expected) => {
    expect(await current(properties as unknown as Record<string, string>)).toEqual(expected);
  });

  it.each([
    [{ 'adls.auth.shared-key.account.key': 'a2V5' }, /account\.key is set but .*account\.name is not/],
    [
      { ...key, 'adls.auth.shared-key.account.name': 'other' },
      /is the key of account other, not of acct: set .*adls\.sas-token\.acct\./,
    ],
    [{ 'adls.client-secret': 's' }, /adls\.client-id or adls\.tenant-id is not/],
  ])('must be complete: %j', (properties, message) => {
    expect(() => azureCredentials(properties as Record<string, string>, HOST)).toThrow(
      expect.objectContaining({ code: 'FAILED_PRECONDITION', message: expect.stringMatching(message) }),
    );
  });

  it('are masked in errors and logs', () => {
    azureCredentials({ 'adls.sas-token.acct': 'sv=1&sig=the%2Bsignature%3D' }, HOST);
    expect(withoutSecrets('a the+signature= b the%2Bsignature%3D')).toBe('a *** b ***');
    expect(azureCredentials(key, HOST).name).not.toContain('a2V5');
  });
});

describe('a service principal', () => {
  it('gets a token, once for all callers, until it nears its end', async () => {
    stubEnv('AZURE_AUTHORITY_HOST', `${server.url}/`);
    const credentials = azureCredentials(principal(), HOST);
    const [one, two] = await Promise.all([credentials.current(), azureCredentials(principal(), HOST).current()]);
    expect(one).toEqual({ value: `token-of-${clientId}`, expiresAt: expect.any(Number) });
    expect(two).toBe(one);
    const { expiresAt } = one as { expiresAt: number };
    expect(Math.abs(expiresAt - Date.now() - 3_599_000)).toBeLessThan(60_000);
    expect(server.requests).toHaveLength(1);
    const [{ method, path, body }] = server.requests as [ReceivedRequest];
    expect([method, path]).toEqual(['POST', '/tenant/oauth2/v2.0/token']);
    expect(Object.fromEntries(new URLSearchParams(body))).toEqual({
      grant_type: 'client_credentials',
      client_id: clientId,
      client_secret: 'the client secret&',
      scope: `${RESOURCE}/.default`,
    });
    expect(withoutSecrets(`token-of-${clientId}`)).toBe('***');
  });

  it('gets another token when one was refused, but not for each refusal', async () => {
    stubEnv('AZURE_AUTHORITY_HOST', server.url);
    const credentials = azureCredentials(principal(), HOST);
    const token = await credentials.current();
    // It is too young to be the cause.
    expect(await credentials.renew(token)).toBe(false);
    expect(server.requests).toHaveLength(1);
  });

  it.each([
    [
      {
        error: 'invalid_client',
        error_description: 'AADSTS7000215: Invalid client secret the client secret& provided',
      },
      401,
      'UNAUTHENTICATED',
      1,
    ],
    [{ error: 'slow_down' }, 429, 'RESOURCE_EXHAUSTED', 5],
    ['busy', 503, 'UNAVAILABLE', 5],
    ['a page', 200, 'UNAVAILABLE', 1],
    [{ access_token: 'x' }, 200, 'UNAVAILABLE', 1],
  ])('reports %j', async (json, status, code, requests) => {
    stubEnv('AZURE_AUTHORITY_HOST', server.url);
    answer = () => [json, status];
    const error = await current(principal()).catch((error) => error);
    expect(error).toMatchObject({ code });
    expect(error.message).not.toContain('the client secret&');
    expect(server.requests).toHaveLength(requests);
  });
});

describe("the worker's own identity", () => {
  /** The properties select it; the client makes it new. */
  const worker = () => ({ 'adls.client-id': clientId });

  it('is a client of the environment', async () => {
    stubEnv('AZURE_AUTHORITY_HOST', server.url);
    stubEnv('AZURE_TENANT_ID', `tenant-${count}`);
    stubEnv('AZURE_CLIENT_ID', clientId);
    stubEnv('AZURE_CLIENT_SECRET', 'secret-of-the-worker');
    // The proxy makes these settings differ from those of other tests.
    const proxied = { 'adls.tenant-id': `tenant-${count}` };
    expect(await current(proxied)).toMatchObject({ value: `token-of-${clientId}` });
    expect(new URLSearchParams(server.requests[0]?.body).get('client_secret')).toBe('secret-of-the-worker');
  });

  it('is a workload identity', async () => {
    const file = join(folder, 'token');
    writeFileSync(file, 'a.b.c\n');
    stubEnv('AZURE_AUTHORITY_HOST', server.url);
    stubEnv('AZURE_TENANT_ID', 'tenant');
    stubEnv('AZURE_FEDERATED_TOKEN_FILE', file);
    expect(await current(worker())).toMatchObject({ value: `token-of-${clientId}` });
    expect(Object.fromEntries(new URLSearchParams(server.requests[0]?.body))).toEqual({
      grant_type: 'client_credentials',
      client_id: clientId,
      client_assertion_type: 'urn:ietf:params:oauth:client-assertion-type:jwt-bearer',
      client_assertion: 'a.b.c',
      scope: `${RESOURCE}/.default`,
    });
  });

  it("is a virtual machine's managed identity", async () => {
    stubEnv('AZURE_POD_IDENTITY_AUTHORITY_HOST', server.url);
    const expiresOn = Math.floor(Date.now() / 1000) + 86_400;
    answer = ({ headers }) =>
      headers.metadata === 'true'
        ? [{ access_token: 'of-the-machine', expires_on: String(expiresOn) }]
        : [{ error: 'no header' }, 400];
    expect(await current(worker())).toEqual({ value: 'of-the-machine', expiresAt: expiresOn * 1000 });
    expect(server.requests.at(-1)?.path).toBe(
      `/metadata/identity/oauth2/token?api-version=2018-02-01&resource=${encodeURIComponent(RESOURCE)}&client_id=${clientId}`,
    );
  });

  it("is an app's managed identity", async () => {
    stubEnv('IDENTITY_ENDPOINT', `${server.url}/msi/token`);
    stubEnv('IDENTITY_HEADER', 'a-header-value');
    expect(await current(worker())).toMatchObject({ value: `token-of-${clientId}` });
    expect(server.requests).toMatchObject([
      {
        path: `/msi/token?api-version=2019-08-01&resource=${encodeURIComponent(RESOURCE)}&client_id=${clientId}`,
        headers: { 'x-identity-header': 'a-header-value' },
      },
    ]);
  });

  /** A program `az` that prints this. */
  function az(script: string): void {
    const file = join(folder, 'az');
    writeFileSync(file, `#!/bin/sh\n${script}\n`);
    chmodSync(file, 0o755);
    stubEnv('PATH', `${folder}:/usr/bin:/bin`);
  }

  it.each([
    ['that has no managed identity', 400],
    ['of another cloud', 404],
  ])('is that of the Azure CLI, also on a machine %s', async (_, status) => {
    stubEnv('AZURE_POD_IDENTITY_AUTHORITY_HOST', server.url);
    answer = () => [{ error: 'invalid_request', error_description: 'Identity not found' }, status];
    const expiresOn = Math.floor(Date.now() / 1000) + 3_600;
    az(
      `echo "$@" > ${folder}/args; echo '{"accessToken": "of-the-cli-${count}", "expiresOn": "2020-01-01 00:00:00.000000", "expires_on": ${expiresOn}}'`,
    );
    expect(await current(worker())).toEqual({ value: `of-the-cli-${count}`, expiresAt: expiresOn * 1000 });
  });

  it('names what was tried if there is none', async () => {
    az('echo "ERROR: Please run \'az login\' to setup account." >&2; exit 1');
    await expect(current(worker())).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
      message: expect.stringMatching(
        /AZURE_CLIENT_SECRET.*no managed identity.*nobody is logged in.*adls\.auth\.shared-key/,
      ),
    });
    az('echo "ERROR: the network is down" >&2; exit 1');
    await expect(current(worker())).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      message: expect.stringContaining('the network is down'),
    });
  });
});
