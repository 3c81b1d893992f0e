import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { FolderEntry } from '../../../src/storage/object-store.ts';
import { openStore } from '../../../src/storage/open-store.ts';
import { entriesOf } from '../../../src/storage/sorted-pages.ts';
import { newUsage } from '../../../src/storage/usage.ts';
import { type Azurite, startAzurite } from '../servers/azurite.ts';
import { type FakeGcs, startFakeGcs } from '../servers/fake-gcs.ts';

/** Azurite verifies account keys and SAS tokens; fake-gcs-server verifies nothing. */
let azurite: Azurite;
let gcs: FakeGcs;
const HOST = 'devstoreaccount1.dfs.core.windows.net';

/** Keys with characters that URLs and signatures treat specially. */
const KEYS = ['a b+c%20&=?#', "ü😀/(1)!*'", 'deep/er/x', 'deep/y', 'deep-z', '0', 'a//b'];
/** More than a page. */
const MANY = { azure: 5_002, google: 1_002 };
const REFUSED = /^(UNAUTHENTICATED|PERMISSION_DENIED)$/;

beforeAll(async () => {
  [azurite, gcs] = await Promise.all([startAzurite(), startFakeGcs()]);
  await azurite.createContainer('lake');
  await gcs.createBucket('lake');
  for (const key of KEYS) {
    await azurite.putBlob('lake', key, Buffer.from(`<${key}>`));
    await gcs.putObject('lake', key, Buffer.from(`<${key}>`));
  }
});
afterAll(async () => {
  await azurite?.[Symbol.asyncDispose]();
  await gcs?.[Symbol.asyncDispose]();
});

const endpoint = () => ({ [`adls.connection-string.${HOST}`]: `${azurite.url}/${azurite.account}` });
const azure = (key: string, container = 'lake') => `abfss://${container}@${HOST}/${key}`;
const google = (key: string, bucket = 'lake') => `gs://${bucket}/${key}`;
const account = () => ({
  ...endpoint(),
  'adls.auth.shared-key.account.name': azurite.account,
  'adls.auth.shared-key.account.key': azurite.key,
});
const connection = () =>
  `DefaultEndpointsProtocol=http;AccountName=${azurite.account};AccountKey=${azurite.key};BlobEndpoint=${azurite.url}/${azurite.account};`;

async function all(pages: AsyncIterable<readonly FolderEntry[]>): Promise<FolderEntry[]> {
  const found: FolderEntry[] = [];
  for await (const entry of entriesOf(pages)) found.push(entry);
  return found;
}
const keysOf = (entries: FolderEntry[]) => entries.map(({ name, folder }) => (folder ? `${name}/` : name));

