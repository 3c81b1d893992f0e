import { afterAll, beforeAll, expect, it } from '@jest/globals';
import { openStore } from '../../../src/storage/open-store.ts';
import { entriesOf } from '../../../src/storage/sorted-pages.ts';
import { newUsage } from '../../../src/storage/usage.ts';
import { type FakeGcs, startFakeGcs } from '../servers/fake-gcs.ts';

let gcs: FakeGcs;
const KEYS = ['a b+c%20&=?#', "ü😀/(1)!*'", 'deep/er/x', 'deep/y', 'deep-z', '0'];

beforeAll(async () => {
  gcs = await startFakeGcs();
  await gcs.createBucket('lake');
  for (const key of KEYS) await gcs.putObject('lake', key, Buffer.from(`<${key}>`));
});
afterAll(async () => gcs?.[Symbol.asyncDispose]());
const open = (usage = newUsage()) =>
  openStore({ properties: { 'gcs.service.host': gcs.url, 'gcs.oauth2.token': 'any-token' }, usage });

it.each(KEYS)('reads and stats %j', async (key) => {
  const usage = newUsage();
  const store = open(usage);
  const at = `gs://lake/${key}`;
  const content = Buffer.from(`<${key}>`);
  expect(Buffer.from(await store.read(at, { maxBytes: 100 }))).toEqual(content);
  expect(usage).toEqual({ requests: 1, bytes: content.length });
  expect(Buffer.from(await store.read(at, { maxBytes: 100, start: 1, end: 3 }))).toEqual(content.subarray(1, 3));
  expect(Buffer.from(await store.read(at, { maxBytes: 100, start: 100 }))).toEqual(Buffer.alloc(0));
  expect(await store.stat(at)).toMatchObject({ size: content.length, etag: expect.stringMatching(/^\d+$/) });
});
it('lists', async () => {
  const listed = [];
  for await (const entry of entriesOf(open().list('gs://lake'))) listed.push(entry);
  console.log(listed);
});
