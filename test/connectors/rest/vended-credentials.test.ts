import { afterEach, beforeEach, describe, expect, it, jest } from '@jest/globals';
import type { VendedCredential } from '../../../src/connectors/rest/loaded-table.ts';
import { ResponseError } from '../../../src/connectors/rest/response-error.ts';
import { splitVendedKeys } from '../../../src/connectors/rest/table-storage.ts';
import { VendedCredentials } from '../../../src/connectors/rest/vended-credentials.ts';
import { fakeOnly } from '../../jest/fake-timers.ts';

const START = Date.parse('2026-11-23T12:00:00Z');
const MINUTE = 60_000;

beforeEach(() => {
  fakeOnly(['Date']);
  jest.setSystemTime(START);
});
afterEach(() => void jest.useRealTimers());

function vended(name: string, endsAt?: number, prefix = 's3://b/t'): VendedCredential {
  return {
    prefix,
    config: {
      's3.access-key-id': name,
      's3.session-token': `token of ${name}`,
      ...(endsAt !== undefined && { 's3.session-token-expires-at-ms': String(endsAt) }),
    },
  };
}

/** Returns the results one after the other and then repeats the last one; errors are thrown. */
function loader(...results: (VendedCredential[] | Error)[]) {
  let next = 0;
  return jest.fn(async () => {
    const result = results[Math.min(next++, results.length - 1)] as VendedCredential[] | Error;
    if (result instanceof Error) throw result;
    return result;
  });
}

const keyOf = async (credentials: VendedCredentials, path = 's3://b/t/x') =>
  (await credentials.propertiesFor(path))?.['s3.access-key-id'];

describe('credentials for a path', () => {
  it.each([
    ['s3://b/t/data/x', 'deep'],
    ['s3a://b/t/data/x', 'deep'],
    ['s3://b/t/metadata/x', 'table'],
    ['s3://b/other', 'scheme'],
    ['gs://b/t', undefined],
  ])('%s are those of the prefix %s', async (path, key) => {
    const credentials = new VendedCredentials(
      [
        vended('scheme', undefined, 's3'),
        vended('deep', undefined, 's3n://b/t/data'),
        vended('table', undefined, 's3://b/t/'),
      ],
      loader([]),
      () => false,
    );
    expect(await keyOf(credentials, path)).toBe(key);
    expect(await credentials.propertiesFor(path)).toBe(await credentials.propertiesFor(path));
  });
});

describe('a path that no prefix covers', () => {
  const vendedKeys = [vended('archive', undefined, 's3://b/old')];

  it("is not read with the worker's own credentials", async () => {
    const credentials = new VendedCredentials(vendedKeys, loader([]), () => false);
    await expect(credentials.propertiesFor('s3://b/new/x')).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
      message: expect.stringMatching(
        /no credentials for s3:\/\/b\/new\/x, only for s3:\/\/b\/old, .*s3\.access-key-id/,
      ),
    });
    // A longer prefix without keys covers nothing.
    const region = { prefix: 's3://b/new', config: { 'client.region': 'eu-west-1' } };
    const without = new VendedCredentials([...vendedKeys, region], loader([]), () => false);
    await expect(without.propertiesFor('s3://b/new/x')).rejects.toMatchObject({ code: 'FAILED_PRECONDITION' });
  });

  it("is read with the connector's own, or with any if the catalog vends no keys for S3", async () => {
    expect(
      await new VendedCredentials(vendedKeys, loader([]), () => true).propertiesFor('s3://b/new/x'),
    ).toBeUndefined();
    const others = [{ prefix: 'gs://b', config: { 'gcs.oauth2.token': 'token-of-gcs' } }];
    expect(await new VendedCredentials(others, loader([]), () => false).propertiesFor('s3://b/x')).toBeUndefined();
  });
});

describe('credentials that the store refused', () => {
  it('are requested again once, for all that were refused the same', async () => {
    const counted = loader([vended('second', START + 60 * MINUTE)]);
    const credentials = new VendedCredentials([vended('first', START + 60 * MINUTE)], counted, () => false);
    const refused = await credentials.propertiesFor('s3://b/t/x');
    const again = () => credentials.propertiesFor('s3://b/t/x', refused);
    for (const next of await Promise.all([again(), again(), again()])) {
      expect(next).toMatchObject({ 's3.access-key-id': 'second' });
    }
    await again();
    expect(counted).toHaveBeenCalledTimes(1);
  });
});

