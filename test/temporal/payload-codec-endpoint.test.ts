import { randomBytes } from 'node:crypto';
import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import { EncryptionCodec } from '../../src/temporal/payload-codec.ts';
import { type CodecEndpoint, startCodecEndpoint } from '../../src/temporal/payload-codec-endpoint.ts';

const UI = 'http://127.0.0.1:8233';
const codec = new EncryptionCodec(new Map([['k', randomBytes(32)]]));
const base64 = (text: string) => Buffer.from(text).toString('base64');
const PLAIN = { metadata: { encoding: base64('json/plain') }, data: base64('"orders"') };

describe('codec endpoint', () => {
  let open: CodecEndpoint;
  let guarded: CodecEndpoint;
  beforeAll(async () => {
    const options = { codec, host: '127.0.0.1', port: 0, origins: [UI] };
    open = await startCodecEndpoint(options);
    guarded = await startCodecEndpoint({ ...options, token: 'a-token' });
  });
  afterAll(async () => {
    await open.stop();
    await guarded.stop();
  });

  const post = (path: string, body: unknown, headers: Record<string, string> = {}, endpoint = open) =>
    fetch(`${endpoint.url}${path}`, {
      method: 'POST',
      headers: { 'content-type': 'application/json', 'x-namespace': 'default', ...headers },
      body: typeof body === 'string' ? body : JSON.stringify(body),
    });

  it('encodes and decodes, as proto3 JSON', async () => {
    const encoded = (await (await post('/encode', { payloads: [PLAIN, {}] })).json()) as { payloads: (typeof PLAIN)[] };
    expect(encoded.payloads).toHaveLength(2);
    expect(Buffer.from(encoded.payloads[0]!.metadata.encoding, 'base64').toString()).toBe('binary/encrypted');
    expect(JSON.stringify(encoded)).not.toContain(PLAIN.data);
    const response = await post('/decode', { payloads: [...encoded.payloads, PLAIN] }, { origin: UI });
    expect(await response.json()).toEqual({ payloads: [PLAIN, { metadata: {} }, PLAIN] });
    expect(response.headers.get('access-control-allow-origin')).toBe(UI);
  });

  it('accepts a request without payloads, which the CLI sends for a query without arguments', async () => {
    expect(await (await post('/encode', {})).json()).toEqual({ payloads: [] });
  });

  it('accepts requests from pages of the UI and from no other origin', async () => {
    const preflight = (origin: string) =>
      fetch(`${guarded.url}/decode`, {
        method: 'OPTIONS',
        headers: {
          origin,
          'access-control-request-method': 'POST',
          'access-control-request-headers': 'authorization,content-type,x-namespace',
        },
      });
    const { status, headers } = await preflight(UI);
    expect(status).toBe(204);
    expect(headers.get('access-control-allow-origin')).toBe(UI);
    expect(headers.get('access-control-allow-methods')).toContain('POST');
    expect(headers.get('access-control-allow-headers')).toMatch(/content-type.*x-namespace.*authorization/);
    const other = await preflight('http://evil.example');
    expect(other.status).toBe(403);
    expect(other.headers.get('access-control-allow-origin')).toBeNull();
    expect((await post('/decode', { payloads: [PLAIN] }, { origin: 'http://evil.example' })).status).toBe(403);
  });

  it('requires its token', async () => {
    const decode = (headers: Record<string, string>) => post('/decode', { payloads: [PLAIN] }, headers, guarded);
    expect((await decode({})).status).toBe(401);
    expect((await decode({ authorization: 'Bearer another' })).status).toBe(401);
    // Without this header, the page could not read the error.
    expect((await decode({ origin: UI })).headers.get('access-control-allow-origin')).toBe(UI);
    expect((await decode({ authorization: 'Bearer a-token' })).status).toBe(200);
  });

  it.each([
    ['/decode', 'no json', 400, 'The body is not'],
    ['/decode', 'null', 400, 'The body is not'],
    ['/decode', { payloads: [{ data: 1 }] }, 400, 'The body is not'],
    ['/decode', { payloads: [null] }, 400, 'The body is not'],
    ['/decode', `{"payloads": [${' '.repeat(17 * 1024 * 1024)}]}`, 413, 'more than 16777216 bytes'],
    ['/other', { payloads: [] }, 404, '/encode and /decode'],
  ])('%s %.20j: %i', async (path, body, status, message) => {
    const response = await post(path, body);
    expect([response.status, await response.text()]).toEqual([status, expect.stringContaining(message)]);
  });

  it('refuses GET', async () => expect((await fetch(`${open.url}/decode`)).status).toBe(405));

  it('names a missing key', async () => {
    const other = new EncryptionCodec(new Map([['gone', randomBytes(32)]]));
    const [encrypted] = await other.encode([{ metadata: {}, data: Buffer.from('1') }]);
    const { metadata, data } = encrypted!;
    const inBase64 = Object.fromEntries(
      Object.entries(metadata!).map(([k, v]) => [k, base64(Buffer.from(v).toString())]),
    );
    const response = await post('/decode', {
      payloads: [{ metadata: inBase64, data: Buffer.from(data!).toString('base64') }],
    });
    expect([response.status, await response.text()]).toEqual([400, expect.stringContaining('"gone"')]);
  });

  it('names an address that is taken', async () => {
    const port = Number(new URL(open.url).port);
    await expect(startCodecEndpoint({ codec, host: '127.0.0.1', port, origins: [] })).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      message: expect.stringContaining(`127.0.0.1:${port}`),
    });
  });
});
