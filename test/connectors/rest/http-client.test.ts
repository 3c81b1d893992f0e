import { createServer } from 'node:net';
import { gzipSync } from 'node:zlib';
import { afterEach, describe, expect, it } from '@jest/globals';
import { ANONYMOUS, bearer } from '../../../src/connectors/rest/auth/authenticator.ts';
import { type Call, HttpClient, type HttpClientOptions } from '../../../src/connectors/rest/http-client.ts';
import { HttpExchange } from '../../../src/connectors/rest/http-exchange.ts';
import { integerValue } from '../../../src/formats/json/lossless-json.ts';
import { retryAfterMs } from '../../../src/storage/retry-after.ts';
import { type FakeServer, respondWithError, respondWithJson, startFakeServer } from './fake-server.ts';

const usage = { requests: 0, bytes: 0 };
const exchange = new HttpExchange(usage);
const servers: AsyncDisposable[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) await server[Symbol.asyncDispose]();
});

async function serve(...args: Parameters<typeof startFakeServer>): Promise<FakeServer> {
  const server = await startFakeServer(...args);
  servers.push(server);
  return server;
}

function get(url: string, call: Partial<Call> = {}, options: Partial<HttpClientOptions> = {}) {
  const client = new HttpClient({
    exchange,
    headers: () => ({}),
    authenticator: ANONYMOUS,
    connectMs: 1_000,
    timeoutMs: 5_000,
    ...options,
  });
  return client.json({ url, maxBytes: 100_000, ...call });
}

it.each(['GET', 'POST'] as const)('sends JSON with a %s', async (method) => {
  const server = await serve((_, response) => respondWithJson(response, { ok: true }));
  await get(`${server.url}/v1/x`, { json: { method, body: { table_id: 'ä', start_version: 0 } } });
  expect(server.requests).toMatchObject([
    { method, headers: { 'content-type': 'application/json' }, body: '{"table_id":"ä","start_version":0}' },
  ]);
});

it("shows the code and the message of Unity Catalog's errors", async () => {
  const body = {
    error_code: 'SCHEMA_NOT_FOUND',
    details: [{ '@type': 'google.rpc.ErrorInfo' }],
    message: 'Schema not found: a.b',
  };
  const server = await serve((_, response) => respondWithJson(response, body, 404));
  await expect(get(`${server.url}/tables`)).rejects.toMatchObject({
    code: 'NOT_FOUND',
    reported: { type: 'SCHEMA_NOT_FOUND', message: 'Schema not found: a.b' },
    message: `GET ${server.url}/tables returned 404 SCHEMA_NOT_FOUND: Schema not found: a.b.`,
  });
});

