import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { isSignedWith, type SignedRequest, signerOf } from './sigv4.ts';

export const ACCESS = { accessKeyId: 'AKIATEST', secretAccessKey: 'the-secret/of+AKIATEST' };

export interface Seen extends SignedRequest {
  path: string;
  query: URLSearchParams;
}

type Answer = (request: Seen, response: ServerResponse) => void;

/**
 * A server that responds like S3, with the responses that a test defines. Requests that are not signed with `ACCESS` (or another key in
 * `secrets`) get S3's errors.
 */
export class FakeS3 implements AsyncDisposable {
  readonly seen: Seen[] = [];
  readonly secrets = new Map([[ACCESS.accessKeyId, ACCESS.secretAccessKey]]);
  /** Whether requests without a signature are accepted. */
  isPublic = false;
  answer: Answer = (_, response) => object(response, 'content');
  /** Number of concurrent requests, now and at most. */
  running = 0;
  maxRunning = 0;
  readonly #server = createServer((message, response) => this.#handle(message, response));

  static async start(): Promise<FakeS3> {
    const server = new FakeS3();
    server.#server.listen(0, '127.0.0.1');
    await once(server.#server, 'listening');
    return server;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  /** The connector properties for reading from this server. */
  get properties(): Record<string, string> {
    return {
      's3.endpoint': this.url,
      's3.region': 'us-east-1',
      's3.access-key-id': ACCESS.accessKeyId,
      's3.secret-access-key': ACCESS.secretAccessKey,
    };
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#server.closeAllConnections();
    this.#server.close();
    await once(this.#server, 'close');
  }

  #handle(message: IncomingMessage, response: ServerResponse): void {
    const url = message.url ?? '';
    const [path = '', query = ''] = url.split('?');
    const request: Seen = {
      method: message.method ?? '',
      url,
      path,
      query: new URLSearchParams(query),
      headers: message.headers,
    };
    this.seen.push(request);
    this.maxRunning = Math.max(this.maxRunning, ++this.running);
    response.once('close', () => this.running--);
    const signer = signerOf(request);
    const secret = this.secrets.get(signer?.accessKeyId ?? '');
    if (signer === undefined && this.isPublic) this.answer(request, response);
    else if (signer === undefined) failure(response, 403, 'AccessDenied', 'Access Denied');
    else if (secret === undefined) failure(response, 403, 'InvalidAccessKeyId', 'The key does not exist.');
    else if (!isSignedWith(secret, request)) failure(response, 403, 'SignatureDoesNotMatch', 'Check your key.');
    else this.answer(request, response);
  }
}

/** Responds with an object, or with the requested range of it. */
export function object(response: ServerResponse, content: string | Buffer, range?: string): void {
  const bytes = typeof content === 'string' ? Buffer.from(content) : content;
  const [, from, to] = /^bytes=(\d+)-(\d*)$/.exec(range ?? '') ?? [];
  if (from === undefined) {
    response.writeHead(200, { 'content-length': bytes.length, etag: '"e"' }).end(bytes);
    return;
  }
  const part = bytes.subarray(Number(from), to === '' ? undefined : Number(to) + 1);
  if (part.length === 0) {
    failure(response, 416, 'InvalidRange', 'The requested range is not satisfiable');
    return;
  }
  const contentRange = `bytes ${from}-${Number(from) + part.length - 1}/${bytes.length}`;
  response.writeHead(206, { 'content-length': part.length, 'content-range': contentRange, etag: '"e"' }).end(part);
}

/** Responds with an error in S3's format. */
export function failure(
  response: ServerResponse,
  status: number,
  code: string,
  message: string,
  headers: Record<string, string> = {},
): void {
  const xml = `<?xml version="1.0" encoding="UTF-8"?>\n<Error><Code>${code}</Code><Message>${message}</Message></Error>`;
  response.writeHead(status, { 'content-type': 'application/xml', ...headers }).end(xml);
}
