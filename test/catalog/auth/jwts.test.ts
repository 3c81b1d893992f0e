import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import { base64url, exportSPKI, generateKeyPair, SignJWT } from 'jose';
import { pino } from 'pino';
import { acceptJwts } from '../../../src/catalog/auth/oidc/accept-jwts.ts';
import type { Issuer } from '../../../src/catalog/auth/oidc/issuers-file.ts';
import { fakeOnly } from '../../jest/fake-timers.ts';
import { waitFor } from '../../jest/wait-for.ts';
import { TokenIssuer } from './token-issuer.ts';

let provider: TokenIssuer;
let log: string[];
beforeEach(async () => {
  provider = await TokenIssuer.start();
  log = [];
});
afterEach(async () => {
  jest.useRealTimers();
  await provider[Symbol.asyncDispose]();
});

const accepting = (fields?: Partial<Issuer>) =>
  acceptJwts([provider.config(fields)], pino({ level: 'warn' }, { write: (line: string) => log.push(line) }));

const REFUSED = {
  code: 'UNAUTHENTICATED',
  message: expect.stringMatching(/^the catalog does not accept this token: .*reconciler login/),
};
const UNAVAILABLE = { code: 'UNAVAILABLE' };
const jwksRequests = () => provider.requests.filter((path) => path === '/jwks').length;

/** Lets the clock advance, without waiting. */
function pass(seconds: number): void {
  const now = Date.now() + seconds * 1000;
  fakeOnly(['Date']);
  jest.setSystemTime(now);
}

it('tells whose a token is, and what it may do', async () => {
  const accept = accepting();
  const exp = Math.floor(Date.now() / 1000) + 60;
  expect(await accept(await provider.sign({ exp }))).toEqual({
    subject: 'alice',
    issuer: provider.url,
    tenants: ['acme'],
    roles: ['reader'],
    expiresAt: exp * 1000,
  });
  expect(provider.requests).toEqual(['/.well-known/openid-configuration', '/jwks']);
});

it.each<[string, Partial<Issuer>, object, object]>([
  ['a tenant as a text', {}, { tenants: 'acme' }, { tenants: ['acme'] }],
  ['a role as a text', { rolesClaim: 'role' }, { role: 'admins' }, { roles: ['admin'] }],
  [
    'a claim with dots in its name',
    { rolesClaim: 'https://a.example/roles' },
    { 'https://a.example/roles': ['admins'] },
    { roles: ['admin'] },
  ],
  ['no claim with tenants', { tenantClaim: undefined, tenants: ['default'] }, {}, { tenants: ['default'] }],
  ['all tenants, if the issuer may', { tenants: ['*'] }, { tenants: ['*'] }, { tenants: ['*'] }],
  ['no known role', {}, { realm_access: { roles: ['toString'] } }, { roles: [] }],
  [
    'the platform role and no tenant',
    {},
    { tenants: [], realm_access: { roles: ['platforms'] } },
    { roles: ['platform'] },
  ],
])('accepts %s', async (_, config, claims, expected) => {
  expect(await accepting(config)(await provider.sign({ ...claims }))).toMatchObject(expected);
});