describe('a response', () => {
  it('keeps the precision of 64-bit integers', async () => {
    const server = await serve((_, response) => respondWithJson(response, '{"snapshot-id":8076371641330113733}'));
    const { json } = await get(`${server.url}/v1/x`);
    expect(integerValue((json as Record<string, unknown>)['snapshot-id'])).toBe(8076371641330113733n);
  });

  it('is decompressed, and its compressed bytes are counted', async () => {
    const compressed = gzipSync(JSON.stringify({ long: 'x'.repeat(10_000) }));
    const server = await serve((_, response) => {
      response.writeHead(200, { 'content-type': 'application/json', 'content-encoding': 'gzip' }).end(compressed);
    });
    const before = { ...usage };
    const { json, bytes } = await get(`${server.url}/v1/x`);
    expect(json).toEqual({ long: 'x'.repeat(10_000) });
    expect(bytes).toBeGreaterThan(10_000);
    expect(usage).toEqual({ requests: before.requests + 1, bytes: before.bytes + compressed.length });
  });

  it.each([
    ['plain', (body: Buffer) => body, undefined],
    ['compressed', (body: Buffer) => gzipSync(body), 'gzip'],
  ])('is refused if it is too large (%s)', async (_, encode, encoding) => {
    const body = encode(Buffer.from(JSON.stringify('x'.repeat(1_000_000))));
    const server = await serve((_request, response) => {
      response.writeHead(200, {
        'content-type': 'application/json',
        ...(encoding && { 'content-encoding': encoding }),
      });
      response.end(body);
    });
    await expect(get(`${server.url}/v1/x`)).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
      message: expect.stringContaining('larger than the limit of 100000 bytes'),
    });
    expect(server.requests).toHaveLength(1);
  });

  it.each([
    [400, 'INVALID_ARGUMENT'],
    [401, 'UNAUTHENTICATED'],
    [403, 'PERMISSION_DENIED'],
    [404, 'NOT_FOUND'],
    [406, 'UNIMPLEMENTED'],
    [409, 'ABORTED'],
    [418, 'FAILED_PRECONDITION'],
    [419, 'UNAUTHENTICATED'],
    [500, 'UNAVAILABLE'],
  ])('%i is %s, with the message of the catalog', async (status, code) => {
    const server = await serve((_, response) =>
      respondWithError(response, status, 'SomeException', 'some words\nand a trace'),
    );
    const error = await get(`${server.url}/v1/x`).catch((e) => e);
    expect(error).toMatchObject({ code, status });
    expect(error.message).toContain(`GET ${server.url}/v1/x returned ${status} SomeException: some words.`);
    expect(error.message).not.toMatch(/trace|not to be shown/);
    expect(server.requests).toHaveLength(1);
  });

  it.each([
    ['UnrecognizedClientException', 'UNAUTHENTICATED', "Check the connector's auth"],
    ['InvalidSignatureException:http://internal.amazon.com/', 'UNAUTHENTICATED', "Check the connector's auth"],
    ['ExpiredTokenException', 'UNAUTHENTICATED', "Check the connector's auth"],
    ['AccessDeniedException', 'PERMISSION_DENIED', 'does not allow this'],
  ])('403 with the error type %s of AWS is %s', async (type, code, advice) => {
    const server = await serve((_, response) =>
      respondWithJson(response, { message: 'some words' }, 403, { 'x-amzn-errortype': type }),
    );
    await expect(get(`${server.url}/v1/x`)).rejects.toMatchObject({
      code,
      status: 403,
      message: expect.stringMatching(new RegExp(`returned 403 ${type.replace(/:.*/, '')}: some words\\. .*${advice}`)),
    });
  });

  it.each([
    [
      'a page in HTML',
      'text/html',
      '<html><title>Sign in</title></html>',
      'FAILED_PRECONDITION',
      '(text/html) <html><title>Sign in',
    ],
    ['text declared as JSON', 'application/json', 'OK', 'DATA_LOSS', '(application/json) OK'],
    ['an empty body', 'application/json', '', 'DATA_LOSS', '(application/json, empty)'],
    ['control characters', 'application/json', '\u0000\u0007{', 'DATA_LOSS', '(application/json) {'],
  ])('that is %s is an error', async (_, type, body, code, excerpt) => {
    const server = await serve(
      (_request, response) =>
        void response.writeHead(200, { 'content-type': type, 'content-length': Buffer.byteLength(body) }).end(body),
    );
    await expect(get(`${server.url}/v1/x`)).rejects.toMatchObject({ code, message: expect.stringContaining(excerpt) });
  });
});

