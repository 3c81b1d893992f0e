import { afterEach, describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { usePolicyTenant } from '../../src/policy/policy-tenant.ts';
import {
  checkOutgoing,
  checkSecretUse,
  forgetGrants,
  governSecret,
  inheritGrants,
} from '../../src/policy/secret-grants.ts';
import { rememberConnectorSecret, rememberIssuedSecret } from '../../src/secrets.ts';

afterEach(() => forgetGrants());

const SECRET = 'the-legit/secret+42 ü"\\';
const LEGIT = { name: 'env:LEGIT', hosts: ['legit.example'] };

interface Parts {
  path?: string;
  headers?: Record<string, string>;
  body?: string;
}
const send = (host: string, { path = '/', headers = {}, body }: Parts) =>
  checkOutgoing({ host, port: '', secure: true, path, headers, body });

/** All ways in which requests carry a secret. */
const CARRIERS: [string, (secret: string) => Parts][] = [
  ['a header', (secret) => ({ headers: { 'x-any': secret } })],
  ['bearer', (secret) => ({ headers: { authorization: `Bearer ${secret}` } })],
  ['basic', (secret) => ({ headers: { authorization: `Basic ${Buffer.from(`id:${secret}`).toString('base64')}` } })],
  ['a longer name with basic', (secret) => ({ headers: { a: Buffer.from(`user:${secret}`).toString('base64') } })],
  ['a form', (secret) => ({ body: new URLSearchParams({ a: 'b', client_secret: secret, c: 'd' }).toString() })],
  ['JSON', (secret) => ({ body: JSON.stringify({ CatalogId: secret }) })],
  ['a query', (secret) => ({ path: `/v1/config?warehouse=${encodeURIComponent(secret)}` })],
  ['a path', (secret) => ({ path: `/a/${secret}/b` })],
  [
    'a path of which every byte is encoded',
    (secret) => ({ path: `/${Buffer.from(secret).toString('hex').replace(/../g, '%$&')}` }),
  ],
];

describe('a secret whose hosts are limited', () => {
  it.each(CARRIERS)('is sent to them alone: in %s', (_, carry) => {
    governSecret(SECRET, LEGIT);
    const request = carry(SECRET);
    expect(() => send('legit.example', request)).not.toThrow();
    expect(() => send('attacker.example', request)).toThrow(
      /^env:LEGIT may not be sent to attacker\.example:443, .*RECONCILER_WORKER_POLICY/,
    );
    expect(() => send('attacker.example', carry('another-secret'))).not.toThrow();
  });

  it.each(CARRIERS)('is found, whatever it is: in %s', (_, carry) => {
    fc.assert(
      fc.property(fc.string({ minLength: 6, maxLength: 60, unit: 'binary' }), (secret) => {
        forgetGrants();
        governSecret(secret, LEGIT);
        expect(() => send('attacker.example', carry(secret))).toThrow('env:LEGIT');
      }),
    );
  });

  it('is never in the error', () => {
    governSecret(SECRET, LEGIT);
    expect(() => send('attacker.example', { path: `/${SECRET}` })).toThrow(
      expect.objectContaining({ code: 'PERMISSION_DENIED', message: expect.not.stringContaining('legit/secret') }),
    );
  });

  it('goes nowhere without hosts, and everywhere with *', () => {
    governSecret('of-no-host-at-all', { name: 'env:NONE', hosts: [] });
    governSecret('of-all-hosts-there-are', { name: 'env:ALL', hosts: ['*'] });
    expect(() => send('legit.example', { path: '/of-no-host-at-all' })).toThrow('env:NONE');
    expect(() => send('legit.example', { path: '/of-all-hosts-there-are' })).not.toThrow();
  });

  it('is refused if it is too short to be recognised', () => {
    expect(() => governSecret('short', LEGIT)).toThrow('env:LEGIT has fewer than 6 characters');
    expect(() => governSecret('short', { name: 'env:ALL', hosts: ['*'] })).not.toThrow();
  });

  it('goes to the hosts of each reference with its value', () => {
    governSecret(SECRET, LEGIT);
    governSecret(SECRET, { name: 'file:/s', hosts: ['other.example'] });
    expect(() => send('other.example', { body: SECRET })).not.toThrow();
    expect(() => send('attacker.example', { body: SECRET })).toThrow('env:LEGIT or file:/s');
  });

  it('limits its parts, also those of JSON, and what is obtained with it', () => {
    const key = '-----BEGIN PRIVATE KEY-----\nabc/def\n-----END PRIVATE KEY-----\n';
    governSecret(JSON.stringify({ private_key: key }), LEGIT);
    governSecret('client-id:client-secret\n', LEGIT);
    rememberConnectorSecret(key);
    rememberConnectorSecret('client-secret');
    rememberIssuedSecret('issued-token', 'client-secret');
    rememberIssuedSecret('unrelated-token', 'unrelated-secret');
    for (const derived of [key, 'client-secret', 'issued-token', 'client-id:client-secret']) {
      expect(() => send('attacker.example', { body: derived })).toThrow('env:LEGIT');
      expect(() => send('legit.example', { body: derived })).not.toThrow();
    }
    expect(() => send('attacker.example', { body: 'unrelated-token' })).not.toThrow();
  });

  it('limits what was derived from it for the tenant that derived it: others may have the same text', () => {
    let tenant = 'acme';
    usePolicyTenant(() => tenant);
    governSecret('signing-key', LEGIT);
    inheritGrants('application/json', 'signing-key');
    const request = { headers: { accept: 'application/json' } };
    expect(() => send('attacker.example', request)).toThrow('env:LEGIT');
    tenant = 'other';
    expect(() => send('attacker.example', request)).not.toThrow();
    expect(() => send('attacker.example', { body: 'signing-key' })).toThrow('env:LEGIT');
    inheritGrants('application/json', 'signing-key');
    expect(() => send('attacker.example', request)).toThrow('env:LEGIT');
    usePolicyTenant(() => 'default');
  });

  it('is found in a host name', () => {
    governSecret('A-Secret-42', LEGIT);
    expect(() => send('a-secret-42.attacker.example', {})).toThrow('env:LEGIT');
  });

  it('is not used together with the id of a key that is too short to be recognised', () => {
    governSecret('signing-key', LEGIT);
    expect(() => inheritGrants('abc', 'signing-key')).toThrow('fewer than 6 characters');
    expect(() => inheritGrants('abc', 'another-key')).not.toThrow();
    governSecret('key-for-all-hosts', { name: 'env:ALL', hosts: ['*'] });
    expect(() => inheritGrants('abc', 'key-for-all-hosts')).not.toThrow();
  });

  it('limits where a signature is made with it', () => {
    governSecret('signing-key', LEGIT);
    expect(() => checkSecretUse('signing-key', new URL('https://legit.example/'))).not.toThrow();
    expect(() => checkSecretUse('signing-key', new URL('https://attacker.example/'))).toThrow('env:LEGIT');
    inheritGrants('made-of-it', 'signing-key');
    expect(() => checkSecretUse('made-of-it', new URL('https://attacker.example/'))).toThrow('env:LEGIT');
  });

  it('is found among a thousand that were added while requests were sent', () => {
    for (let n = 0; n < 1_000; n++) {
      governSecret(`secret-number-${n}-of-many`, { name: `env:S${n}`, hosts: [`host${n}.example`] });
      expect(() => send('host0.example', { path: `/secret-number-0-of-many` })).not.toThrow();
    }
    expect(() => send('host0.example', { headers: { a: 'secret-number-789-of-many' } })).toThrow('env:S789 ');
  });
});