describe('refuses', () => {
  it('1. an expired token', async () => {
    const exp = Math.floor(Date.now() / 1000) - 31;
    await expect(accepting()(await provider.sign({ exp }))).rejects.toMatchObject(REFUSED);
    expect(log.join()).toContain('"exp\\" claim timestamp check failed');
  });

  it('2. a token for another audience', async () => {
    await expect(accepting()(await provider.sign({ aud: 'other' }))).rejects.toMatchObject(REFUSED);
  });

  it('3. a token that is not signed', async () => {
    const [, claims] = (await provider.sign()).split('.');
    for (const alg of ['none', 'None']) {
      const header = base64url.encode(JSON.stringify({ alg, kid: 'first' }));
      await expect(accepting()(`${header}.${claims}.`)).rejects.toMatchObject(REFUSED);
    }
  });

  it('4. a token signed with the public key as a secret', async () => {
    const { publicKey } = provider.keys.get('first')!;
    const pem = await exportSPKI(publicKey);
    const forged = await new SignJWT({ iss: provider.url, aud: 'reconciler', sub: 'mallory', tenants: ['acme'] })
      .setProtectedHeader({ alg: 'HS256', kid: 'first' })
      .setExpirationTime('5 minutes')
      .sign(Buffer.from(pem));
    await expect(accepting()(forged)).rejects.toMatchObject(REFUSED);
  });

  it('5. tokens with unknown keys, for which it asks the provider once in 30 s', async () => {
    const accept = accepting();
    await accept(await provider.sign());
    const { privateKey } = await generateKeyPair('ES256');
    const send = async (count: number) => {
      for (let n = 0; n < count; n++) {
        await expect(accept(await provider.sign({}, `unknown-${n}`, privateKey))).rejects.toMatchObject(REFUSED);
      }
    };
    await send(20);
    expect(jwksRequests()).toBe(1);
    pass(31);
    await send(20);
    expect(jwksRequests()).toBe(2);
  });

  it('8. a token of a tenant that is not the issuer’s', async () => {
    const accept = accepting({ tenants: ['acme'] });
    expect(await accept(await provider.sign())).toMatchObject({ tenants: ['acme'] });
    for (const tenants of [['other'], ['acme', 'other'], ['*'], 'other', [], ['Acme'], [{}]]) {
      await expect(accept(await provider.sign({ tenants }))).rejects.toMatchObject(REFUSED);
    }
    await expect(accepting()(await provider.sign({ tenants: ['*'] }))).rejects.toMatchObject(REFUSED);
  });

  it.each([
    ['of another issuer', { iss: 'https://other.example' }],
    ['without a subject', { sub: undefined }],
    ['without an end', { exp: undefined }],
    ['that is not valid yet', { nbf: 9_999_999_999 }],
  ])('a token %s', async (_, claims) => {
    await expect(accepting()(await provider.sign(claims))).rejects.toMatchObject(REFUSED);
  });

  it('a changed token, and what is no token', async () => {
    const [header, , signature] = (await provider.sign()).split('.');
    const [, claims] = (await provider.sign({ sub: 'mallory' })).split('.');
    for (const text of [`${header}.${claims}.${signature}`, 'x', 'a.b.c', '..']) {
      await expect(accepting()(text)).rejects.toMatchObject(REFUSED);
    }
  });
});

describe('6. while the provider is unavailable', () => {
  it('keeps its keys for an hour', async () => {
    const accept = accepting();
    const exp = Math.floor(Date.now() / 1000) + 3 * 3600;
    const token = await provider.sign({ exp });
    await accept(token);
    provider.down = true;
    pass(3_500);
    expect(await accept(token)).toMatchObject({ subject: 'alice' });
    pass(200);
    await expect(accept(token)).rejects.toMatchObject(UNAVAILABLE);
    provider.down = false;
    pass(6);
    expect(await accept(token)).toMatchObject({ subject: 'alice' });
  });

  it('asks again after a while, and not for each token', async () => {
    provider.down = true;
    const accept = accepting();
    const token = await provider.sign();
    for (let n = 0; n < 10; n++) await expect(accept(token)).rejects.toMatchObject(UNAVAILABLE);
    expect(provider.requests).toHaveLength(1);
    provider.down = false;
    pass(6);
    expect(await accept(token)).toMatchObject({ subject: 'alice' });
  });
});

describe('7. when the provider changes its keys', () => {
  it('accepts the new key at once, and the old one for as long as it is published', async () => {
    const accept = accepting();
    const old = await provider.sign();
    await accept(old);
    await provider.addKey('second');
    pass(31);
    expect(await accept(await provider.sign({}, 'second'))).toMatchObject({ subject: 'alice' });
    expect(await accept(old)).toMatchObject({ subject: 'alice' });
    expect(jwksRequests()).toBe(2);
  });

  it('refuses a key that is no longer published within ten minutes', async () => {
    const accept = accepting();
    const old = await provider.sign({ exp: Math.floor(Date.now() / 1000) + 3600 });
    await accept(old);
    await provider.addKey('second');
    provider.keys.delete('first');
    pass(601);
    await waitFor(async () => expect(accept(old)).rejects.toMatchObject(REFUSED));
  });
});