describe('a retry', () => {
  it.each([429, 502, 503, 504])('follows a response %i', async (status) => {
    const server = await serve((_, response, n) =>
      n < 3 ? respondWithError(response, status, 'Busy', 'later') : respondWithJson(response, { n }),
    );
    expect((await get(`${server.url}/v1/x`)).json).toEqual({ n: 3 });
  });

  it('passes the gate once per request, before its time starts', async () => {
    let passed = 0;
    const capped = {
      requests: 0,
      bytes: 0,
      gate: async () => {
        passed += 1;
        // All waits together take longer than the timeout of the call.
        await new Promise((resolve) => setTimeout(resolve, 700));
      },
    };
    const server = await serve((_, response, n) => {
      if (n === 1) response.writeHead(302, { location: '/v1/y' }).end();
      else if (n === 2) respondWithError(response, 503, 'Busy', 'later', { 'retry-after': '0' });
      else respondWithJson(response, { n });
    });
    const { json } = await get(`${server.url}/v1/x`, {}, { exchange: new HttpExchange(capped), timeoutMs: 2_000 });
    expect(json).toEqual({ n: 3 });
    expect([passed, capped.requests, server.requests.length]).toEqual([3, 3, 3]);
    await expect(
      get(
        `${server.url}/v1/x`,
        {},
        { exchange: new HttpExchange({ ...capped, gate: () => Promise.reject(new Error('cancelled')) }) },
      ),
    ).rejects.toThrow('cancelled');
    expect(server.requests.length).toBe(3);
  });

  it('waits for as long as the server requests', async () => {
    // Four attempts with the client's own waits take less than 3 s.
    let until: number | undefined;
    const server = await serve((_, response) => {
      until ??= performance.now() + 3_000;
      if (performance.now() < until) respondWithError(response, 429, 'Busy', 'later', { 'retry-after': '3' });
      else respondWithJson(response, {});
    });
    await get(`${server.url}/v1/x`);
    expect(server.requests).toHaveLength(2);
  });

  it.each([429, 503])('is left to the caller if the server requests a long wait with %i', async (status) => {
    const server = await serve((_, response) =>
      respondWithError(response, status, 'Busy', 'later', { 'retry-after': '120' }),
    );
    await expect(get(`${server.url}/v1/x`)).rejects.toMatchObject({
      code: 'RESOURCE_EXHAUSTED',
      retryAfterMs: 120_000,
    });
    expect(server.requests).toHaveLength(1);
  });

  it('is made at most three times', async () => {
    const server = await serve((_, response) => respondWithError(response, 503, 'Busy', 'later'));
    await expect(get(`${server.url}/v1/x`)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    expect(server.requests).toHaveLength(4);
  });

  it('follows a broken connection', async () => {
    const server = await serve((_, response, n) => {
      if (n < 3) response.socket?.destroy();
      else respondWithJson(response, { n });
    });
    expect((await get(`${server.url}/v1/x`)).json).toEqual({ n: 3 });
  });

  it.each([
    ['with a length', { 'content-length': '50' }],
    ['in chunks', {}],
  ])('follows a body that was cut off (%s)', async (_, headers) => {
    const server = await serve((_request, response, n) => {
      if (n > 1) return respondWithJson(response, { n });
      response.writeHead(200, { 'content-type': 'application/json', ...headers });
      response.write('{"half": ', () => setTimeout(() => response.destroy(), 20));
    });
    expect((await get(`${server.url}/v1/x`)).json).toEqual({ n: 2 });
  });

  it('is left to the caller if only the JSON shows that the body was cut off', async () => {
    const server = await serve((_, response) => {
      response.useChunkedEncodingByDefault = false;
      response.shouldKeepAlive = false;
      response.writeHead(200, { 'content-type': 'application/json', connection: 'close' }).end('{"half": ');
    });
    await expect(get(`${server.url}/v1/x`)).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      message: expect.stringContaining('with an incomplete body'),
    });
  });

  it('does not follow the refusal of a form', async () => {
    const server = await serve((_, response) => respondWithError(response, 400, 'Bad', 'no'));
    await expect(get(`${server.url}/t`, { form: new URLSearchParams({ a: 'b c' }) })).rejects.toMatchObject({
      status: 400,
    });
    expect(server.requests).toMatchObject([{ method: 'POST', body: 'a=b+c' }]);
  });
});

describe('Retry-After', () => {
  const now = Date.parse('2026-11-23T12:00:00Z');
  it.each([
    ['7', 7_000],
    ['0', 0],
    ['1.5', 1_500],
    ['Mon, 23 Nov 2026 12:00:09 GMT', 9_000],
    ['Mon, 23 Nov 2026 11:00:00 GMT', 0],
    ['999999999', 600_000],
    ['soon', undefined],
    ['', undefined],
    [undefined, undefined],
  ])('%s', (header, ms) => expect(retryAfterMs(header, now)).toBe(ms));
});

