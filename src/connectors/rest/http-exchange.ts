import * as http from 'node:http';
import * as https from 'node:https';
import { promisify } from 'node:util';
import { gunzip, gunzipSync } from 'node:zlib';
import { CodedError } from '../../errors.ts';
import { checkRequest } from '../../storage/proxy/check-request.ts';
import { Connections } from '../../storage/proxy/connections.ts';
import { type ForwardProxy, proxyFor } from '../../storage/proxy/proxy.ts';
import { ProxyError } from '../../storage/proxy/proxy-error.ts';
import { TooLargeError } from '../../storage/too-large-error.ts';
import type { Usage } from '../../storage/usage.ts';
import { observeUpstream } from '../../telemetry/tracing/upstream.ts';

export interface HttpRequest {
  method: 'GET' | 'POST';
  /** Sent unchanged; its path is not normalized. */
  url: string;
  /** Names are in lower case. */
  headers: Readonly<Record<string, string>>;
  body?: string;
  /** Limit for the response's body, both compressed and decompressed. */
  maxBytes: number;
  /** Time limit for connecting. */
  connectMs: number;
  /** Time limit until the last byte of the body. */
  timeoutMs: number;
  /** Time limit of the whole call, for the error. Earlier attempts may have used up a part of it. */
  limitMs: number;
}

export interface HttpResponse {
  status: number;
  headers: http.IncomingHttpHeaders;
  body: Buffer;
  /** The body ended with the connection. If it was cut off, only its content can show that. */
  untilClose: boolean;
}

/** The connection or the protocol failed, so there is no response. */
export class NoResponseError extends Error {
  override readonly name = 'NoResponseError';
  /** Error code of the operating system, TLS or the HTTP parser, such as `ECONNREFUSED`. */
  readonly code: string;

  constructor(code: string, cause: unknown) {
    super(code, { cause });
    this.code = code;
  }
}

/** Connections to one catalog at a time. Each scan checks eight tables in parallel, and a worker runs several scans at a time. */
const MAX_SOCKETS = 32;

/** Bodies up to this size are decompressed synchronously, which is faster than handing them to another thread. */
const MAX_SYNC_GUNZIP_BYTES = 16 * 1024;

type Decode = (body: Buffer, options: { maxOutputLength: number }) => Buffer | Promise<Buffer>;

const gunzipInThreadPool = promisify<Buffer, { maxOutputLength: number }, Buffer>(gunzip);
const decodeGzip: Decode = (body, options) =>
  body.length <= MAX_SYNC_GUNZIP_BYTES ? gunzipSync(body, options) : gunzipInThreadPool(body, options);

const DECODERS: Readonly<Record<string, Decode>> = { gzip: decodeGzip, 'x-gzip': decodeGzip };

/**
 * Sends single HTTP requests over kept-alive connections. It uses `node:http` instead of `fetch` so that paths are sent exactly as signed and
 * encoded, compressed bytes can be counted and bounded, connecting has its own time limit, and connections close with their connector.
 */
export class HttpExchange {
  readonly #connections = new Connections(MAX_SOCKETS);
  readonly #usage: Usage;
  readonly #proxy?: ForwardProxy;

  /** @param proxy the connector's own proxy, through which all requests are sent. Otherwise this process's settings apply */
  constructor(usage: Usage, proxy?: ForwardProxy) {
    this.#usage = usage;
    this.#proxy = proxy;
  }

  /** Waits until a request may be sent. Call it before signing the request and before its time starts. */
  async admitted(): Promise<void> {
    await this.#usage.gate?.();
  }

  /**
   * Sends a request and returns the response with its body decompressed.
   *
   * @throws NoResponseError if there is no response; PolicyError if the worker's policy refuses it; CodedError `DEADLINE_EXCEEDED` after `timeoutMs`, `FAILED_PRECONDITION` for a body that
   *   is too large or has an unknown encoding
   */
  async send(request: HttpRequest): Promise<HttpResponse> {
    this.#usage.requests += 1;
    const exchange = () => this.#exchange(request);
    const response = await observeUpstream(
      'rest',
      () => request,
      exchange,
      ({ status }) => status,
    );
    const encoding = (response.headers['content-encoding'] ?? 'identity').toLowerCase().trim();
    if (encoding === 'identity' || response.body.length === 0) return response;
    const decode = DECODERS[encoding];
    if (decode === undefined) {
      throw new CodedError(
        'FAILED_PRECONDITION',
        `${request.url} returned content-encoding ${encoding}, which was not requested`,
      );
    }
    try {
      return { ...response, body: await decode(response.body, { maxOutputLength: request.maxBytes }) };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') throw tooLarge(request);
      throw new NoResponseError((error as NodeJS.ErrnoException).code ?? 'Z_DATA_ERROR', error);
    }
  }

