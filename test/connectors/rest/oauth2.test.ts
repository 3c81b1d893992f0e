import { afterEach, describe, expect, it, jest } from '@jest/globals';
import { ANONYMOUS, type Authenticator } from '../../../src/connectors/rest/auth/authenticator.ts';
import { OAuth2, type OAuth2Options } from '../../../src/connectors/rest/auth/oauth2.ts';
import { HttpClient } from '../../../src/connectors/rest/http-client.ts';
import { HttpExchange } from '../../../src/connectors/rest/http-exchange.ts';
import { withoutSecrets } from '../../../src/secrets.ts';
import { fakeOnly } from '../../jest/fake-timers.ts';
import { respondWithError, respondWithJson, startFakeServer } from './fake-server.ts';
import { type OAuthRules, oauthServer } from './oauth-server.ts';

const RULES: OAuthRules = { clientId: 'id', clientSecret: 's:cr%t é', scope: 'catalog', seconds: 3600, exchange: true };
const cleanUp: AsyncDisposable[] = [];
const exchange = new HttpExchange({ requests: 0, bytes: 0 });
afterEach(async () => {
  jest.useRealTimers();
  for (const resource of cleanUp.splice(0)) await resource[Symbol.asyncDispose]();
});

function clientOf(authenticator: Authenticator) {
  return new HttpClient({ exchange, headers: () => ({}), authenticator, connectMs: 1_000, timeoutMs: 5_000 });
}

/** A token server, and a resource server that accepts only its tokens. */
async function setUp(rules: Partial<OAuthRules> = {}, options: Partial<OAuth2Options> = {}) {
  const tokens = await oauthServer({ ...RULES, ...rules });
  const resources = await startFakeServer((request, response) => {
    const fault = tokens.fault(request.headers);
    if (fault) respondWithError(response, 401, 'NotAuthorizedException', fault);
    else respondWithJson(response, { ok: true });
  });
  cleanUp.push(tokens, resources);
  const oauth = new OAuth2({
    client: clientOf(ANONYMOUS),
    tokenUrl: `${tokens.url}/tokens`,
    credential: { clientId: 'id', clientSecret: 's:cr%t é' },
    scope: 'catalog',
    parameters: {},
    exchange: true,
    ...options,
  });
  const client = clientOf(oauth);
  return { tokens, resources, ask: () => client.json({ url: `${resources.url}/v1/x`, maxBytes: 1_000 }) };
}

it('requests one token for concurrent calls, and keeps it', async () => {
  const { tokens, ask } = await setUp();
  await Promise.all(Array.from({ length: 10 }, ask));
  await ask();
  expect(tokens.grants).toEqual([{ grant: 'client_credentials', status: 200 }]);
});

it('sends audience, resource, a configured scope, and a secret without an id', async () => {
  const { ask } = await setUp(
    { clientId: undefined, clientSecret: 'alone', scope: 'a b', parameters: { audience: 'lake', resource: 'urn:x' } },
    { credential: { clientSecret: 'alone' }, scope: 'a b', parameters: { audience: 'lake', resource: 'urn:x' } },
  );
  expect((await ask()).json).toEqual({ ok: true });
});

it.each([
  ['exchanges it for a new one', true, 'exchange'],
  ['requests a new one if exchange is off', false, 'client_credentials'],
])('before a token expires, %s', async (_, exchange, grant) => {
  const { tokens, resources, ask } = await setUp({}, { exchange });
  fakeOnly(['Date']);
  await ask();
  jest.setSystemTime(Date.now() + (3600 - 300) * 1000 - 1_000);
  await ask();
  expect(tokens.grants).toHaveLength(1);
  jest.setSystemTime(Date.now() + 2_000);
  await Promise.all([ask(), ask(), ask()]);
  expect(tokens.grants.slice(1)).toEqual([{ grant, status: 200 }]);
  const used = resources.requests.map(({ headers }) => headers.authorization);
  expect(used.at(-1)).not.toBe(used[0]);
});

it('exchanges an expired token with the credential', async () => {
  const { tokens, ask } = await setUp();
  fakeOnly(['Date']);
  await ask();
  jest.setSystemTime(Date.now() + 4000 * 1000);
  await ask();
  expect(tokens.grants.map(({ grant, status }) => [grant, status])).toEqual([
    ['client_credentials', 200],
    ['exchange', 200],
  ]);
  expect(tokens.requests[1]?.headers.authorization).toMatch(/^Basic /);
});

it('falls back to the credential if the server refuses exchange, and remembers that', async () => {
  const { tokens, ask } = await setUp({ exchange: false });
  fakeOnly(['Date']);
  for (let i = 0; i < 3; i++) {
    await ask();
    jest.setSystemTime(Date.now() + 3500 * 1000);
  }
  expect(tokens.grants.map(({ grant, status }) => [grant, status])).toEqual([
    ['client_credentials', 200],
    ['exchange', 400],
    ['client_credentials', 200],
    ['client_credentials', 200],
  ]);
});

