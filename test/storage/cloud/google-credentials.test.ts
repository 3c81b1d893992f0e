import { generateKeyPairSync, verify } from 'node:crypto';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { rememberConnectorSecret, withoutSecrets } from '../../../src/secrets.ts';
import { gcsCredentials } from '../../../src/storage/gcs/gcs-credentials.ts';
import {
  type FakeServer,
  type ReceivedRequest,
  respondWithJson,
  startFakeServer,
} from '../../connectors/rest/fake-server.ts';
import { stubEnv, unstubAllEnvs } from '../../jest/stub-env.ts';
import { withoutCloudIdentity } from './worker-environment.ts';

const READ = 'https://www.googleapis.com/auth/devstorage.read_only';
const CLOUD = 'https://www.googleapis.com/auth/cloud-platform';
const { privateKey, publicKey } = generateKeyPairSync('rsa', { modulusLength: 2048 });
const PEM = privateKey.export({ type: 'pkcs8', format: 'pem' }).toString();

let server: FakeServer;
let answer: (request: ReceivedRequest) => [json: unknown, status?: number, headers?: Record<string, string>];
let folder: string;
let count = 0;

beforeEach(async () => {
  count += 1;
  folder = mkdtempSync(join(tmpdir(), 'google-'));
  withoutCloudIdentity();
  answer = () => [{ access_token: `google-token-${count}`, expires_in: 3599 }];
  server = await startFakeServer((request, response) => respondWithJson(response, ...answer(request)));
});
afterEach(async () => {
  unstubAllEnvs();
  rmSync(folder, { recursive: true });
  await server[Symbol.asyncDispose]();
});

const current = (json: object) => gcsCredentials({ 'gcs.credentials': JSON.stringify(json) }).current();

it('masks many tokens that a catalog vends, and still the secrets of connectors', () => {
  rememberConnectorSecret('the secret of a connector');
  for (let table = 0; table <= 1_000; table++) gcsCredentials({ 'gcs.oauth2.token': `token-of-table-${table}` }, true);
  expect(withoutSecrets('token-of-table-1000, the secret of a connector')).toBe('***, ***');
});
const form = (request?: ReceivedRequest) => Object.fromEntries(new URLSearchParams(request?.body));
const account = () => ({
  type: 'service_account',
  client_email: `reader-${count}@project.iam.gserviceaccount.com`,
  private_key: PEM,
  private_key_id: 'the-key-id',
  token_uri: `${server.url}/token`,
});
const user = () => ({
  type: 'authorized_user',
  client_id: `id-${count}`,
  client_secret: 'secret-of-the-client',
  refresh_token: 'the-refresh-token',
  token_uri: `${server.url}/token`,
});