  close(): void {
    this.#connections.destroy();
  }

  async #exchange(request: HttpRequest): Promise<HttpResponse> {
    const { method, url, body, maxBytes, connectMs, timeoutMs } = request;
    const proxy = this.#proxy ?? proxyFor(new URL(url));
    const direct = { ...splitUrl(url), headers: request.headers };
    checkRequest({ ...direct, body }, proxy);
    const { secure, host, port, path, headers, agent } = this.#connections.routed(direct, proxy);
    return new Promise<HttpResponse>((resolve, reject) => {
      const fail = (error: unknown) => {
        clearTimeout(deadline);
        clearTimeout(connecting);
        outgoing.destroy();
        if (error instanceof CodedError) return reject(error);
        // A tunnel reports a failure of the proxy itself.
        const cause = proxy && !direct.secure ? ProxyError.ofForwarded(proxy, error) : error;
        const { code } = error as NodeJS.ErrnoException;
        reject(new NoResponseError(code ?? (error as Error).message, cause));
      };
      let outgoing: http.ClientRequest;
      try {
        outgoing = (secure ? https : http).request({
          agent,
          method,
          host,
          port,
          path,
          headers: body === undefined ? headers : { ...headers, 'content-length': Buffer.byteLength(body) },
        });
      } catch (error) {
        // Node found a character that HTTP does not allow, before sending anything.
        return reject(new NoResponseError((error as NodeJS.ErrnoException).code ?? 'ERR_INVALID', error));
      }
      const deadline = setTimeout(() => fail(deadlineExceeded(request)), timeoutMs);
      // The time starts when there is a socket; waiting for a free one says nothing about the address.
      let connecting: NodeJS.Timeout | undefined;
      outgoing.on('socket', (socket) => {
        if (!socket.connecting) return;
        connecting = setTimeout(() => fail(Object.assign(new Error('timeout'), { code: 'ETIMEDOUT' })), connectMs);
        socket.once(secure ? 'secureConnect' : 'connect', () => clearTimeout(connecting));
      });
      outgoing.on('error', fail);
      outgoing.on('response', (incoming) => {
        const chunks: Buffer[] = [];
        let bytes = 0;
        const length = Number(incoming.headers['content-length']);
        // Responses without a body (304) may state the length that it would have.
        if (incoming.statusCode === 200 && length > maxBytes) {
          return fail(tooLarge(request, incoming.headers['content-encoding'] === undefined ? length : undefined));
        }
        incoming.on('data', (chunk: Buffer) => {
          this.#usage.bytes += chunk.length;
          bytes += chunk.length;
          if (bytes > maxBytes) fail(tooLarge(request));
          else chunks.push(chunk);
        });
        incoming.on('error', fail);
        incoming.on('end', () => {
          clearTimeout(deadline);
          clearTimeout(connecting);
          const { statusCode = 0, headers } = incoming;
          const untilClose = headers['content-length'] === undefined && headers['transfer-encoding'] === undefined;
          resolve({ status: statusCode, headers, body: Buffer.concat(chunks, bytes), untilClose });
        });
      });
      outgoing.end(body);
    });
  }
}

/** Splits a URL without normalizing its path, as `URL` would do. */
function splitUrl(url: string): { secure: boolean; host: string; port: string; path: string } {
  const { protocol, hostname, port, origin } = new URL(url);
  // The path is not cut out by the length of `origin`, because `URL` drops a default port.
  const path = /^[a-z]+:\/\/[^/?#]*([^#]*)/i.exec(url)?.[1] ?? '';
  if (hostname === '' || origin === 'null') throw new CodedError('INVALID_ARGUMENT', `${url} does not name a host`);
  return {
    secure: protocol === 'https:',
    host: hostname.replace(/^\[|\]$/g, ''),
    port,
    path: path.startsWith('/') ? path : `/${path}`,
  };
}

function deadlineExceeded({ method, url, limitMs }: HttpRequest): CodedError {
  return new CodedError(
    'DEADLINE_EXCEEDED',
    `${method} ${url} did not return a complete response within ${limitMs} ms. If the catalog needs longer, raise the ` +
      "connector's property rest.client.socket-timeout-ms.",
  );
}

function tooLarge({ method, url, maxBytes }: HttpRequest, bytes?: number): TooLargeError {
  return new TooLargeError(`the response to ${method} ${url} is larger than the limit of ${maxBytes} bytes`, bytes);
}
