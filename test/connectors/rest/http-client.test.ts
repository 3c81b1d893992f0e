import { createServer } from 'node:net';
import { gzipSync } from 'node:zlib';
import { afterEach, describe, expect, it } from '@jest/globals';
import { ANONYMOUS, bearer } from '../../../src/connectors/rest/auth/authenticator.ts';
import { type Call, HttpClient, type HttpClientOptions } from '../../../src/connectors/rest/http-client.ts';
import { HttpExchange } from '../../../src/connectors/rest/http-exchange.ts';
import { integerValue } from '../../../src/formats/json/lossless-json.ts';
import { retryAfterMs } from '../../../src/storage/retry-after.ts';
import { type AnsweringServer, answerError, answeringServer, answerJson } from './answering-server.ts';

const usage = { requests: 0, bytes: 0 };
const exchange = new HttpExchange(usage);
const servers: AsyncDisposable[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) await server[Symbol.asyncDispose]();
});

async function serve(...answer: Parameters<typeof answeringServer>): Promise<AnsweringServer> {
  const server = await answeringServer(...answer);
  servers.push(server);
  return server;
}

function get(url: string, call: Partial<Call> = {}, options: Partial<HttpClientOptions> = {}) {
  const client = new HttpClient({
    exchange,
    headers: {},
    authenticator: ANONYMOUS,
    connectMs: 1_000,
    timeoutMs: 5_000,
    ...options,
  });
  return client.json({ url, maxBytes: 100_000, ...call });
}

describe('what is answered', () => {
  it('keeps integers of 64 bits whole', async () => {
    const server = await serve((_, response) => answerJson(response, '{"snapshot-id":8076371641330113733}'));
    const { json } = await get(`${server.url}/v1/x`);
    expect(integerValue((json as Record<string, unknown>)['snapshot-id'])).toBe(8076371641330113733n);
  });

  it('is unpacked, and counted as it came', async () => {
    const packed = gzipSync(JSON.stringify({ long: 'x'.repeat(10_000) }));
    const server = await serve((_, response) => {
      response.writeHead(200, { 'content-type': 'application/json', 'content-encoding': 'gzip' }).end(packed);
    });
    const before = { ...usage };
    const { json, bytes } = await get(`${server.url}/v1/x`);
    expect(json).toEqual({ long: 'x'.repeat(10_000) });
    expect(bytes).toBeGreaterThan(10_000);
    expect(usage).toEqual({ requests: before.requests + 1, bytes: before.bytes + packed.length });
  });

  it.each([
    ['plain', (body: Buffer) => body, undefined],
    ['packed', (body: Buffer) => gzipSync(body), 'gzip'],
  ])('is refused when it is too large, %s', async (_, pack, encoding) => {
    const body = pack(Buffer.from(JSON.stringify('x'.repeat(1_000_000))));
    const server = await serve((_asked, response) => {
      response.writeHead(200, {
        'content-type': 'application/json',
        ...(encoding && { 'content-encoding': encoding }),
      });
      response.end(body);
    });
    await expect(get(`${server.url}/v1/x`)).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
      message: expect.stringContaining('more than the 100000 bytes'),
    });
    expect(server.asked).toHaveLength(1);
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
  ])('%i is %s, in the words of the catalog', async (status, code) => {
    const server = await serve((_, response) =>
      answerError(response, status, 'SomeException', 'some words\nand a trace'),
    );
    const error = await get(`${server.url}/v1/x`).catch((e) => e);
    expect(error).toMatchObject({ code, status });
    expect(error.message).toContain(`GET ${server.url}/v1/x was answered ${status} SomeException: some words.`);
    expect(error.message).not.toMatch(/trace|not to be shown/);
    expect(server.asked).toHaveLength(1);
  });

  it.each([
    ['UnrecognizedClientException', 'UNAUTHENTICATED', "Check the connector's auth"],
    ['InvalidSignatureException:http://internal.amazon.com/', 'UNAUTHENTICATED', "Check the connector's auth"],
    ['ExpiredTokenException', 'UNAUTHENTICATED', "Check the connector's auth"],
    ['AccessDeniedException', 'PERMISSION_DENIED', 'does not allow this'],
  ])('403 %s of AWS is %s', async (type, code, advice) => {
    const server = await serve((_, response) =>
      answerJson(response, { message: 'some words' }, 403, { 'x-amzn-errortype': type }),
    );
    await expect(get(`${server.url}/v1/x`)).rejects.toMatchObject({
      code,
      status: 403,
      message: expect.stringMatching(new RegExp(`answered 403 ${type.replace(/:.*/, '')}: some words\\. .*${advice}`)),
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
    ['no JSON under that name', 'application/json', 'OK', 'DATA_LOSS', '(application/json) OK'],
    ['nothing', 'application/json', '', 'DATA_LOSS', '(application/json, empty)'],
    ['bytes', 'application/json', '\u0000\u0007{', 'DATA_LOSS', '(application/json) {'],
  ])('%s is not taken for an answer', async (_, type, body, code, shown) => {
    const server = await serve(
      (_asked, response) =>
        void response.writeHead(200, { 'content-type': type, 'content-length': Buffer.byteLength(body) }).end(body),
    );
    await expect(get(`${server.url}/v1/x`)).rejects.toMatchObject({ code, message: expect.stringContaining(shown) });
  });
});