describe('the time limit', () => {
  it.each([
    ['a server that never responds', () => {}],
    [
      'a server that sends slowly',
      (response: import('node:http').ServerResponse) => {
        response.writeHead(200, { 'content-type': 'application/json' });
        const timer = setInterval(() => response.write(' '), 20);
        response.on('close', () => clearInterval(timer));
      },
    ],
  ])('applies to %s', async (_, respond) => {
    const server = await serve((_request, response) => respond(response));
    await expect(get(`${server.url}/v1/x`, {}, { timeoutMs: 300 })).rejects.toMatchObject({
      code: 'DEADLINE_EXCEEDED',
      message: expect.stringContaining('rest.client.socket-timeout-ms'),
    });
  });

  it('applies to the call with all its attempts', async () => {
    const server = await serve((_, response) => {
      setTimeout(() => respondWithError(response, 503, 'Busy', 'later'), 200);
    });
    const error = await get(`${server.url}/v1/x`, {}, { timeoutMs: 500 }).catch((e) => e);
    expect(['DEADLINE_EXCEEDED', 'UNAVAILABLE']).toContain(error.code);
    expect(server.requests.length).toBeLessThan(4);
  });

  it('is reported in full, even if an attempt has used up a part of it', async () => {
    const server = await serve((_, response, n) => {
      if (n === 1) setTimeout(() => respondWithError(response, 503, 'Busy', 'later'), 50);
    });
    await expect(get(`${server.url}/v1/x`, {}, { timeoutMs: 900 })).rejects.toMatchObject({
      code: 'DEADLINE_EXCEEDED',
      message: expect.stringContaining('within 900 ms'),
    });
    expect(server.requests).toHaveLength(2);
  });
});

describe('an error names a wrong address', () => {
  it('at which no server listens', async () => {
    const server = await startFakeServer(() => {});
    await server[Symbol.asyncDispose]();
    await expect(get(`${server.url}/v1/config`)).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      message: expect.stringMatching(/^no server responds at http:\/\/127\.0\.0\.1:\d+: ECONNREFUSED\. Check the URI/),
    });
  });

  it('whose host cannot be resolved', async () => {
    await expect(get('http://no-such-host.invalid/v1/config', {}, { timeoutMs: 2_000 })).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      message: expect.stringContaining('no-such-host.invalid'),
    });
  });

  it('at which a server speaks another protocol than HTTP or TLS', async () => {
    const server = createServer((socket) => socket.on('error', () => {}).end('SSH-2.0-OpenSSH_9.2p1\r\n'));
    await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
    const { port } = server.address() as import('node:net').AddressInfo;
    try {
      await expect(get(`http://127.0.0.1:${port}/v1`)).rejects.toMatchObject({
        code: 'FAILED_PRECONDITION',
        message: expect.stringContaining('does not speak HTTP'),
      });
      await expect(get(`https://127.0.0.1:${port}/v1`)).rejects.toMatchObject({
        code: 'FAILED_PRECONDITION',
        message: expect.stringContaining('does not speak TLS'),
      });
    } finally {
      server.close();
    }
  });
});

describe('redirects', () => {
  it('are followed on the same host, with the credentials', async () => {
    const server = await serve((request, response) => {
      if (request.path === '/old?a=b') response.writeHead(308, { location: '/new?a=b' }).end();
      else respondWithJson(response, { at: request.path });
    });
    const { json } = await get(`${server.url}/old?a=b`, {}, { authenticator: bearer('secret-token') });
    expect(json).toEqual({ at: '/new?a=b' });
    expect(server.requests.map(({ headers }) => headers.authorization)).toEqual([
      'Bearer secret-token',
      'Bearer secret-token',
    ]);
  });

  it('to another host are refused, and nothing is sent there', async () => {
    const other = await serve((_, response) => respondWithJson(response, {}));
    const server = await serve((_, response) => void response.writeHead(302, { location: `${other.url}/x` }).end());
    await expect(get(`${server.url}/x`, {}, { authenticator: bearer('t') })).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
      message: expect.stringContaining(`a redirect to ${other.url}, another host`),
    });
    expect(other.requests).toEqual([]);
  });

  it('are followed at most five times', async () => {
    const server = await serve(
      (request, response) => void response.writeHead(302, { location: `${request.path}x` }).end(),
    );
    await expect(get(`${server.url}/`)).rejects.toMatchObject({ code: 'FAILED_PRECONDITION' });
    expect(server.requests).toHaveLength(6);
  });

  it('of a form are refused', async () => {
    const server = await serve((_, response) => void response.writeHead(307, { location: '/b' }).end());
    await expect(get(`${server.url}/a`, { form: new URLSearchParams() })).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
    });
    expect(server.requests).toHaveLength(1);
  });
});
