import { pipeline, type Readable, Transform } from 'node:stream';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import { CodedError } from '../../errors.ts';
import { observeUpstream } from '../../telemetry/tracing/upstream.ts';
import { Connections } from '../proxy/connections.ts';
import type { ForwardProxy } from '../proxy/proxy.ts';
import { retryAfterMs } from '../retry-after.ts';
import type { Usage } from '../usage.ts';
import { ProxiedSender } from './proxied-sender.ts';

// This package decides which versions of Node it supports. The SDK would print its own warning at each command's start.
process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED ??= 'true';

/** Maximum connections to one host, shared by all clients. */
export const MAX_SOCKETS = 64;
const CONNECT_TIMEOUT_MS = 5_000;
/** Maximum time without a byte in either direction. */
const SOCKET_TIMEOUT_MS = 30_000;

/** The longest Retry-After that the SDK waits for. */
const MAX_WAIT_MS = 5_000;

/** Limit for responses that are not objects. A page of an S3 listing has under 5 MB; 100 Glue tables of 2,000 columns have about 40 MB. */
const MAX_RESPONSE_BYTES = 64 * 1024 * 1024;

const connections = new Connections(MAX_SOCKETS);
const workersOwn = new Connections(MAX_SOCKETS, { isWorkersOwn: true });

export interface HandlerSettings {
  /** The connector's own proxy. Without it, this process's settings apply. */
  proxy?: ForwardProxy;
  /** See `HttpSettings`. */
  isWorkersOwn?: boolean;
  connectTimeoutMs?: number;
  /** Maximum time without a byte. */
  socketTimeoutMs?: number;
  /** Maximum time for one attempt, including the response body. Do not set it for objects, which may be large. */
  attemptMs?: number;
}

type HandlerOptions = NonNullable<Parameters<NodeHttpHandler['handle']>[1]>;

/** Options that a call passes to `client.send`, so that its requests are counted. */
export interface CallOptions extends HandlerOptions {
  usage?: Usage;
  /** The caller reads the body of a successful response as a stream, and counts its bytes. */
  streamed?: boolean;
  /** `first` is true while the first attempt, already admitted by the gate of `usage`, has not started. */
  admitted?: { first: boolean };
  /** The outcome of an attempt that this handler made before the SDK. The SDK receives it as its first attempt. */
  earlier?: { outcome?: ReturnType<NodeHttpHandler['handle']> };
}

/**
 * Waits until a request may be sent. Call it before the request is signed and its time limit starts, and pass the result on in the call's
 * options; further attempts wait by themselves.
 */
export async function admit({ gate }: Pick<Usage, 'gate'>): Promise<Pick<CallOptions, 'admitted'>> {
  if (gate === undefined) return {};
  await gate();
  return { admitted: { first: true } };
}

/** The server requested a longer wait than this process waits for. The caller retries later, without holding resources. */
export class RetryAfterError extends Error {
  override readonly name = 'RetryAfterError';
  readonly retryAfterMs: number;

  constructor(status: number, retryAfterMs: number) {
    super(`${status}, Retry-After ${Math.ceil(retryAfterMs / 1000)} s`);
    this.retryAfterMs = retryAfterMs;
  }
}

/**
 * Returns a request handler for any AWS client; all handlers share their connections. It counts requests and bytes in the `usage` that a
 * call passes in the options of `client.send`.
 */
export function awsRequestHandler(settings: HandlerSettings = {}): NodeHttpHandler {
  return new CountingHandler(settings);
}

class CountingHandler extends NodeHttpHandler {
  readonly #attemptMs?: number;
  readonly #sender: ProxiedSender;

