import { createHash, timingSafeEqual } from 'node:crypto';
import { once } from 'node:events';
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import type { Payload, PayloadCodec } from '@temporalio/common';
import { CodedError } from '../errors.ts';

/** Temporal's own limit for a message is 4 MiB, a third more in base64; the UI sends the payloads of a page of events at once. */
const MAX_BODY_BYTES = 16 * 1024 * 1024;
/** So long a request may take to come in. */
const REQUEST_TIMEOUT_MS = 30_000;
const HEADERS = 'content-type, x-namespace, authorization';

export interface CodecEndpointOptions {
  codec: PayloadCodec;
  host: string;
  /** 0 takes a free one. */
  port: number;
  /** Origins of Temporal UIs whose pages may ask. */
  origins: readonly string[];
  /** Every request must bring it as bearer. */
  token?: string;
}

export interface CodecEndpoint {
  url: string;
  stop(): Promise<void>;
}

/** A refusal, as HTTP has it. */
class HttpError extends Error {
  readonly status: number;
  constructor(status: number, message: string) {
    super(message);
    this.status = status;
  }
}

/**
 * Serves `POST /encode` and `POST /decode` to the Temporal UI and CLI, as https://docs.temporal.io/codec-server says: `{"payloads": […]}`
 * in proto3 JSON, and the same back.
 *
 * @throws CodedError UNAVAILABLE where the address cannot be listened on
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
      // The CLI shows the text as it is.
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
  const shown = host.includes(':') ? `[${host}]` : host;
  return {
    url: `http://${shown}:${(server.address() as AddressInfo).port}`,
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

/** @throws HttpError for a page of another origin: its requests would pass where no answer of theirs is seen */
function allowOrigin({ headers }: IncomingMessage, response: ServerResponse, origins: readonly string[]): void {
  const { origin } = headers;
  if (origin === undefined) return;
  if (!origins.includes(origin)) throw new HttpError(403, `Pages of ${origin} may not ask here: see --allow-origin.`);
  response.setHeader('access-control-allow-origin', origin);
  response.setHeader('access-control-allow-methods', 'POST, OPTIONS');
  response.setHeader('access-control-allow-headers', HEADERS);
  // A UI on the internet that asks an endpoint on the reader's own machine (https://wicg.github.io/private-network-access).
  response.setHeader('access-control-allow-private-network', 'true');
  response.setHeader('vary', 'origin');
}

async function answer(request: IncomingMessage, { codec, token }: CodecEndpointOptions): Promise<object[]> {
  if (token !== undefined && !isBearer(request.headers.authorization, token)) {
    throw new HttpError(401, 'Give the bearer token of this codec endpoint in the header Authorization.');
  }
  const path = request.url?.split('?')[0];
  if (path !== '/encode' && path !== '/decode') throw new HttpError(404, 'There are /encode and /decode here.');
  if (request.method !== 'POST') throw new HttpError(405, `${path} takes POST.`);
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
  // The refusal has still to be sent.
  for await (const chunk of request.iterator({ destroyOnReturn: false }) as AsyncIterable<Buffer>) {
    bytes += chunk.length;
    if (bytes > MAX_BODY_BYTES) throw new HttpError(413, `A request has at most ${MAX_BODY_BYTES} bytes.`);
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
    // Where there are none the CLI sends `{}`.
    const { payloads = [] } = JSON.parse(body) as { payloads?: JsonPayload[] };
    return payloads.map(({ metadata = {}, data = '' }) => ({
      metadata: Object.fromEntries(Object.entries(metadata).map(([key, value]) => [key, Buffer.from(value, 'base64')])),
      data: Buffer.from(data, 'base64'),
    }));
  } catch {
    throw new HttpError(400, 'The body is not {"payloads": [{"metadata": {…}, "data": "…"}]} with base64.');
  }
}

function toJson({ metadata, data }: Payload): JsonPayload {
  const base64 = (bytes: Uint8Array) => Buffer.from(bytes).toString('base64');
  return {
    metadata: Object.fromEntries(Object.entries(metadata ?? {}).map(([key, value]) => [key, base64(value)])),
    ...(data?.length && { data: base64(data) }),
  };
}
