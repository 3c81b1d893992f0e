import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { openStore } from '../../../src/storage/open-store.ts';
import { entriesOf } from '../../../src/storage/sorted-pages.ts';
import { newUsage } from '../../../src/storage/usage.ts';
import { type Azurite, startAzurite } from '../servers/azurite.ts';

let azurite: Azurite;
const HOST = 'devstoreaccount1.dfs.core.windows.net';
const at = (key: string, container = 'lake') => `abfss://${container}@${HOST}/${key}`;

beforeAll(async () => {
  azurite = await startAzurite();
  for (const name of ['lake', 'many']) await azurite.createContainer(name);
  for (const key of KEYS) await azurite.putBlob('lake', key, Buffer.from(`<${key}>`));
});
afterAll(async () => azurite?.[Symbol.asyncDispose]());

/** Keys with characters that URLs, signatures or XML treat specially. */
const KEYS = ['a b+c%20&=?#', "ü😀/(1)!*'", 'deep/er/x', 'deep/y', 'deep-z', '0'];

const keyed = () => ({
  [`adls.connection-string.${HOST}`]: `${azurite.url}/${azurite.account}`,
  'adls.auth.shared-key.account.name': azurite.account,
  'adls.auth.shared-key.account.key': azurite.key,
});
const open = (properties: Record<string, string>, usage = newUsage()) => openStore({ properties, usage });

describe.each([
  ['an account key', () => keyed()],
  [
    'a SAS token',
    () => ({
      [`adls.connection-string.${HOST}`]: `${azurite.url}/${azurite.account}`,
      [`adls.sas-token.${HOST}`]: azurite.sas('lake'),
    }),
  ],
  [
    'a connection string',
    () => ({
      'adls.connection-string': `DefaultEndpointsProtocol=http;AccountName=${azurite.account};AccountKey=${azurite.key};BlobEndpoint=${azurite.url}/${azurite.account};`,
    }),
  ],
])('with %s', (_, properties) => {
  it.each(KEYS)('reads and stats %j', async (key) => {
    const usage = newUsage();
    const store = open(properties(), usage);
    const content = Buffer.from(`<${key}>`);
    expect(Buffer.from(await store.read(at(key), { maxBytes: 100 }))).toEqual(content);
    expect(usage).toEqual({ requests: 1, bytes: content.length });
    expect(Buffer.from(await store.read(at(key), { maxBytes: 100, start: 1, end: 3 }))).toEqual(content.subarray(1, 3));
    expect(Buffer.from(await store.read(at(key), { maxBytes: 100, start: 100 }))).toEqual(Buffer.alloc(0));
    expect(await store.stat(at(key))).toMatchObject({ size: content.length, etag: expect.stringMatching(/^0x/) });
  });

  it('lists', async () => {
    const store = open(properties());
    const listed = [];
    for await (const entry of entriesOf(store.list(at('')))) listed.push(entry);
    console.log(listed);
  });
});