describe.each([
  ['Azure with an account key', azure, account],
  ['Azure with a SAS token', azure, () => ({ ...endpoint(), [`adls.sas-token.${HOST}`]: azurite.sas('lake') })],
  ['Azure with a connection string', azure, () => ({ 'adls.connection-string': connection() })],
  ['Google', google, () => ({ 'gcs.service.host': gcs.url, 'gcs.oauth2.token': 'any-token' })],
])('%s', (_, at, properties) => {
  const open = (usage = newUsage()) =>
    openStore({ properties: properties() as unknown as Record<string, string>, usage });

  it.each(KEYS)('reads %j, parts of it, and its size', async (key) => {
    const usage = newUsage();
    const store = open(usage);
    const content = Buffer.from(`<${key}>`);
    const read = async (range: { start?: number; end?: number } = {}) =>
      Buffer.from(await store.read(at(key), { maxBytes: 100, ...range }));
    expect(await read()).toEqual(content);
    expect(usage).toEqual({ requests: 1, bytes: content.length });
    expect(await read({ start: 1, end: 3 })).toEqual(content.subarray(1, 3));
    expect(await read({ start: 2 })).toEqual(content.subarray(2));
    expect(await read({ start: 100 })).toEqual(Buffer.alloc(0));
    expect(await store.stat(at(key))).toMatchObject({
      size: content.length,
      etag: expect.stringMatching(/^[0-9A-Zx]+$/),
    });
    await expect(store.read(at(key), { maxBytes: 2 })).rejects.toMatchObject({ code: 'FAILED_PRECONDITION' });
  });

  it('lists folders', async () => {
    const store = open();
    const top = ['0', 'a b+c%20&=?#', 'a/', 'deep-z', 'deep/', 'ü😀/'];
    expect(keysOf(await all(store.list(at(''))))).toEqual(top);
    expect(keysOf(await all(store.list(at('deep'))))).toEqual(['er/', 'y']);
    expect(keysOf(await all(store.list(at('deep/'))))).toEqual(['er/', 'y']);
    expect(keysOf(await all(store.list(at('ü😀'))))).toEqual(["(1)!*'"]);
    for (const [index, after] of top.entries()) {
      expect(keysOf(await all(store.list(at(''), { after })))).toEqual(top.slice(index + 1));
    }
    const [entry] = await all(store.list(at('deep'), { after: 'er/' }));
    expect(entry?.stat).toEqual(await store.stat(at('deep/y')));
  });

  it('names what is missing', async () => {
    const store = open();
    const missing = (message: RegExp) => ({ code: 'NOT_FOUND', message: expect.stringMatching(message) });
    await expect(store.read(at('no'), { maxBytes: 9 })).rejects.toMatchObject(
      missing(/cannot read .*no: there is no such/),
    );
    await expect(store.stat(at('no'))).rejects.toMatchObject(missing(/cannot read .*no: there is no such/));
    await expect(all(store.list(at('no')))).rejects.toMatchObject(missing(/no such folder/));
  });
});

it.each([
  [
    'Azure',
    azure,
    (name: string) => azurite.putBlob('many', name, Buffer.from('x')),
    account,
    () => azurite.createContainer('many'),
  ],
  [
    'Google',
    google,
    (name: string) => gcs.putObject('many', name, Buffer.from('x')),
    () => ({ 'gcs.service.host': gcs.url, 'gcs.no-auth': 'true' }),
    () => gcs.createBucket('many'),
  ],
] as const)('%s lists more than a page', async (name, at, put, properties, create) => {
  const many = MANY[name === 'Azure' ? 'azure' : 'google'];
  await create();
  const names = Array.from({ length: many }, (_, n) => `${String(n).padStart(5, '0')}.json`);
  for (let start = 0; start < many; start += 50)
    await Promise.all(names.slice(start, start + 50).map((name) => put(`log/${name}`)));
  const usage = newUsage();
  const store = openStore({ properties: properties() as unknown as Record<string, string>, usage });
  expect(keysOf(await all(store.list(at('log', 'many'))))).toEqual(names);
  expect(usage.requests).toBeGreaterThan(1);
  const after = names[many - 11] as string;
  expect(keysOf(await all(store.list(at('log', 'many'), { after })))).toEqual(names.slice(many - 10));
});

it('Azure refuses a wrong key, and SAS tokens that have expired or are for another container', async () => {
  await azurite.createContainer('other');
  const read = (properties: Record<string, string>, container = 'lake') =>
    openStore({ properties, usage: newUsage() }).read(azure('0', container), { maxBytes: 99 });
  await expect(read({ ...account(), 'adls.auth.shared-key.account.key': 'd3Jvbmc=' })).rejects.toMatchObject({
    // Azure itself has the code AuthenticationFailed; Azurite has AuthorizationFailure.
    code: expect.stringMatching(REFUSED),
    message: expect.stringMatching(/ the key of account devstoreaccount1 \(adls\.auth\.shared-key\.account\.key\)/),
  });
  const sas = (token: string) => ({ ...endpoint(), 'adls.sas-token': token });
  await expect(read(sas(azurite.sas('lake', -60)))).rejects.toMatchObject({ code: expect.stringMatching(REFUSED) });
  await expect(read(sas(azurite.sas('lake')), 'other')).rejects.toMatchObject({
    code: expect.stringMatching(REFUSED),
  });
});
