import { afterAll, beforeAll, beforeEach, describe, expect, it } from '@jest/globals';
import type { ObjectStore } from '../../src/storage/object-store.ts';
import { openStore } from '../../src/storage/open-store.ts';
import { poll } from '../jest/poll.ts';
import { FakeS3, failure, object } from './fake-s3.ts';
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
const text = async (key: string, options: { maxBytes?: number; start?: number; end?: number } = {}) =>
  Buffer.from(await store.read(`s3://${bucket}/${key}`, { maxBytes: 100, ...options })).toString();
const failing = (code: string, ...parts: string[]) =>
  expect.objectContaining({ code, message: expect.stringMatching(new RegExp(parts.join('.*'))) });

it('passes the gate once per request, including retries', async () => {
  let passed = 0;
  const gate = async () => {
    passed += 1;
  };
  const capped = { requests: 0, bytes: 0, gate };
  store = openStore({ properties: s3.properties, usage: capped });
  const trouble = [503, 503];
  s3.answer = (_, response) => {
    const status = trouble.shift();
    if (status) failure(response, status, 'SlowDown', 'because');
    else object(response, 'success');
  };
  expect(await text('k')).toBe('success');
  expect([passed, capped.requests, s3.seen.length]).toEqual([3, 3, 3]);
  trouble.push(503);
  expect((await store.stat(`s3://${bucket}/k`)).size).toBe(7);
  expect([passed, capped.requests, s3.seen.length]).toEqual([5, 5, 5]);

  const cancelled = new Error('the activity was cancelled');
  store = openStore({
    properties: s3.properties,
    usage: { requests: 0, bytes: 0, gate: () => Promise.reject(cancelled) },
  });
  await expect(text('k')).rejects.toBe(cancelled);
  expect(s3.seen.length).toBe(5);
});

describe('read', () => {
  it('returns the whole object or a part, and counts', async () => {
    expect(await text('k')).toBe('0123456789');
    expect(usage).toEqual({ requests: 1, bytes: 10 });
    expect(await text('k', { start: 2, end: 5 })).toBe('234');
    expect(await text('k', { start: 8 })).toBe('89');
    expect(await text('k', { start: 8, end: 99 })).toBe('89');
    expect(await text('k', { start: 50, end: 60 })).toBe('');
    expect(await text('k', { start: 5, end: 5 })).toBe('');
    expect(s3.seen.map(({ headers }) => headers.range)).toEqual([
      undefined,
      'bytes=2-4',
      'bytes=8-',
      'bytes=8-98',
      'bytes=50-59',
    ]);
  });

  it.each([
    ['a b+c%20&=?#', '/a%20b%2Bc%2520%26%3D%3F%23'],
    ["ü😀/(1)!*'", '/%C3%BC%F0%9F%98%80/%281%29%21%2A%27'],
    ['a/../b/./c', '/a/../b/./c'],
    ['/a//b/', '//a//b/'],
  ])('requests the key %s unchanged, and signs it', async (key, path) => {
    expect(await text(key)).toBe('0123456789');
    expect(s3.seen.map((request) => request.path)).toEqual([`/${bucket}${path}`]);
  });

  it('rejects more than maxBytes before receiving them', async () => {
    s3.answer = (_, response) => {
      response.writeHead(200, { 'content-length': 1e9 });
      response.write('only the beginning');
    };
    await expect(text('k')).rejects.toEqual(
      failing('FAILED_PRECONDITION', `s3://${bucket}/k`, '1000000000', 'limit is 100'),
    );
    expect(s3.seen).toHaveLength(1);
  });

  it('never accepts a body that is truncated or has no length', async () => {
    let truncated = 2;
    s3.answer = (_, response) => {
      if (truncated-- <= 0) return object(response, '0123456789');
      response.writeHead(200, { 'content-length': 10 });
      response.write('01234', () => response.destroy());
    };
    expect(await text('k')).toBe('0123456789');
    expect(usage).toEqual({ requests: 3, bytes: 20 });
    truncated = Number.POSITIVE_INFINITY;
    await expect(text('k')).rejects.toEqual(failing('UNAVAILABLE', `s3://${bucket}/k`, s3.url));
    s3.answer = (_, response) => response.writeHead(200, { 'transfer-encoding': 'chunked' }).end('no length');
    await expect(text('k')).rejects.toEqual(failing('FAILED_PRECONDITION', 'sent no Content-Length'));
  });

  it('rejects the whole object if a part was requested', async () => {
    s3.answer = (_, response) => object(response, '0123456789');
    await expect(text('k', { start: 5, end: 6 })).rejects.toEqual(failing('UNIMPLEMENTED', 'bytes=5-5'));
  });

  it('reads objects, not buckets', async () => {
    await expect(store.read('s3://bucket', { maxBytes: 1 })).rejects.toEqual(
      failing('FAILED_PRECONDITION', 'a bucket'),
    );
    await expect(store.read('s3:///k', { maxBytes: 1 })).rejects.toEqual(failing('INVALID_ARGUMENT', 'no bucket'));
    expect(s3.seen).toEqual([]);
  });
});