describe('another try', () => {
  it.each([429, 502, 503, 504])('after %i', async (status) => {
    const server = await serve((_, response, n) =>
      n < 3 ? answerError(response, status, 'Busy', 'later') : answerJson(response, { n }),
    );
    expect((await get(`${server.url}/v1/x`)).json).toEqual({ n: 3 });
  });

  it('passes the gate once for each request, before its time begins', async () => {
    let passed = 0;
    const capped = {
      requests: 0,
      bytes: 0,
      gate: async () => {
        passed += 1;
        // Together longer than the whole call may take.
        await new Promise((resolve) => setTimeout(resolve, 700));
      },
    };
    const server = await serve((_, response, n) => {
      if (n === 1) response.writeHead(302, { location: '/v1/y' }).end();
      else if (n === 2) answerError(response, 503, 'Busy', 'later', { 'retry-after': '0' });
      else answerJson(response, { n });
    });
    const { json } = await get(`${server.url}/v1/x`, {}, { exchange: new HttpExchange(capped), timeoutMs: 2_000 });
    expect(json).toEqual({ n: 3 });
    expect([passed, capped.requests, server.asked.length]).toEqual([3, 3, 3]);
    await expect(
      get(
        `${server.url}/v1/x`,
        {},
        { exchange: new HttpExchange({ ...capped, gate: () => Promise.reject(new Error('cancelled')) }) },
      ),
    ).rejects.toThrow('cancelled');
    expect(server.asked.length).toBe(3);
  });

  it('waits as long as the server asks', async () => {
    // Four attempts with waits of their own come to less than 3 s.
    let until: number | undefined;
    const server = await serve((_, response) => {
      until ??= performance.now() + 3_000;
      if (performance.now() < until) answerError(response, 429, 'Busy', 'later', { 'retry-after': '3' });
      else answerJson(response, {});
    });
    await get(`${server.url}/v1/x`);
    expect(server.asked).toHaveLength(2);
  });

  it.each([429, 503])('is left to the caller where the server asks for a long wait with %i', async (status) => {
    const server = await serve((_, response) =>
      answerError(response, status, 'Busy', 'later', { 'retry-after': '120' }),
    );
    await expect(get(`${server.url}/v1/x`)).rejects.toMatchObject({
      code: 'RESOURCE_EXHAUSTED',
      retryAfterMs: 120_000,
    });
    expect(server.asked).toHaveLength(1);
  });

  it('has an end', async () => {
    const server = await serve((_, response) => answerError(response, 503, 'Busy', 'later'));
    await expect(get(`${server.url}/v1/x`)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    expect(server.asked).toHaveLength(4);
  });

  it('after a connection that broke off', async () => {
    const server = await serve((_, response, n) => {
      if (n < 3) response.socket?.destroy();
      else answerJson(response, { n });
    });
    expect((await get(`${server.url}/v1/x`)).json).toEqual({ n: 3 });
  });

  it.each([
    ['with a length', { 'content-length': '50' }],
    ['in chunks', {}],
  ])('after a body that was cut, %s', async (_, headers) => {
    const server = await serve((_asked, response, n) => {
      if (n > 1) return answerJson(response, { n });
      response.writeHead(200, { 'content-type': 'application/json', ...headers });
      response.write('{"half": ', () => setTimeout(() => response.destroy(), 20));
    });
    expect((await get(`${server.url}/v1/x`)).json).toEqual({ n: 2 });
  });

  it('is the caller’s where nothing but the JSON tells that the body was cut', async () => {
    const server = await serve((_, response) => {
      response.useChunkedEncodingByDefault = false;
      response.shouldKeepAlive = false;
      response.writeHead(200, { 'content-type': 'application/json', connection: 'close' }).end('{"half": ');
    });
    await expect(get(`${server.url}/v1/x`)).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      message: expect.stringContaining('with a part only'),
    });
  });

  it('is not made of a form that was refused', async () => {
    const server = await serve((_, response) => answerError(response, 400, 'Bad', 'no'));
    await expect(get(`${server.url}/t`, { form: new URLSearchParams({ a: 'b c' }) })).rejects.toMatchObject({
      status: 400,
    });
    expect(server.asked).toMatchObject([{ method: 'POST', body: 'a=b+c' }]);
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

describe('time', () => {
  it.each([
    ['a server that never answers', () => {}],
    [
      'a server that trickles',
      (response: import('node:http').ServerResponse) => {
        response.writeHead(200, { 'content-type': 'application/json' });
        const timer = setInterval(() => response.write(' '), 20);
        response.on('close', () => clearInterval(timer));
      },
    ],
  ])('is over for %s', async (_, answer) => {
    const server = await serve((_asked, response) => answer(response));
    await expect(get(`${server.url}/v1/x`, {}, { timeoutMs: 300 })).rejects.toMatchObject({
      code: 'DEADLINE_EXCEEDED',
      message: expect.stringContaining('rest.client.socket-timeout-ms'),
    });
  });

  it('is for the call with all its attempts', async () => {
    const server = await serve((_, response) => {
      setTimeout(() => answerError(response, 503, 'Busy', 'later'), 200);
    });
    const error = await get(`${server.url}/v1/x`, {}, { timeoutMs: 500 }).catch((e) => e);
    expect(['DEADLINE_EXCEEDED', 'UNAVAILABLE']).toContain(error.code);
    expect(server.asked.length).toBeLessThan(4);
  });

  it('is told as it was set, though an attempt has used up some of it', async () => {
    const server = await serve((_, response, n) => {
      if (n === 1) setTimeout(() => answerError(response, 503, 'Busy', 'later'), 50);
    });
    await expect(get(`${server.url}/v1/x`, {}, { timeoutMs: 900 })).rejects.toMatchObject({
      code: 'DEADLINE_EXCEEDED',
      message: expect.stringContaining('within 900 ms'),
    });
    expect(server.asked).toHaveLength(2);
  });
});

describe('addresses that are wrong', () => {
  it('where nothing listens', async () => {
    const server = await answeringServer(() => {});
    await server[Symbol.asyncDispose]();
    await expect(get(`${server.url}/v1/config`)).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      message: expect.stringMatching(/^nothing answers at http:\/\/127\.0\.0\.1:\d+: ECONNREFUSED\. Check the URI/),
    });
  });

  it('whose host has no address', async () => {
    await expect(get('http://no-such-host.invalid/v1/config', {}, { timeoutMs: 2_000 })).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      message: expect.stringContaining('no-such-host.invalid'),
    });
  });

  it('where something else than HTTP is spoken, and where TLS is not', async () => {
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
    const server = await serve((asked, response) => {
      if (asked.path === '/old?a=b') response.writeHead(308, { location: '/new?a=b' }).end();
      else answerJson(response, { at: asked.path });
    });
    const { json } = await get(`${server.url}/old?a=b`, {}, { authenticator: bearer('secret-token') });
    expect(json).toEqual({ at: '/new?a=b' });
    expect(server.asked.map(({ headers }) => headers.authorization)).toEqual([
      'Bearer secret-token',
      'Bearer secret-token',
    ]);
  });

  it('to another host are refused: nothing is sent there', async () => {
    const other = await serve((_, response) => answerJson(response, {}));
    const server = await serve((_, response) => void response.writeHead(302, { location: `${other.url}/x` }).end());
    await expect(get(`${server.url}/x`, {}, { authenticator: bearer('t') })).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
      message: expect.stringContaining(`a redirect to ${other.url}, another host`),
    });
    expect(other.asked).toEqual([]);
  });

  it('have an end', async () => {
    const server = await serve((asked, response) => void response.writeHead(302, { location: `${asked.path}x` }).end());
    await expect(get(`${server.url}/`)).rejects.toMatchObject({ code: 'FAILED_PRECONDITION' });
    expect(server.asked).toHaveLength(6);
  });

  it('of a form are refused', async () => {
    const server = await serve((_, response) => void response.writeHead(307, { location: '/b' }).end());
    await expect(get(`${server.url}/a`, { form: new URLSearchParams() })).rejects.toMatchObject({
      code: 'FAILED_PRECONDITION',
    });
    expect(server.asked).toHaveLength(1);
  });
});
