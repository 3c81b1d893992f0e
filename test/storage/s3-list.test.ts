import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { ObjectStore } from '../../src/storage/object-store.ts';
import { openStore } from '../../src/storage/open-store.ts';
import { ACCESS, FakeS3, object } from './fake-s3.ts';
import { listed } from './listed.ts';

let s3: FakeS3;
let usage: { requests: number; bytes: number };
let store: ObjectStore;
let count = 0;

/** A new bucket for each test, because the store remembers the regions of buckets. */
let bucket: string;

beforeAll(async () => {
  s3 = await FakeS3.start();
});
afterAll(() => s3[Symbol.asyncDispose]());
beforeEach(() => {
  s3.seen.length = 0;
  s3.answer = (request, response) => object(response, '0123456789', request.headers.range as string | undefined);
  s3.isPublic = false;
  bucket = `bucket-${++count}`;
  open();
});

function open(properties: Record<string, string> = {}): void {
  usage = { requests: 0, bytes: 0 };
  store = openStore({ properties: { ...s3.properties, ...properties }, usage });
}
const failing = (code: string, ...parts: string[]) =>
  expect.objectContaining({ code, message: expect.stringMatching(new RegExp(parts.join('.*'))) });

describe('stat and list', () => {
  const listing = (...parts: string[]) =>
    `<?xml version="1.0"?><ListBucketResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/">${parts.join('')}</ListBucketResult>`;
  const key = (name: string, size = 1) =>
    `<Contents><Key>${name}</Key><Size>${size}</Size><ETag>"e-${size}"</ETag><LastModified>2026-01-02T03:04:05.000Z</LastModified></Contents>`;
  const folder = (name: string) => `<CommonPrefixes><Prefix>${name}</Prefix></CommonPrefixes>`;

  it('returns size, time and ETag', async () => {
    s3.answer = (_, response) =>
      response
        .writeHead(200, { 'content-length': 7, etag: '"abc"', 'last-modified': 'Fri, 02 Jan 2026 03:04:05 GMT' })
        .end();
    expect(await store.stat(`s3://${bucket}/k`)).toEqual({
      size: 7,
      modifiedMs: Date.UTC(2026, 0, 2, 3, 4, 5),
      etag: '"abc"',
    });
    s3.answer = (_, response) => response.writeHead(404).end();
    await expect(store.stat(`s3://${bucket}/k`)).rejects.toEqual(failing('NOT_FOUND', `s3://${bucket}/k`));
  });

  it('lists all pages, sorted, with any names', async () => {
    const pages = [
      [
        '<EncodingType>url</EncodingType><IsTruncated>true</IsTruncated><NextContinuationToken>t1</NextContinuationToken>',
        key('a%2Fb/', 0),
        key('a%2Fb/z+z%2B%25'),
        folder('a%2Fb/m/'),
      ],
      [
        '<EncodingType>url</EncodingType><IsTruncated>false</IsTruncated>',
        folder('a%2Fb/%F0%9F%98%80/'),
        key('a%2Fb/%EF%BC%A1', 5),
      ],
    ].map((parts) => listing(...parts).replaceAll('a%2Fb', 'w+h'));
    s3.answer = (_, response) => response.writeHead(200).end(pages[s3.seen.length - 1]);
    const stat = (size: number) => ({ size, modifiedMs: Date.UTC(2026, 0, 2, 3, 4, 5), etag: `"e-${size}"` });
    expect(await listed(store.list(`s3://${bucket}/w h/`))).toEqual([
      { name: 'm', folder: true },
      { name: 'z z+%', folder: false, stat: stat(1) },
      { name: 'Ａ', folder: false, stat: stat(5) },
      { name: '😀', folder: true },
    ]);
    expect(
      s3.seen.map(({ query }) => [query.get('prefix'), query.get('delimiter'), query.get('continuation-token')]),
    ).toEqual([
      ['w h/', '/', null],
      ['w h/', '/', 't1'],
    ]);
  });

  it('starts after a key, without the folder of that name', async () => {
    const pages = [
      listing(
        '<IsTruncated>true</IsTruncated><NextContinuationToken>t1</NextContinuationToken>',
        folder('log/a/'),
        key('log/a0'),
      ),
      listing('<IsTruncated>false</IsTruncated>', key('log/b')),
    ];
    s3.answer = (_, response) => response.writeHead(200).end(pages[s3.seen.length - 1]);
    const names = [];
    for await (const page of store.list(`s3://${bucket}/log`, { after: 'a/' })) {
      // Each page is requested once it is needed.
      expect(s3.seen).toHaveLength(names.length + 1);
      names.push(page.map(({ name }) => name));
    }
    expect(names).toEqual([['a0'], ['b']]);
    expect(s3.seen.map(({ query }) => [query.get('start-after'), query.get('continuation-token')])).toEqual([
      ['log/a/', null],
      [null, 't1'],
    ]);
  });

  it('starts after a key even if the server ignores it', async () => {
    s3.answer = (_, response) => response.writeHead(200).end(listing(key('a'), key('b'), key('c')));
    expect((await listed(store.list(`s3://${bucket}`, { after: 'b' }))).map(({ name }) => name)).toEqual(['c']);
  });

  it('lists nothing after the last key', async () => {
    s3.answer = (_, response) => response.writeHead(200).end(listing());
    expect(await listed(store.list(`s3://${bucket}/x`, { after: 'z' }))).toEqual([]);
  });

  it('sorts the listing of a directory bucket', async () => {
    const sessionKey = `<CreateSessionResult xmlns="http://s3.amazonaws.com/doc/2006-03-01/"><Credentials><SessionToken>s</SessionToken>
      <SecretAccessKey>${ACCESS.secretAccessKey}</SecretAccessKey><AccessKeyId>${ACCESS.accessKeyId}</AccessKeyId>
      <Expiration>2099-01-01T00:00:00Z</Expiration></Credentials></CreateSessionResult>`;
    const first = listing('<IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken>', key('c'));
    const second = listing('<IsTruncated>false</IsTruncated>', key('a'), folder('b/'));
    s3.answer = ({ query }, response) =>
      response.writeHead(200).end(query.has('session') ? sessionKey : query.has('continuation-token') ? second : first);
    const list = (options = {}) => listed(store.list('s3://lake--use1-az1--x-s3', options));
    expect((await list()).map(({ name }) => name)).toEqual(['a', 'b', 'c']);
    expect((await list({ after: 'a' })).map(({ name }) => name)).toEqual(['b', 'c']);
    expect(s3.seen.some(({ query }) => query.has('start-after'))).toBe(false);
  });

  it('distinguishes an empty folder from a missing one', async () => {
    s3.answer = (_, response) => response.writeHead(200).end(listing(key('x/', 0)));
    expect(await listed(store.list(`s3://${bucket}/x`))).toEqual([]);
    s3.answer = (_, response) => response.writeHead(200).end(listing());
    await expect(listed(store.list(`s3://${bucket}/x`))).rejects.toEqual(failing('NOT_FOUND', `s3://${bucket}/x`));
    expect(await listed(store.list(`s3://${bucket}`))).toEqual([]);
  });

  it('requests again what is an error with the status 200, or ends too early', async () => {
    const page = listing('<IsTruncated>false</IsTruncated>', key('x/k'));
    const error = '<?xml version="1.0"?><Error><Code>InternalError</Code><Message>We failed.</Message></Error>';
    s3.answer = (_, response) => {
      if (s3.seen.length === 1) response.writeHead(200).end(error);
      else if (s3.seen.length === 2) {
        response.writeHead(200, { 'content-length': page.length }).write(page.slice(0, 200));
        setImmediate(() => response.destroy());
      } else response.writeHead(200).end(page);
    };
    expect((await listed(store.list(`s3://${bucket}/x`))).map(({ name }) => name)).toEqual(['k']);
    expect(s3.seen).toHaveLength(3);
    expect(usage.requests).toBe(3);
  });

  it('sends a listing without the middlewares of a command', async () => {
    s3.answer = (_, response) => response.writeHead(200).end(listing(key('x/k')));
    open({ 's3.requester-pays': 'true' });
    await listed(store.list(`s3://${bucket}/x`));
    expect(s3.seen.map(({ headers }) => [headers['user-agent'], headers['x-amz-request-payer']])).toEqual([
      ['reconciler', 'requester'],
    ]);
  });

  it('fails if the server repeats a page', async () => {
    s3.answer = (_, response) =>
      response
        .writeHead(200)
        .end(listing('<IsTruncated>true</IsTruncated><NextContinuationToken>t</NextContinuationToken>', key('x/k')));
    await expect(listed(store.list(`s3://${bucket}/x`))).rejects.toEqual(failing('FAILED_PRECONDITION', 'repeatedly'));
    expect(s3.seen).toHaveLength(2);
  });
});
