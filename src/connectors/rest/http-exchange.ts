import * as http from 'node:http';
import * as https from 'node:https';
import { promisify } from 'node:util';
import { gunzip, gunzipSync } from 'node:zlib';
import { CodedError } from '../../errors.ts';
import type { Usage } from '../../storage/usage.ts';
import { observeUpstream } from '../../telemetry/tracing/upstream.ts';

export interface HttpRequest {
  method: 'GET' | 'POST';
  /** Sent as it stands: nothing in its path is normalized. */
  url: string;
  /** Names in lower case. */
  headers: Readonly<Record<string, string>>;
  body?: string;
  /** Of the answer's body, packed and unpacked. */
  maxBytes: number;
  /** For connecting, and for everything from the first step to the body's last byte. */
  connectMs: number;
  timeoutMs: number;
  /** Of the call that the request is a part of, for its error: earlier attempts have used up some of it. */
  limitMs: number;
}

export interface HttpAnswer {
  status: number;
  headers: http.IncomingHttpHeaders;
  body: Buffer;
  /** The body had no length and no chunks: where it ends early, nothing but its content can tell. */
  untilClose: boolean;
}

/** The connection or the protocol failed: there is no answer. */
export class NoAnswerError extends Error {
  override readonly name = 'NoAnswerError';
  /** Of the operating system, TLS or the HTTP parser, such as `ECONNREFUSED`. */
  readonly code: string;

  constructor(code: string, cause: unknown) {
    super(code, { cause });
    this.code = code;
  }
}

/** Connections to one catalog at once. Scans ask for eight tables at a time, and there are as many scans as workers' activities. */
const MAX_SOCKETS = 32;

/** Packed bodies up to this are unpacked at once, which takes less than handing them to another thread. */
const MAX_SYNC_GUNZIP_BYTES = 16 * 1024;

type Decode = (body: Buffer, options: { maxOutputLength: number }) => Buffer | Promise<Buffer>;

const gunzipInThreadPool = promisify<Buffer, { maxOutputLength: number }, Buffer>(gunzip);
const decodeGzip: Decode = (body, options) =>
  body.length <= MAX_SYNC_GUNZIP_BYTES ? gunzipSync(body, options) : gunzipInThreadPool(body, options);

const DECODERS: Readonly<Record<string, Decode>> = { gzip: decodeGzip, 'x-gzip': decodeGzip };

/**
 * Single HTTP requests over kept-alive connections. `node:http` and not `fetch`: paths go out as they are signed and encoded, packed
 * bytes can be counted and bounded, connecting has a time limit of its own, and the connections end with their connector.
 */
export class HttpExchange {
  readonly #plain = new http.Agent({ keepAlive: true, maxSockets: MAX_SOCKETS });
  readonly #secure = new https.Agent({ keepAlive: true, maxSockets: MAX_SOCKETS });
  readonly #usage: Usage;

  constructor(usage: Usage) {
    this.#usage = usage;
  }

  /** Waits until a request may be made: before it is signed, and before its time begins. */
  async admitted(): Promise<void> {
    await this.#usage.gate?.();
  }

  /**
   * @throws NoAnswerError; CodedError `DEADLINE_EXCEEDED` when the time is over, `FAILED_PRECONDITION` for a body that is too large
   */
  async send(request: HttpRequest): Promise<HttpAnswer> {
    this.#usage.requests += 1;
    const exchange = () => this.#exchange(request);
    const answer = await observeUpstream(
      'rest',
      () => request,
      exchange,
      ({ status }) => status,
    );
    const encoding = (answer.headers['content-encoding'] ?? 'identity').toLowerCase().trim();
    if (encoding === 'identity' || answer.body.length === 0) return answer;
    const decode = DECODERS[encoding];
    if (decode === undefined) {
      throw new CodedError('FAILED_PRECONDITION', `${request.url} answered with content-encoding ${encoding}, unasked`);
    }
    try {
      return { ...answer, body: await decode(answer.body, { maxOutputLength: request.maxBytes }) };
    } catch (error) {
      if ((error as NodeJS.ErrnoException).code === 'ERR_BUFFER_TOO_LARGE') throw tooLarge(request);
      throw new NoAnswerError((error as NodeJS.ErrnoException).code ?? 'Z_DATA_ERROR', error);
    }
  }

  close(): void {
    this.#plain.destroy();
    this.#secure.destroy();
  }

  #exchange(request: HttpRequest): Promise<HttpAnswer> {
    const { method, url, headers, body, maxBytes, connectMs, timeoutMs } = request;
    const { secure, host, port, path } = splitUrl(url);
    return new Promise<HttpAnswer>((resolve, reject) => {
      const fail = (error: unknown) => {
        clearTimeout(deadline);
        clearTimeout(connecting);
        outgoing.destroy();
        const { code } = error as NodeJS.ErrnoException;
        reject(error instanceof CodedError ? error : new NoAnswerError(code ?? (error as Error).message, error));
      };
      let outgoing: http.ClientRequest;
      try {
        outgoing = (secure ? https : http).request({
          agent: secure ? this.#secure : this.#plain,
          method,
          host,
          port,
          path,
          headers: body === undefined ? headers : { ...headers, 'content-length': Buffer.byteLength(body) },
        });
      } catch (error) {
        // What HTTP does not take is found before anything is sent.
        return reject(new NoAnswerError((error as NodeJS.ErrnoException).code ?? 'ERR_INVALID', error));
      }
      const deadline = setTimeout(() => fail(deadlineExceeded(request)), timeoutMs);
      // From when there is a socket: waiting for one of the others to be free is no fault of the address.
      let connecting: NodeJS.Timeout | undefined;
      outgoing.on('socket', (socket) => {
        if (!socket.connecting) return;
        connecting = setTimeout(() => fail(new NoAnswerError('ETIMEDOUT', undefined)), connectMs);
        socket.once(secure ? 'secureConnect' : 'connect', () => clearTimeout(connecting));
      });
      outgoing.on('error', fail);
      outgoing.on('response', (incoming) => {
        const chunks: Buffer[] = [];
        let bytes = 0;
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

/** The path as it stands: `URL` would normalize it. */
function splitUrl(url: string): { secure: boolean; host: string; port: string; path: string } {
  const { protocol, hostname, port, origin } = new URL(url);
  // The origin as `URL` writes it may be shorter than as it stands, by the default port.
  const path = /^[a-z]+:\/\/[^/?#]*([^#]*)/i.exec(url)?.[1] ?? '';
  if (hostname === '' || origin === 'null') throw new CodedError('INVALID_ARGUMENT', `${url} names no host`);
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
    `${method} ${url} was not answered whole within ${limitMs} ms. If the catalog needs longer, raise the ` +
      "connector's property rest.client.socket-timeout-ms.",
  );
}

function tooLarge({ method, url, maxBytes }: HttpRequest): CodedError {
  return new CodedError(
    'FAILED_PRECONDITION',
    `the answer to ${method} ${url} has more than the ${maxBytes} bytes that are taken`,
  );
}
