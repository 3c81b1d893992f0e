import { createHash, timingSafeEqual } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Payload, PayloadCodec } from '@temporalio/common';
import { CodedError } from '../errors.ts';

/** Temporal limits a message to 4 MiB, which is a third more in base64. The UI sends the payloads of a page of events in one request. */
const MAX_BODY_BYTES = 16 * 1024 * 1024;
/** How long a request may take to arrive. */
const REQUEST_TIMEOUT_MS = 30_000;
const HEADERS = 'content-type, x-namespace, authorization';

export interface CodecEndpointOptions {
  codec: PayloadCodec;
  host: string;
  /** 0 for any free port. */
  port: number;
  /** Origins of the Temporal UIs whose pages may send requests. */
  origins: readonly string[];
  /** Bearer token that every request must have. */
  token?: string;
}

export interface CodecEndpoint {
  url: string;
  stop(): Promise<void>;
}

/** A refusal with its HTTP status. */
class HttpError extends Error {
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/**
 * Serves `POST /encode` and `POST /decode` to the Temporal UI and CLI (https://docs.temporal.io/codec-server). Requests and responses are
 * `{"payloads": […]}` in proto3 JSON.
 *
 * @throws CodedError UNAVAILABLE if the server cannot listen on the address
 */
export async function startCodecEndpoint(options: CodecEndpointOptions): Promise<CodecEndpoint> {
  const { host, port, origins } = options;
  const server = createServer({ requestTimeout: REQUEST_TIMEOUT_MS }, async (request, response) => {
    try {
      allowOrigin(request, response, origins);
      if (request.method === 'OPTIONS') {
        response.writeHead(204).end();
        return;
      }
      const payloads = await answer(request, options);
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify({ payloads }));
    } catch (error) {
      // The CLI prints this text unchanged.
      response.writeHead(statusOf(error), { 'content-type': 'text/plain; charset=utf-8', connection: 'close' });
      response.end((error as Error).message);
    }
  });
  const listening = once(server, 'listening');
  server.listen(port, host);
  try {
    await listening;
  } catch (cause) {
    throw new CodedError(
      'UNAVAILABLE',
      `The codec endpoint cannot listen on ${host}:${port}: ${(cause as Error).message}`,
      {
        cause,
      },
    );
  }
  const urlHost = host.includes(':') ? `[${host}]` : host;
  return {
    url: `http://${urlHost}:${(server.address() as AddressInfo).port}`,
    async stop() {
      server.close();
      server.closeAllConnections();
    },
  };
}

function statusOf(error: unknown): number {
  if (error instanceof HttpError) return error.status;
  return error instanceof CodedError ? 400 : 500;
}

/** @throws HttpError for a page of another origin, which could otherwise send requests even though it cannot read the responses */
function allowOrigin({ headers }: IncomingMessage, response: ServerResponse, origins: readonly string[]): void {
  const { origin } = headers;
  if (origin === undefined) return;
  if (!origins.includes(origin))
    throw new HttpError(
      403,
      `Pages of ${origin} may not use this codec endpoint. To allow them, start it with --allow-origin ${origin}.`,
    );
  response.setHeader('access-control-allow-origin', origin);
  response.setHeader('access-control-allow-methods', 'POST, OPTIONS');
  response.setHeader('access-control-allow-headers', HEADERS);
  // Lets a UI on the internet use an endpoint on the user's own machine (https://wicg.github.io/private-network-access).
  response.setHeader('access-control-allow-private-network', 'true');
  response.setHeader('vary', 'origin');
}

async function answer(request: IncomingMessage, { codec, token }: CodecEndpointOptions): Promise<object[]> {
  if (token !== undefined && !isBearer(request.headers.authorization, token)) {
    throw new HttpError(401, 'Send the bearer token of this codec endpoint in the header Authorization.');
  }
  const path = request.url?.split('?')[0];
  if (path !== '/encode' && path !== '/decode')
    throw new HttpError(404, 'This endpoint serves only /encode and /decode.');
  if (request.method !== 'POST') throw new HttpError(405, `${path} accepts only POST.`);
  const payloads = payloadsOf(await bodyOf(request));
  return (await (path === '/encode' ? codec.encode(payloads) : codec.decode(payloads))).map(toJson);
}

function isBearer(header: string | undefined, token: string): boolean {
  const hash = (text: string) => createHash('sha256').update(text).digest();
  return timingSafeEqual(hash(header ?? ''), hash(`Bearer ${token}`));
}

async function bodyOf(request: IncomingMessage): Promise<string> {
  const chunks: Buffer[] = [];
  let bytes = 0;
  // The socket stays open, because the refusal has to be sent on it.
  for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MAX_BODY_BYTES) throw new HttpError(413, `The request has more than ${MAX_BODY_BYTES} bytes.`);
    chunks.push(chunk);
  }
  return Buffer.concat(chunks).toString('utf8');
}

/** temporal.api.common.v1.Payload in proto3 JSON: bytes are base64. */
interface JsonPayload {
  metadata?: Record<string, string>;
  data?: string;
}

function payloadsOf(body: string): Payload[] {
  try {
    // The CLI sends `{}` if there are no payloads.
    const { payloads = [] } = JSON.parse(body) as { payloads?: JsonPayload[] };
    return payloads.map(({ metadata = {}, data = '' }) => ({
      metadata: Object.fromEntries(Object.entries(metadata).map(([key, value]) => [key, Buffer.from(value, 'base64')])),
      data: Buffer.from(data, 'base64'),
    }));
  } catch {
    throw new HttpError(400, 'The body is not {"payloads": [{"metadata": {…}, "data": "…"}]} with values in base64.');
  }
}

function toJson({ metadata, data }: Payload): JsonPayload {
  const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64');
  return {
    metadata: Object.fromEntries(Object.entries(metadata ?? {}).map(([key, value]) => [key, base64(value)])),
    ...(data?.length && { data: base64(data) }),
  };
}
