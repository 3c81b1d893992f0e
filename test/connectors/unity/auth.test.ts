import { mkdirSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { stubEnv, unstubAllEnvs } from '../../jest/stub-env.ts';
import { respondWithJson } from '../rest/fake-server.ts';
import type { UnityServer } from './unity-server.ts';
import { closeAll, openUnity, unityServer } from './unity-setup.ts';

let home: string;
let server: UnityServer;
/** The forms and headers of token requests. */
let grants: { form: Record<string, string>; authorization?: string }[];
/** What the token endpoint answers. */
let answer: () => [number, object];

beforeEach(async () => {
  home = mkdtempSync(join(tmpdir(), 'home-'));
  stubEnv('HOME', home);
  server = await unityServer();
  server.schema('main', 's');
  server.token = 'the-valid-token';
  grants = [];
  answer = () => [
    200,
    { access_token: 'the-valid-token', token_type: 'Bearer', expires_in: 3600, refresh_token: 'next-refresh' },
  ];
  server.intercept = ({ method, path, body, headers }, response) => {
    if (`${method} ${path}` !== 'POST /oidc/v1/token') return false;
    grants.push({ form: Object.fromEntries(new URLSearchParams(body)), authorization: headers.authorization });
    const [status, json] = answer();
    respondWithJson(response, json, status);
    return true;
  };
});
afterEach(async () => {
  await closeAll();
  unstubAllEnvs();
  rmSync(home, { recursive: true });
});

type Auth = Parameters<typeof openUnity>[2];
const list = async (auth: Auth) => (await openUnity(server, {}, auth)).listNamespaces([], { size: 10 });
const works = (auth: Auth) => expect(list(auth)).resolves.toEqual({ items: [['s']] });
const fails = (auth: Auth, code: string, message: RegExp) =>
  expect(list(auth)).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
const secret = (value: string) => {
  stubEnv('UNITY_SECRET', value);
  return 'env:UNITY_SECRET';
};
const basic = `Basic ${Buffer.from('the-client:the-secret').toString('base64')}`;

describe('a connector', () => {
  it.each([[''], ['bearer']])('authenticates with a token (scheme %j)', (scheme) =>
    works({ scheme, secretRef: secret('the-valid-token') }),
  );

  it('without credentials sends none', async () => {
    await fails({}, 'UNAUTHENTICATED', /401 UNAUTHENTICATED: No authorization found/);
    expect(server.requests.some(({ headers }) => headers.authorization)).toBe(false);
  });

  it.each<[string, Auth]>([
    ['in the secret', { scheme: 'oauth2', secretRef: 'env:UNITY_SECRET' }],
    ['in the secret, without a scheme', { secretRef: 'env:UNITY_SECRET' }],
  ])('authenticates as a service principal: %s', async (_, auth) => {
    secret('the-client:the-secret');
    await works(auth);
    expect(grants).toEqual([{ form: { grant_type: 'client_credentials', scope: 'all-apis' }, authorization: basic }]);
  });

  it('has the client id apart from the secret', async () => {
    await works({ scheme: 'oauth2', secretRef: secret('the-secret'), properties: { 'client-id': 'the-client' } });
    expect(grants[0]?.authorization).toBe(basic);
  });

  it('says that a service principal is wrong, without its secret', async () => {
    answer = () => [401, { error: 'invalid_client', error_description: 'Client the-secret failed' }];
    const error = await list({ secretRef: secret('the-client:the-secret') }).catch((error: Error) => error);
    expect(error).toMatchObject({ code: 'UNAUTHENTICATED', message: expect.stringContaining('invalid_client') });
    expect((error as Error).message).not.toContain('the-secret');
  });

  it.each<[string, Auth, RegExp]>([
    ['sigv4', { scheme: 'sigv4' }, /Use none, bearer or oauth2/],
    ['bearer without a token', { scheme: 'bearer' }, /needs a token/],
    ['oauth2 without a secret', { scheme: 'oauth2' }, /needs a service principal/],
    ['another mode', { properties: { mode: 'sp' } }, /only cli is supported/],
    [
      'two of them',
      { secretRef: 'env:UNITY_SECRET', properties: { profile: 'p' } },
      /has a secret and the auth property profile/,
    ],
  ])('is refused with %s', async (_, auth, message) => {
    secret('the-secret');
    await fails(auth, 'INVALID_ARGUMENT', message);
  });
});

describe('a profile of .databrickscfg', () => {
  const write = (text: string) => writeFileSync(join(home, '.databrickscfg'), text.replaceAll('HOST', server.url));
  const auth = { properties: { profile: 'lake' } };

  it('has a token', async () => {
    write(
      '; comment\n[DEFAULT]\nhost = https://other\ntoken = wrong\n\n[lake]\n# comment\nhost = HOST/\ntoken = the-valid-token\n',
    );
    await works(auth);
  });

  it('has a service principal', async () => {
    write('[lake]\nhost=HOST\nclient_id=the-client\nclient_secret=the-secret\n');
    await works(auth);
    expect(grants[0]?.authorization).toBe(basic);
  });

  it('does not have its secret sent to another host', async () => {
    const other = await unityServer();
    write('[lake]\nhost=HOST\nclient_id=the-client\nclient_secret=the-secret\n');
    const properties = { ...auth.properties, 'oauth2-server-uri': `${other.url}/oidc/v1/token` };
    await fails({ properties }, 'INVALID_ARGUMENT', /oauth2-server-uri "http.*" is not at the connector's URI/);
    expect(other.requests).toEqual([]);
  });

  it('may be in the file that DATABRICKS_CONFIG_FILE names', async () => {
    writeFileSync(join(home, 'other'), `[lake]\nhost=${server.url}\ntoken=the-valid-token\n`);
    stubEnv('DATABRICKS_CONFIG_FILE', join(home, 'other'));
    await works(auth);
  });

  it.each<[string, string, string, RegExp]>([
    [
      'of another host',
      '[lake]\nhost=https://other.cloud\ntoken=the-valid-token',
      'INVALID_ARGUMENT',
      /for the host https:\/\/other\.cloud, not for/,
    ],
    ['that does not exist', '[other]\nhost=HOST', 'FAILED_PRECONDITION', /no profile \[lake\]/],
    [
      'with another kind of credentials',
      '[lake]\nhost=HOST\nauth_type=azure-cli',
      'FAILED_PRECONDITION',
      /auth_type azure-cli/,
    ],
    ['without credentials', '[lake]\nhost=HOST', 'FAILED_PRECONDITION', /no token and no client_id/],
  ])('%s is refused, and its token is not sent', async (_, text, code, message) => {
    write(text);
    await fails(auth, code, message);
    expect(server.requests).toEqual([]);
  });

  it('is missing if there is no file', () =>
    fails(auth, 'FAILED_PRECONDITION', /\.databrickscfg cannot be read \(ENOENT\)/));
});

describe("the token of Databricks' CLI", () => {
  const path = () => join(home, '.databricks', 'token-cache.json');
  const auth = { properties: { mode: 'cli' } };
  const inSeconds = (seconds: number) => new Date(Date.now() + seconds * 1000).toISOString();
  function cache(key: string, token: Record<string, string>): void {
    mkdirSync(join(home, '.databricks'), { recursive: true });
    const tokens = { 'https://other': { access_token: 'wrong' }, [key]: token };
    writeFileSync(path(), JSON.stringify({ version: 1, tokens }));
  }
  const cached = () => JSON.parse(readFileSync(path(), 'utf8')).tokens;

  it.each([[''], ['/']])('is found by the host with %j', async (slash) => {
    cache(server.url + slash, { access_token: 'the-valid-token', expiry: inSeconds(120) });
    await works(auth);
    expect(grants).toEqual([]);
  });

  it('is found by the profile', async () => {
    cache('lake', { access_token: 'the-valid-token', expiry: inSeconds(120) });
    writeFileSync(join(home, '.databrickscfg'), `[lake]\nhost = ${server.url}\nauth_type = databricks-cli\n`);
    await works({ properties: { profile: 'lake' } });
  });

  it('is renewed within a minute of its end, and written back for the CLI', async () => {
    cache(server.url, {
      access_token: 'old',
      refresh_token: 'the-refresh',
      expiry: inSeconds(50),
      token_type: 'Bearer',
    });
    await works(auth);
    expect(grants.map(({ form }) => form)).toEqual([
      {
        grant_type: 'refresh_token',
        client_id: 'databricks-cli',
        refresh_token: 'the-refresh',
        scope: 'all-apis offline_access',
      },
    ]);
    expect(server.requests.some(({ headers }) => headers.authorization === 'Bearer old')).toBe(false);
    expect(cached()[server.url]).toMatchObject({
      access_token: 'the-valid-token',
      refresh_token: 'next-refresh',
      token_type: 'Bearer',
    });
    expect(Date.parse(cached()[server.url].expiry)).toBeGreaterThan(Date.now() + 3_000_000);
    expect(cached()['https://other']).toEqual({ access_token: 'wrong' });
    expect(statSync(path()).mode & 0o777).toBe(0o600);
  });

  it('is written back for several workspaces at the same time', async () => {
    const servers = [server, ...(await Promise.all(Array.from({ length: 9 }, unityServer)))];
    const expired = { access_token: 'old', refresh_token: 'the-refresh', expiry: inSeconds(-10) };
    mkdirSync(join(home, '.databricks'), { recursive: true });
    writeFileSync(path(), JSON.stringify({ tokens: Object.fromEntries(servers.map(({ url }) => [url, expired])) }));
    for (const each of servers) {
      each.schema('main', 's');
      each.intercept = server.intercept;
    }
    await Promise.all(servers.map(async (each) => (await openUnity(each, {}, auth)).listNamespaces([], { size: 10 })));
    expect(servers.map(({ url }) => cached()[url].refresh_token)).toEqual(servers.map(() => 'next-refresh'));
  });

  it('is renewed once for concurrent calls, and after a 401', async () => {
    cache(server.url, { access_token: 'revoked', refresh_token: 'the-refresh', expiry: inSeconds(3000) });
    const upstream = await openUnity(server, {}, auth);
    await Promise.all([1, 2, 3].map(() => upstream.listNamespaces([], { size: 10 })));
    expect(grants).toHaveLength(1);
  });

  it('is taken from the cache if another process has renewed it at the same time', async () => {
    cache(server.url, { access_token: 'old', refresh_token: 'used', expiry: inSeconds(-10) });
    answer = () => {
      cache(server.url, { access_token: 'the-valid-token', refresh_token: 'new', expiry: inSeconds(3000) });
      return [400, { error: 'invalid_grant', error_description: 'Refresh token is invalid' }];
    };
    await works(auth);
  });

  it.each<[string, () => void, RegExp]>([
    [
      'there is no cache',
      () => {},
      /token-cache\.json cannot be read \(ENOENT\).*Run databricks auth login --host http/,
    ],
    [
      'it has none for the host',
      () => cache('https://x', { access_token: 'y' }),
      /has none\. Run databricks auth login/,
    ],
    [
      'it has expired',
      () => cache(server.url, { access_token: 'old', expiry: inSeconds(-5) }),
      /has expired, and has no refresh token/,
    ],
    [
      'it cannot be renewed',
      () => {
        cache(server.url, { access_token: 'old-token', refresh_token: 'the-refresh', expiry: inSeconds(-5) });
        answer = () => [400, { error: 'invalid_grant', error_description: 'Refresh token the-refresh is invalid' }];
      },
      /cannot be renewed: .*invalid_grant/,
    ],
  ])('asks for a login if %s', async (_, prepare, message) => {
    prepare();
    const error = await list(auth).catch((error: Error) => error);
    expect(error).toMatchObject({ code: 'UNAUTHENTICATED', message: expect.stringMatching(message) });
    expect((error as Error).message).not.toMatch(/the-refresh|old-token/);
  });

  it('is not shown if the cache is broken', async () => {
    cache(server.url, {});
    writeFileSync(path(), '{"tokens": {"a": {"access_token": "shhh-secret"');
    const error = await list(auth).catch((error: Error) => error);
    expect(error).toMatchObject({ code: 'FAILED_PRECONDITION' });
    expect((error as Error).message).not.toContain('shhh');
  });

  it('gives way to DATABRICKS_TOKEN', async () => {
    stubEnv('DATABRICKS_TOKEN', 'the-valid-token');
    await works(auth);
  });
});