describe('gcs.credentials', () => {
  it("of a service account's key: sends a JWT that its public key verifies", async () => {
    const before = Math.floor(Date.now() / 1000);
    expect(await current(account())).toEqual({ value: `google-token-${count}`, expiresAt: expect.any(Number) });
    const { grant_type, assertion = '' } = form(server.requests[0]);
    expect(grant_type).toBe('urn:ietf:params:oauth:grant-type:jwt-bearer');
    const [header = '', claims = '', signature = ''] = assertion.split('.');
    expect(
      verify('RSA-SHA256', Buffer.from(`${header}.${claims}`), publicKey, Buffer.from(signature, 'base64url')),
    ).toBe(true);
    const decoded = (part: string) => JSON.parse(Buffer.from(part, 'base64url').toString());
    expect(decoded(header)).toEqual({ alg: 'RS256', typ: 'JWT', kid: 'the-key-id' });
    const { iat, exp, ...rest } = decoded(claims);
    expect(rest).toEqual({ iss: account().client_email, aud: account().token_uri, scope: READ });
    expect(iat).toBeGreaterThanOrEqual(before);
    expect(exp - iat).toBe(3_600);
    expect(withoutSecrets(JSON.stringify({ key: PEM }))).not.toContain(PEM.slice(40, 60));
  });

  it('of an authorized user: sends the refresh token', async () => {
    expect(await current(user())).toMatchObject({ value: `google-token-${count}` });
    expect(form(server.requests[0])).toEqual({
      grant_type: 'refresh_token',
      client_id: `id-${count}`,
      client_secret: 'secret-of-the-client',
      refresh_token: 'the-refresh-token',
    });
  });

  it.each(['text', 'json'])('of a workload identity federation: exchanges the token in a file of %s', async (type) => {
    const file = join(folder, 'token');
    writeFileSync(file, type === 'json' ? '{"id_token": "the-subject-token"}' : 'the-subject-token\n');
    const format = type === 'json' ? { type, subject_token_field_name: 'id_token' } : undefined;
    const external = {
      type: 'external_account',
      audience: `//iam.googleapis.com/projects/${count}/locations/global/workloadIdentityPools/p/providers/k8s`,
      subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
      token_url: `${server.url}/v1/token`,
      credential_source: { file, format },
    };
    expect(await current(external)).toMatchObject({ value: `google-token-${count}` });
    expect(form(server.requests[0])).toEqual({
      grant_type: 'urn:ietf:params:oauth:grant-type:token-exchange',
      requested_token_type: 'urn:ietf:params:oauth:token-type:access_token',
      audience: external.audience,
      scope: READ,
      subject_token_type: 'urn:ietf:params:oauth:token-type:jwt',
      subject_token: 'the-subject-token',
    });
  });

  it('of a workload identity federation with a service account: reads a URL, and acts as the account', async () => {
    const expireTime = new Date(Date.now() + 1_800_000).toISOString();
    answer = ({ path, headers }) => {
      if (path === '/subject') return headers['x-flavor'] === 'f' ? ['from-the-url'] : [{}, 400];
      if (path === '/v1/token') return [{ access_token: 'exchanged', expires_in: 3600 }];
      return [{ accessToken: 'of-the-account', expireTime }];
    };
    const token = await current({
      type: 'external_account',
      audience: `audience-${count}`,
      subject_token_type: 'jwt',
      token_url: `${server.url}/v1/token`,
      credential_source: { url: `${server.url}/subject`, headers: { 'X-Flavor': 'f' } },
      service_account_impersonation_url: `${server.url}/v1/projects/-/serviceAccounts/r@p.iam.gserviceaccount.com:generateAccessToken`,
    });
    expect(token).toEqual({ value: 'of-the-account', expiresAt: Date.parse(expireTime) });
    const [, exchange, impersonation] = server.requests;
    expect(form(exchange)).toMatchObject({ scope: CLOUD, subject_token: 'from-the-url' });
    expect(impersonation?.headers.authorization).toBe('Bearer exchanged');
    expect(JSON.parse(impersonation?.body ?? '')).toEqual({ scope: [READ], delegates: [] });
  });

  it('of an impersonated service account: acts as the account', async () => {
    answer = ({ path }) =>
      path === '/token'
        ? [{ access_token: 'source', expires_in: 3600 }]
        : [{ accessToken: 'target', expireTime: '2099-01-01T00:00:00Z' }];
    const token = await current({
      type: 'impersonated_service_account',
      delegates: ['d@p.iam.gserviceaccount.com'],
      service_account_impersonation_url: `${server.url}/serviceAccounts/t-${count}@p.iam.gserviceaccount.com:generateAccessToken`,
      source_credentials: user(),
    });
    expect(token).toEqual({ value: 'target', expiresAt: Date.UTC(2099, 0) });
    expect(server.requests[1]?.headers.authorization).toBe('Bearer source');
    expect(JSON.parse(server.requests[1]?.body ?? '').delegates).toEqual([
      'projects/-/serviceAccounts/d@p.iam.gserviceaccount.com',
    ]);
  });

  it.each([
    ['not JSON', /no JSON of Google credentials/],
    ['{"type": "other"}', /must be service_account, authorized_user/],
    ['{"type": "service_account", "client_email": "a@b"}', /without the field private_key/],
  ])('refuses %s', (text, message) => {
    expect(() => gcsCredentials({ 'gcs.credentials': text })).toThrow(
      expect.objectContaining({ code: 'FAILED_PRECONDITION', message: expect.stringMatching(message) }),
    );
  });

  it.each([
    [
      () => ({ ...account(), private_key: 'no key, but secret' }),
      'FAILED_PRECONDITION',
      /private key of .*reader-.* is not valid/,
    ],
    [
      () => ({
        type: 'external_account',
        audience: 'a',
        subject_token_type: 't',
        token_url: 'https://x',
        credential_source: { environment_id: 'aws1', url: 'u' },
      }),
      'UNIMPLEMENTED',
      /neither a file nor a url/,
    ],
  ])('reports what cannot be used', async (json, code, message) => {
    const error = await current(json()).catch((error) => error);
    expect(error).toMatchObject({ code, message: expect.stringMatching(message) });
    expect(error.message).not.toContain('no key, but secret');
  });

  it('reports a refusal, without secrets', async () => {
    answer = () => [{ error: 'invalid_grant', error_description: 'the-refresh-token was revoked' }, 400];
    await expect(current(user())).rejects.toMatchObject({
      code: 'UNAUTHENTICATED',
      message: expect.stringMatching(/^cannot get a token for an authorized user: .*invalid_grant: \*\*\* was revoked/),
    });
  });
});