  constructor(settings: HandlerSettings) {
    super();
    this.#attemptMs = settings.attemptMs;
    this.#sender = new ProxiedSender(settings.isWorkersOwn ? workersOwn : connections, settings, {
      connectionTimeout: settings.connectTimeoutMs ?? CONNECT_TIMEOUT_MS,
      socketTimeout: settings.socketTimeoutMs ?? SOCKET_TIMEOUT_MS,
    });
  }

  override async handle(
    request: Parameters<NodeHttpHandler['handle']>[0],
    options: CallOptions = {},
  ): ReturnType<NodeHttpHandler['handle']> {
    const { usage, streamed, earlier } = options;
    if (earlier?.outcome !== undefined) {
      const { outcome } = earlier;
      earlier.outcome = undefined;
      return outcome;
    }
    if (usage?.gate !== undefined) {
      if (options.admitted?.first) options.admitted.first = false;
      else await usage.gate();
    }
    if (usage !== undefined) usage.requests++;
    const limit = this.#attemptMs === undefined ? undefined : AbortSignal.timeout(this.#attemptMs);
    // The SDK retries errors with this name.
    const timeoutError = () =>
      Object.assign(new Error(`no response within ${(this.#attemptMs ?? 0) / 1000} s`), { name: 'TimeoutError' });
    const send = () =>
      this.#sender.send(request, limit ? { ...options, abortSignal: anySignal(limit, options) } : options);
    const result = await observeUpstream(
      'aws',
      () => describe(request),
      send,
      ({ response }) => response.statusCode,
    ).catch((error) => {
      throw limit?.aborted ? timeoutError() : error;
    });
    const { response } = result;
    const retryAfter = longRetryAfter(response);
    if (retryAfter !== undefined) {
      response.body?.destroy();
      throw retryAfter;
    }
    if (!streamed || response.statusCode >= 300) {
      const body = metered(response.body, usage);
      if (limit) destroyOnAbort(body, limit, timeoutError);
      response.body = body;
    }
    return result;
  }

  /** Does nothing, because other clients use the connections. */
  override destroy(): void {}
}

/** Returns an error if the Retry-After is longer than the SDK may wait. The SDK handles shorter ones itself. */
function longRetryAfter({ statusCode, headers }: { statusCode: number; headers: Record<string, string> }) {
  if (statusCode !== 429 && statusCode !== 503) return undefined;
  const waitMs = retryAfterMs(headers['retry-after'], Date.now());
  return waitMs !== undefined && waitMs > MAX_WAIT_MS ? new RetryAfterError(statusCode, waitMs) : undefined;
}

/** Describes the request for tracing. AWS's JSON APIs name the action in a header. */
function describe({ method, protocol, hostname, port, path, headers }: Parameters<NodeHttpHandler['handle']>[0]) {
  const url = `${protocol}//${hostname}${port === undefined ? '' : `:${port}`}${path}`;
  return { method, url, action: headers['x-amz-target'] };
}

function anySignal(limit: AbortSignal, { abortSignal }: HandlerOptions): AbortSignal {
  return abortSignal instanceof AbortSignal ? AbortSignal.any([limit, abortSignal]) : limit;
}

function destroyOnAbort(body: Readable, limit: AbortSignal, reason: () => Error): void {
  const end = () => void body.destroy(reason());
  limit.addEventListener('abort', end);
  body.once('close', () => limit.removeEventListener('abort', end));
  // Without a listener the error would crash the process if nobody reads the body any more.
  body.on('error', () => {});
}

/** Counts the bytes of a body, and fails if there are too many. */
function metered(body: Readable, usage: Usage | undefined): Readable {
  let length = 0;
  const through = new Transform({
    transform(chunk: Buffer, _, done) {
      if (usage !== undefined) usage.bytes += chunk.length;
      length += chunk.length;
      if (length <= MAX_RESPONSE_BYTES) done(null, chunk);
      else done(new CodedError('FAILED_PRECONDITION', `the response has more than ${MAX_RESPONSE_BYTES} bytes`));
    },
  });
  // If either stream ends, the other does too. The reader gets the errors.
  pipeline(body, through, () => {});
  return through;
}