it('uses a token that is still valid if the server hangs, and does not request a new one at every call', async () => {
  let tokenRequests = 0;
  const hanging = await startFakeServer((_, response) => {
    tokenRequests += 1;
    if (tokenRequests === 1) respondWithJson(response, { access_token: 'a-good-token', expires_in: 3600 });
  });
  const resources = await startFakeServer((_, response) => respondWithJson(response, { ok: true }));
  cleanUp.push(hanging, resources);
  const limited = (authenticator: Authenticator, timeoutMs: number) =>
    new HttpClient({ exchange, headers: () => ({}), authenticator, connectMs: 1_000, timeoutMs });
  const oauth = new OAuth2({
    client: limited(ANONYMOUS, 600),
    tokenUrl: `${hanging.url}/tokens`,
    credential: { clientSecret: 'the-secret' },
    scope: 'catalog',
    parameters: {},
    exchange: false,
  });
  const client = limited(oauth, 500);
  const ask = () => client.json({ url: `${resources.url}/v1/x`, maxBytes: 1_000 });
  fakeOnly(['Date']);
  await ask();
  jest.setSystemTime(Date.now() + 3400 * 1000);
  for (let i = 0; i < 3; i++) expect((await ask()).json).toEqual({ ok: true });
  expect(tokenRequests).toBe(2);
  jest.setSystemTime(Date.now() + 10_000);
  await ask();
  expect(tokenRequests).toBe(3);
});

describe('a token that is refused before it expires', () => {
  it('is renewed once, and the request is sent again', async () => {
    const { tokens, resources, ask } = await setUp();
    await ask();
    tokens.revoke();
    await Promise.all([ask(), ask(), ask()]);
    expect(tokens.grants).toHaveLength(2);
    expect(tokens.grants[1]).toEqual({ grant: 'client_credentials', status: 200 });
    expect(resources.requests.length).toBeLessThanOrEqual(1 + 2 * 3);
  });

  it('is an error if the new token is refused too', async () => {
    const tokens = await oauthServer(RULES);
    const resources = await startFakeServer((_, response) =>
      respondWithError(response, 401, 'NotAuthorizedException', 'never'),
    );
    cleanUp.push(tokens, resources);
    const oauth = new OAuth2({
      client: clientOf(ANONYMOUS),
      tokenUrl: `${tokens.url}/tokens`,
      credential: { clientId: 'id', clientSecret: 's:cr%t é' },
      scope: 'catalog',
      parameters: {},
      exchange: true,
    });
    await expect(clientOf(oauth).json({ url: `${resources.url}/v1/x`, maxBytes: 1_000 })).rejects.toMatchObject({
      code: 'UNAUTHENTICATED',
      message: expect.stringContaining('NotAuthorizedException: never'),
    });
    expect(resources.requests).toHaveLength(2);
  });
});

describe('an error names what is wrong:', () => {
  it.each([
    [
      'the secret',
      { credential: { clientId: 'id', clientSecret: 'other' } },
      'UNAUTHENTICATED',
      'Check the client id and secret',
    ],
    ['the scope', { scope: 'other' }, 'INVALID_ARGUMENT', 'Check scope, audience and resource'],
  ])('%s', async (_, options, code, message) => {
    const { ask } = await setUp({}, options);
    await expect(ask()).rejects.toMatchObject({ code, message: expect.stringContaining(message) });
  });

  it('the URL of the token server', async () => {
    const { tokens } = await setUp();
    const { ask } = await setUp({}, { tokenUrl: `${tokens.url}/v1/oauth/tokens` });
    await expect(ask()).rejects.toMatchObject({
      code: 'INVALID_ARGUMENT',
      message: expect.stringContaining('oauth2-server-uri'),
    });
  });

  it('a response without a token', async () => {
    const odd = await startFakeServer((_, response) => respondWithJson(response, { token: 'x' }));
    cleanUp.push(odd);
    const { ask } = await setUp({}, { tokenUrl: `${odd.url}/tokens` });
    await expect(ask()).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
      message: expect.stringContaining('access_token should be a string'),
    });
  });

  it.each<[string, string, string, RegExp]>([
    [
      'an object',
      'application/json',
      '{"access_token":{"value":"a-new-token"}}',
      /access_token should be a string but is an object/,
    ],
    ['a form', 'text/plain', 'access_token=a-new-token', /something other than JSON: 24 bytes, not shown/],
  ])('a token in %s, which the error does not contain', async (_, type, body, message) => {
    const odd = await startFakeServer(
      (_request, response) => void response.writeHead(200, { 'content-type': type }).end(body),
    );
    cleanUp.push(odd);
    const { ask } = await setUp({}, { tokenUrl: `${odd.url}/tokens` });
    const error = await ask().catch((e) => e);
    expect(error).toMatchObject({ code: 'FAILED_PRECONDITION', message: expect.stringMatching(message) });
    expect(error.message).not.toContain('a-new-token');
  });
});

it('masks tokens once they have been used', async () => {
  const { resources, ask } = await setUp();
  await ask();
  const token = resources.requests[0]?.headers.authorization?.slice('Bearer '.length) ?? '';
  expect(token).not.toBe('');
  expect(withoutSecrets(`it was ${token}`)).toBe('it was ***');
});