describe("the worker's own credentials", () => {
  /** They are cached by the connector's settings. */
  const own = () =>
    gcsCredentials({ 'rest.client.proxy.hostname': '127.0.0.1', 'rest.client.proxy.port': String(9_000 + count) });

  it('are those that GOOGLE_APPLICATION_CREDENTIALS names, or of gcloud', async () => {
    const file = join(folder, 'application_default_credentials.json');
    writeFileSync(file, JSON.stringify(user()));
    stubEnv('CLOUDSDK_CONFIG', folder);
    expect(await own().current()).toMatchObject({ value: `google-token-${count}` });
    count += 1;
    stubEnv('GOOGLE_APPLICATION_CREDENTIALS', join(folder, 'missing.json'));
    await expect(own().current()).rejects.toMatchObject({
      message: expect.stringMatching(/missing\.json that GOOGLE_APPLICATION_CREDENTIALS names/),
    });
    writeFileSync(join(folder, 'missing.json'), JSON.stringify(account()));
    expect(await own().current()).toMatchObject({ value: `google-token-${count}` });
  });

  it('are those of the metadata server', async () => {
    stubEnv('GCE_METADATA_HOST', new URL(server.url).host);
    answer = ({ headers }) =>
      headers['metadata-flavor'] === 'Google'
        ? [
            { access_token: 'of-the-machine', expires_in: 3599, token_type: 'Bearer' },
            200,
            { 'metadata-flavor': 'Google' },
          ]
        : [{}, 403];
    expect(await own().current()).toMatchObject({ value: 'of-the-machine' });
    expect(server.requests.at(-1)?.path).toBe(
      `/computeMetadata/v1/instance/service-accounts/default/token?scopes=${encodeURIComponent(READ)}`,
    );
  });

  it('are missing', async () => {
    await expect(own().current()).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
      message: expect.stringMatching(/GOOGLE_APPLICATION_CREDENTIALS is not set.*no metadata server.*gcs\.credentials/),
    });
  });
});

it.each([
  [{ 'gcs.no-auth': 'true' }, { anonymous: true }],
  [{ 'gcs.oauth2.token': 'a-token' }, { value: 'a-token', expiresAt: Number.POSITIVE_INFINITY }],
])('%j selects no credentials, or a token', async (properties, expected) => {
  expect(await gcsCredentials(properties as unknown as Record<string, string>).current()).toEqual(expected);
});