describe('a response', () => {
  it.each([
    [404, 'NoSuchKey', 'NOT_FOUND', 'no such object'],
    [404, 'NoSuchBucket', 'NOT_FOUND', 'no bucket bucket-'],
    [403, 'AccessDenied', 'PERMISSION_DENIED', 'AKIATEST.*s3:ListBucket'],
    [403, 'InvalidObjectState', 'FAILED_PRECONDITION', 'archived'],
    [400, 'ExpiredToken', 'UNAUTHENTICATED', 'the keys in s3.access-key-id \\(AKIATEST\\)'],
    [403, 'RequestTimeTooSkewed', 'UNAUTHENTICATED', 'RequestTimeTooSkewed'],
    [401, 'Unauthorized', 'UNAUTHENTICATED', 'AKIATEST'],
    [400, 'InvalidBucketName', 'INVALID_ARGUMENT', 'bucket-'],
    [400, 'InvalidRequest', 'FAILED_PRECONDITION', '400 InvalidRequest: because'],
    [301, 'PermanentRedirect', 'FAILED_PRECONDITION', 'set s3.region'],
    [501, 'NotImplemented', 'UNIMPLEMENTED', 'NotImplemented'],
  ])('%i %s is %s', async (status, error, code, message) => {
    s3.answer = (_, response) => failure(response, status, error, 'because');
    await expect(text('k')).rejects.toEqual(failing(code, `cannot read s3://${bucket}/k`, message));
    expect(s3.seen).toHaveLength(1);
  });

  it('is retried if it is throttling or a server error', async () => {
    const trouble = ['503 SlowDown', '500 InternalError', '429 TooManyRequests'];
    s3.answer = (_, response) => {
      const [status, code] = trouble.shift()?.split(' ') ?? [];
      if (code === undefined) return object(response, 'success');
      failure(response, Number(status), code, 'because');
    };
    expect(await text('k')).toBe('success');
    expect(usage.requests).toBe(4);
  });

  it('is retried after a time in which every request failed', async () => {
    s3.answer = (_, response) => failure(response, 500, 'InternalError', 'because');
    const failures = await Promise.allSettled(Array.from({ length: 12 }, () => text('k')));
    expect(failures.map(({ status }) => status)).toEqual(Array(12).fill('rejected'));
    s3.answer = (_, response) => object(response, 'recovered');
    for (let i = 0; i < 100; i++) await text('k');
    let bad = 1;
    s3.answer = (_, response) =>
      bad-- > 0 ? failure(response, 500, 'InternalError', 'because') : object(response, 'success');
    expect(await text('k')).toBe('success');
  });

  it('becomes an error with the Retry-After if all attempts fail', async () => {
    s3.answer = (_, response) => failure(response, 503, 'SlowDown', 'because', { 'retry-after': '1' });
    await expect(text('k')).rejects.toMatchObject({ code: 'RESOURCE_EXHAUSTED', retryAfterMs: 1_000 });
    s3.answer = (_, response) => failure(response, 500, 'InternalError', 'because');
    await expect(text('k')).rejects.toEqual(failing('UNAVAILABLE', s3.url, 'InternalError'));
  });

  it.each([429, 503])('is left to the caller if %i has a long Retry-After', async (status) => {
    s3.answer = (_, response) => failure(response, status, 'SlowDown', 'because', { 'retry-after': '90' });
    const later = { code: 'RESOURCE_EXHAUSTED', retryAfterMs: 90_000, message: expect.stringContaining(s3.url) };
    await expect(text('k')).rejects.toMatchObject(later);
    await expect(listed(store.list(`s3://${bucket}/x`))).rejects.toMatchObject(later);
    expect(s3.seen).toHaveLength(2);
  });

  it('can be an HTML page instead of a listing', async () => {
    s3.answer = (_, response) =>
      response.writeHead(200, { 'content-type': 'text/html' }).end('<html><body>Log in</html>');
    await expect(listed(store.list(`s3://${bucket}/x`))).rejects.toMatchObject({
      code: expect.stringMatching(/^(FAILED_PRECONDITION|NOT_FOUND)$/),
    });
  });

  it.each([200, 400])('is limited in size (%i)', async (status) => {
    s3.answer = (_, response) => {
      response.writeHead(status, { 'content-type': 'application/xml' });
      const more = (): void => {
        if (!response.destroyed) response.write('x'.repeat(1 << 20), more);
      };
      more();
    };
    await expect(listed(store.list(`s3://${bucket}/x`))).rejects.toEqual(
      failing('FAILED_PRECONDITION', '67108864 bytes'),
    );
    expect(usage.bytes).toBeLessThan(80_000_000);
    expect(s3.seen).toHaveLength(1);
  });

  it('has a time limit', async () => {
    open({ 's3.socket-timeout-ms': '100' });
    s3.answer = () => {};
    await expect(text('k')).rejects.toEqual(failing('DEADLINE_EXCEEDED', s3.url, '100 ms'));
    s3.answer = (_, response) => {
      response.writeHead(200, { 'content-length': 10 });
      response.write('012');
    };
    await expect(text('k')).rejects.toEqual(failing('DEADLINE_EXCEEDED', s3.url, '100 ms'));
  });

  it('can be missing because the server is unreachable or does not use TLS', async () => {
    const closed = await FakeS3.start();
    const { url } = closed;
    await closed[Symbol.asyncDispose]();
    open({ 's3.endpoint': url });
    await expect(text('k')).rejects.toEqual(failing('UNAVAILABLE', url, 'ECONNREFUSED'));
    open({ 's3.endpoint': s3.url.replace('http:', 'https:') });
    await expect(text('k')).rejects.toEqual(failing('FAILED_PRECONDITION', 'TLS'));
  });
});