describe('credentials are renewed', () => {
  it('five minutes before they expire, once for concurrent calls', async () => {
    const counted = loader([vended('second', START + 120 * MINUTE)]);
    const credentials = new VendedCredentials([vended('first', START + 60 * MINUTE)], counted, () => false);
    jest.setSystemTime(START + 54 * MINUTE);
    expect(await keyOf(credentials)).toBe('first');
    jest.setSystemTime(START + 55 * MINUTE);
    expect(await Promise.all([keyOf(credentials), keyOf(credentials), keyOf(credentials)])).toEqual([
      'second',
      'second',
      'second',
    ]);
    expect(counted).toHaveBeenCalledTimes(1);
  });

  it('after half of their lifetime if that is short', async () => {
    const credentials = new VendedCredentials(
      [vended('first', START + 10_000)],
      loader([vended('second', START + 20_000)]),
      () => false,
    );
    jest.setSystemTime(START + 4_999);
    expect(await keyOf(credentials)).toBe('first');
    jest.setSystemTime(START + 5_000);
    expect(await keyOf(credentials)).toBe('second');
  });

  it('after ten minutes for sessions without an expiry, never for keys', async () => {
    const session = new VendedCredentials([vended('first')], loader([vended('second')]), () => false);
    jest.setSystemTime(START + 10 * MINUTE);
    expect(await keyOf(session)).toBe('second');
    const load = loader(new Error('not to be called'));
    const key = new VendedCredentials([{ prefix: '', config: { 's3.access-key-id': 'key' } }], load, () => false);
    jest.setSystemTime(START + 1e9);
    expect(await keyOf(key)).toBe('key');
  });

  it('all together when the first of them expires', async () => {
    const first = [vended('long', START + 60 * MINUTE), vended('short', START + 10 * MINUTE, 's3://b/t/data')];
    const credentials = new VendedCredentials(first, loader([vended('second', START + 90 * MINUTE)]), () => false);
    jest.setSystemTime(START + 6 * MINUTE);
    expect(await keyOf(credentials)).toBe('second');
  });

  it('when they are first needed if loadTable returned none', async () => {
    const counted = loader([vended('first')]);
    const credentials = new VendedCredentials(undefined, counted, () => false);
    expect(counted).not.toHaveBeenCalled();
    expect(await keyOf(credentials)).toBe('first');
  });
});

describe('a renewal that fails', () => {
  it('leaves the old credentials in use while they are valid, and is retried', async () => {
    const credentials = new VendedCredentials(
      [vended('first', START + 60 * MINUTE)],
      loader(new Error('away'), [vended('second', START + 99 * MINUTE)]),
      () => false,
    );
    jest.setSystemTime(START + 56 * MINUTE);
    expect(await keyOf(credentials)).toBe('first');
    expect(await keyOf(credentials)).toBe('first');
    jest.setSystemTime(START + 57 * MINUTE);
    expect(await keyOf(credentials)).toBe('second');
  });

  it('is an error once they have expired', async () => {
    const credentials = new VendedCredentials(
      [vended('first', START + 60 * MINUTE)],
      loader(new Error('away')),
      () => false,
    );
    jest.setSystemTime(START + 61 * MINUTE);
    await expect(keyOf(credentials)).rejects.toThrow('away');
  });

  it.each([404, 406, 501])('with %i means that the catalog vends none', async (status) => {
    const counted = loader(new ResponseError('NOT_FOUND', 'none', status));
    const credentials = new VendedCredentials(undefined, counted, () => false);
    expect(await credentials.propertiesFor('s3://b/t')).toBeUndefined();
    expect(await credentials.propertiesFor('s3://b/t')).toBeUndefined();
    expect(counted).toHaveBeenCalledTimes(1);
  });

  it('with 403 is an error', async () => {
    const credentials = new VendedCredentials(
      undefined,
      loader(new ResponseError('PERMISSION_DENIED', 'no', 403)),
      () => false,
    );
    await expect(keyOf(credentials)).rejects.toMatchObject({ code: 'PERMISSION_DENIED' });
  });
});

it("splits a table's config into other properties and credentials", () => {
  expect(
    splitVendedKeys({
      's3.endpoint': 'e',
      's3.access-key-id': 'a',
      's3.secret-access-key': 's',
      's3.session-token': 't',
    }),
  ).toEqual([
    { 's3.endpoint': 'e' },
    [{ prefix: '', config: { 's3.access-key-id': 'a', 's3.secret-access-key': 's', 's3.session-token': 't' } }],
  ]);
  expect(splitVendedKeys({ 's3.endpoint': 'e' })).toEqual([{ 's3.endpoint': 'e' }, []]);
});

it.each([
  ['of the SAS token itself', { 'adls.sas-token.acct': `sv=1&se=${encodeURIComponent('2026-11-23T13:00:00Z')}&sig=x` }],
  [
    'beside the SAS token',
    { 'adls.sas-token.acct': 'sig=x', 'adls.sas-token-expires-at-ms.acct': String(START + 60 * MINUTE) },
  ],
  [
    'beside the token of Google',
    { 'gcs.oauth2.token': 't', 'gcs.oauth2.token-expires-at': String(START + 60 * MINUTE) },
  ],
])('are renewed before the end %s', async (_, config) => {
  const load = loader([{ prefix: '', config: { ...config, renewed: 'true' } }]);
  const credentials = new VendedCredentials([{ prefix: '', config }], load, () => false);
  const path = 'gcs.oauth2.token' in config ? 'gs://b/x' : 'abfss://c@acct.dfs.core.windows.net/x';
  jest.setSystemTime(START + 54 * MINUTE);
  expect(await credentials.propertiesFor(path)).toBe(config);
  jest.setSystemTime(START + 56 * MINUTE);
  expect(await credentials.propertiesFor(path)).toMatchObject({ renewed: 'true' });
});

it.each([
  ['abfss://c@acct.dfs.core.windows.net/t/x', 'blob'],
  ['wasbs://c@acct.blob.core.windows.net/t/x', 'blob'],
  ['abfss://c@other.dfs.core.windows.net/t/x', undefined],
])('%s has the credentials of a prefix with another name of the same place', async (path, expected) => {
  const config = { 'adls.sas-token': 'sig=x', name: 'blob' };
  const credentials = new VendedCredentials(
    [{ prefix: 'wasbs://c@acct.blob.core.windows.net/t', config }],
    loader([]),
    () => true,
  );
  expect((await credentials.propertiesFor(path))?.name).toBe(expected);
});
