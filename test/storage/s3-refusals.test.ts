import { afterAll, beforeAll, beforeEach, expect, it } from '@jest/globals';
import type { ObjectStore } from '../../src/storage/object-store.ts';
import { openStore } from '../../src/storage/open-store.ts';
import { ACCESS, FakeS3, failure, object } from './fake-s3.ts';
import { listed } from './listed.ts';

const bucket = 'lake';
const usage = { requests: 0, bytes: 0 };
let s3: FakeS3;
let store: ObjectStore;
beforeAll(async () => {
  s3 = await FakeS3.start();
});
afterAll(() => s3[Symbol.asyncDispose]());
beforeEach(() => {
  s3.seen.length = 0;
  s3.answer = (_, response) => object(response, '0123456789');
});

const text = async (key: string) =>
  Buffer.from(await store.read(`s3://${bucket}/${key}`, { maxBytes: 100 })).toString();
const failing = (code: string, part: string) =>
  expect.objectContaining({ code, message: expect.stringContaining(part) });

it('asks the catalog for other credentials if those that it vended are refused', async () => {
  s3.secrets.set('AKIANEWER', 'newer-secret');
  const keys = (id: string, secret: string) => ({ 's3.access-key-id': id, 's3.secret-access-key': secret });
  const [old, newer] = [keys('AKIAOLDER', 'older-secret'), keys('AKIANEWER', 'newer-secret')];
  const refusals: unknown[] = [];
  let current = old;
  store = openStore({
    properties: s3.properties,
    vended: async (_, refused) => {
      if (refused !== undefined) refusals.push(refused);
      if (refused === old) current = newer;
      return current;
    },
    usage,
  });
  expect(await text('a')).toBe('0123456789');
  expect(await text('b')).toBe('0123456789');
  expect(refusals).toEqual([old]);
  // Renewed in vain: the refusal is reported, after one more attempt.
  s3.secrets.delete('AKIANEWER');
  await expect(text('c')).rejects.toEqual(failing('UNAUTHENTICATED', 'AKIANEWER'));
  expect(refusals).toEqual([old, newer]);
});

it.each([
  ['GetObject', 403, 'InvalidAccessKeyId'],
  ['GetObject', 400, 'ExpiredToken'],
  ['GetObject', 403, 'AccessDenied'],
  // A response to HEAD has no body.
  ['HeadObject', 400, ''],
  ['HeadObject', 403, ''],
  ['ListObjectsV2', 400, 'InvalidToken'],
])('%s that is refused with %i %s is repeated once with other keys of the connector', async (call, status, code) => {
  s3.secrets.set('AKIANEXT', 'next-secret');
  const next = { ...s3.properties, 's3.access-key-id': 'AKIANEXT', 's3.secret-access-key': 'next-secret' };
  const keyOf = ({ headers }: (typeof s3.seen)[0]) => /Credential=([^/]+)/.exec(String(headers.authorization))?.[1];
  const listing = '<ListBucketResult><Contents><Key>f/x</Key></Contents></ListBucketResult>';
  let lets = 'AKIANEXT';
  s3.answer = (request, response) => {
    if (keyOf(request) !== lets)
      return code ? failure(response, status, code, 'no') : void response.writeHead(status).end();
    if (call !== 'ListObjectsV2') return object(response, '0123456789');
    response.writeHead(200, { 'content-type': 'application/xml' }).end(listing);
  };
  let rereads = 0;
  const properties = s3.properties;
  const reread = async (refused: unknown) => {
    rereads++;
    return refused === properties ? next : (refused as typeof next);
  };
  store = openStore({ properties, reread, usage });
  const at = `s3://${bucket}/f`;
  const work = async () =>
    call === 'GetObject' ? text('f') : call === 'HeadObject' ? store.stat(at) : listed(store.list(at));
  await work();
  await work();
  expect(rereads).toBe(1);
  expect(s3.seen.map(keyOf)).toEqual([ACCESS.accessKeyId, 'AKIANEXT', 'AKIANEXT']);
  // Nothing else to try.
  lets = 'AKIANOBODY';
  await expect(work()).rejects.toMatchObject({
    code: expect.stringMatching(/UNAUTHENTICATED|PERMISSION_DENIED|FAILED/),
  });
  expect(s3.seen).toHaveLength(4);
});