describe('region', () => {
  const regions = () => s3.seen.map((request) => /\/\d{8}\/([^/]+)\//.exec(String(request.headers.authorization))?.[1]);

  /** Responds like S3 for a bucket in eu-west-1. */
  function elsewhere(status: number, code: string): void {
    s3.answer = (request, response) => {
      if (String(request.headers.authorization).includes('/eu-west-1/')) return object(response, 'here');
      const header = { 'x-amz-bucket-region': 'eu-west-1' };
      if (request.method === 'HEAD') response.writeHead(status, header).end();
      else failure(response, status, code, 'elsewhere', header);
    };
  }

  it.each([
    [301, 'PermanentRedirect'],
    [307, 'TemporaryRedirect'],
    [400, 'AuthorizationHeaderMalformed'],
  ])('that S3 names with %i %s is used and remembered', async (status, code) => {
    elsewhere(status, code);
    expect(await text('a')).toBe('here');
    expect(await text('b')).toBe('here');
    open();
    expect(await text('c')).toBe('here');
    expect(regions()).toEqual(['us-east-1', 'eu-west-1', 'eu-west-1', 'eu-west-1']);
  });

  it('is found by concurrent requests', async () => {
    elsewhere(301, 'PermanentRedirect');
    expect(new Set(await Promise.all(Array.from({ length: 20 }, (_, i) => text(`k${i}`))))).toEqual(new Set(['here']));
  });

  it('is also found in a response without a body', async () => {
    elsewhere(301, '');
    expect(await store.stat(`s3://${bucket}/k`)).toMatchObject({ size: 4 });
  });

  it('is not followed if cross-region access is disabled', async () => {
    open({ 's3.cross-region-access-enabled': 'false' });
    elsewhere(301, 'PermanentRedirect');
    await expect(text('a')).rejects.toEqual(failing('FAILED_PRECONDITION', 'in eu-west-1: set s3.region'));
  });

  it('is followed at most twice', async () => {
    let n = 0;
    s3.answer = (_, response) =>
      failure(response, 301, 'PermanentRedirect', 'no, there', { 'x-amz-bucket-region': `xx-north-${++n}` });
    await expect(text('a')).rejects.toEqual(failing('FAILED_PRECONDITION', 'is not at'));
    expect(s3.seen).toHaveLength(3);
  });

  it('has a default for self-hosted servers, and is required for Amazon', async () => {
    open({ 's3.region': '' });
    expect(await text('k')).toBe('0123456789');
    expect(regions()).toEqual(['us-east-1']);
    open({ 's3.region': '', 's3.endpoint': '' });
    await expect(text('k')).rejects.toEqual(failing('FAILED_PRECONDITION', 'client.region'));
  });
});

describe('properties', () => {
  it('can make the requester pay', async () => {
    open({ 's3.requester-pays': 'true' });
    await text('k');
    await store.stat(`s3://${bucket}/k`);
    await listed(store.list(`s3://${bucket}/`)).catch(() => {});
    expect(s3.seen.map(({ headers }) => headers['x-amz-request-payer'])).toEqual([
      'requester',
      'requester',
      'requester',
    ]);
    s3.seen.length = 0;
    open();
    await text('k');
    expect(s3.seen[0]?.headers['x-amz-request-payer']).toBeUndefined();
  });

  it('define how buckets are addressed', async () => {
    const { url } = s3;
    open({ 's3.endpoint': url.replace('127.0.0.1', 'localhost') });
    await text('k');
    open({ 's3.endpoint': url.replace('127.0.0.1', 'localhost'), 's3.path-style-access': 'true' });
    await text('k');
    expect(s3.seen.map((request) => request.path)).toEqual([`/${bucket}/k`, `/${bucket}/k`]);
    open({ 's3.endpoint': url.replace('127.0.0.1', 'localhost'), 's3.force-virtual-addressing': 'true' });
    await expect(text('k')).rejects.toEqual(failing('UNAVAILABLE'));
  });

  it('can select anonymous access', async () => {
    s3.isPublic = true;
    open({ 's3.anonymous': 'true' });
    expect(await text('k')).toBe('0123456789');
    expect(s3.seen[0]?.headers.authorization).toBeUndefined();
  });

  it.each([
    [{ 's3.endpoint': 'ftp://x' }, 'FAILED_PRECONDITION', 's3.endpoint=ftp://x'],
    [{ 's3.socket-timeout-ms': 'soon' }, 'FAILED_PRECONDITION', 's3.socket-timeout-ms=soon'],
    [{ 's3.secret-access-key': '' }, 'FAILED_PRECONDITION', 's3.secret-access-key is not'],
    [{ 's3.access-key-id': '', 's3.remote-signing-enabled': 'true' }, 'UNIMPLEMENTED', 'remote-signing'],
  ])('%j is %s', async (properties, code, message) => {
    open(properties);
    await expect(text('k')).rejects.toEqual(failing(code, message));
  });

  it('with a wrong secret and with a wrong key cause different errors', async () => {
    open({ 's3.secret-access-key': 'wrong-secret' });
    await expect(text('k')).rejects.toEqual(failing('UNAUTHENTICATED', 'AKIATEST', 'SignatureDoesNotMatch'));
    await expect(text('k')).rejects.not.toEqual(failing('UNAUTHENTICATED', 'wrong-secret'));
    open({ 's3.access-key-id': 'AKIANONE' });
    await expect(text('k')).rejects.toEqual(failing('UNAUTHENTICATED', 'AKIANONE', 'InvalidAccessKeyId'));
  });
});

it('uses the credentials vended for a path, and renewed ones', async () => {
  const keys = (n: number) => ({
    's3.access-key-id': `AKIAVENDED${n}`,
    's3.secret-access-key': `vended-${n}`,
    's3.session-token': `session-${n}`,
  });
  for (const n of [1, 2]) s3.secrets.set(`AKIAVENDED${n}`, `vended-${n}`);
  const vended = [keys(1), keys(2)];
  let current = 0;
  const requested: string[] = [];
  store = openStore({
    properties: { ...s3.properties, 'client.assume-role.arn': 'arn:aws:iam::1:role/of-the-connector' },
    vended: async (path) => {
      requested.push(path);
      return vended[current]!;
    },
    usage,
  });
  await text('a');
  await text('b');
  current = 1;
  await text('c');
  expect(s3.seen.map(({ headers }) => headers['x-amz-security-token'])).toEqual([
    'session-1',
    'session-1',
    'session-2',
  ]);
  expect(requested).toEqual(['a', 'b', 'c'].map((key) => `s3://${bucket}/${key}`));
});

it('uses its own credentials for a path without vended ones', async () => {
  s3.secrets.set('AKIAVENDED', 'vended');
  const open = (more: Record<string, string>) =>
    openStore({
      properties: { ...s3.properties, ...more },
      vended: async (path): Promise<Record<string, string>> =>
        path.endsWith('/vended') ? { 's3.access-key-id': 'AKIAVENDED', 's3.secret-access-key': 'vended' } : {},
      usage,
    });
  store = open({ 's3.session-token': 'of-the-connector' });
  await text('vended');
  await text('own');
  store = open({ 's3.anonymous': 'true' });
  await text('vended');
  expect(
    s3.seen.map(({ headers }) => [
      /Credential=([^/]+)/.exec(String(headers.authorization))?.[1],
      headers['x-amz-security-token'],
    ]),
  ).toEqual([
    ['AKIAVENDED', undefined],
    [s3.properties['s3.access-key-id'], 'of-the-connector'],
    ['AKIAVENDED', undefined],
  ]);
});

it('sends at most 32 requests at once, and returns all objects', async () => {
  s3.maxRunning = 0;
  s3.answer = (request, response) => setTimeout(() => object(response, request.path), 5);
  const keys = Array.from({ length: 200 }, (_, i) => `k${i}`);
  expect(await Promise.all(keys.map((key) => text(key)))).toEqual(keys.map((key) => `/${bucket}/${key}`));
  expect(s3.maxRunning).toBeLessThanOrEqual(32);
  expect(s3.maxRunning).toBeGreaterThan(8);
});

it('reads from one server while another hangs', async () => {
  await using hanging = await FakeS3.start();
  const waiting: (() => void)[] = [];
  hanging.answer = (_, response) => void waiting.push(() => object(response, 'late'));
  const stores = [1, 2, 3].map(() => openStore({ properties: hanging.properties, usage }));
  const late = stores.flatMap((hung) =>
    Array.from({ length: 32 }, (_, i) => hung.read(`s3://${bucket}/${i}`, { maxBytes: 100 })),
  );
  await poll(() => waiting.length).toBe(64);
  expect(await text('k')).toBe('0123456789');
  hanging.answer = (_, response) => object(response, 'late');
  for (const answer of waiting) answer();
  expect(await Promise.all(late)).toHaveLength(96);
  expect(hanging.maxRunning).toBe(64);
});
