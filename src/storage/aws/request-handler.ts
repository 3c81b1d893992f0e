import { Agent as HttpAgent } from 'node:http';
import { Agent as HttpsAgent } from 'node:https';
import { pipeline, type Readable, Transform } from 'node:stream';
import { NodeHttpHandler } from '@smithy/node-http-handler';
import { CodedError } from '../../errors.ts';
import { observeUpstream } from '../../telemetry/tracing/upstream.ts';
import { retryAfterMs } from '../retry-after.ts';
import type { Usage } from '../usage.ts';

// Which versions of Node are good is this package's own matter: the SDK would warn at each command's start.
process.env.AWS_SDK_JS_NODE_VERSION_SUPPORT_WARNING_DISABLED ??= 'true';

/** Connections to one host at once. All clients share them. */
export const MAX_SOCKETS = 64;
const CONNECT_TIMEOUT_MS = 5_000;
/** Without a byte in either direction. */
const SOCKET_TIMEOUT_MS = 30_000;

/** Of a Retry-After that the SDK waits for. */
const MAX_WAIT_MS = 5_000;

/** Of answers that are no object: a page of S3's listings is below 5 MB, one of 100 Glue tables of 2,000 columns each some 40 MB. */
const MAX_ANSWER_BYTES = 64 * 1024 * 1024;

// Idle sockets do not keep the process alive: Node's agent takes care of that.
const httpAgent = new HttpAgent({ keepAlive: true, maxSockets: MAX_SOCKETS });
const httpsAgent = new HttpsAgent({ keepAlive: true, maxSockets: MAX_SOCKETS });

export interface Timeouts {
  connectTimeoutMs?: number;
  /** Without a byte. */
  socketTimeoutMs?: number;
  /** Of one attempt, its answer's body too. Not for objects, which may be large. */
  attemptMs?: number;
}

type HandlerOptions = NonNullable<Parameters<NodeHttpHandler['handle']>[1]>;

/** What a call gives as options to `client.send`, to be counted. */
export interface Counted extends HandlerOptions {
  usage?: Usage;
  /** The bodies of answers without an error are counted by the caller, who reads them as a stream. */
  streamed?: boolean;
  /** The first attempt has been admitted by the gate of `usage`. */
  admitted?: { first: boolean };
  /** What an attempt before the SDK's first has come to, from this same handler: it counts as that first one. */
  earlier?: { outcome?: ReturnType<NodeHttpHandler['handle']> };
}

/**
 * Waits until a request may be made; then the call's time limit may begin and its signature be made. Given on with the call's options, for
 * further attempts wait by themselves.
 */
export async function admit({ gate }: Pick<Usage, 'gate'>): Promise<Pick<Counted, 'admitted'>> {
  if (gate === undefined) return {};
  await gate();
  return { admitted: { first: true } };
}

/** The server asks to come again later than is waited for here: that is for the caller, who holds nothing meanwhile. */
export class ComeAgainError extends Error {
  override readonly name = 'ComeAgainError';
  readonly retryAfterMs: number;

  constructor(status: number, retryAfterMs: number) {
    super(`${status}, Retry-After ${Math.ceil(retryAfterMs / 1000)} s`);
    this.retryAfterMs = retryAfterMs;
  }
}

/**
 * A request handler for any AWS client, on connections that all of them share. It counts into the `usage` that a call gives in the
 * options of `client.send`.
 */
export function awsRequestHandler(timeouts: Timeouts = {}): NodeHttpHandler {
  return new CountingHandler(
    {
      httpAgent,
      httpsAgent,
      connectionTimeout: timeouts.connectTimeoutMs ?? CONNECT_TIMEOUT_MS,
      socketTimeout: timeouts.socketTimeoutMs ?? SOCKET_TIMEOUT_MS,
    },
    timeouts.attemptMs,
  );
}

class CountingHandler extends NodeHttpHandler {
  readonly #attemptMs?: number;

  constructor(options: ConstructorParameters<typeof NodeHttpHandler>[0], attemptMs?: number) {
    super(options);
    this.#attemptMs = attemptMs;
  }

  override async handle(
    request: Parameters<NodeHttpHandler['handle']>[0],
    options: Counted = {},
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
    // The name tells the SDK that another attempt is worth it.
    const late = () =>
      Object.assign(new Error(`no answer within ${(this.#attemptMs ?? 0) / 1000} s`), { name: 'TimeoutError' });
    const send = () => super.handle(request, limit ? { ...options, abortSignal: either(limit, options) } : options);
    const answer = await observeUpstream(
      'aws',
      () => describe(request),
      send,
      ({ response }) => response.statusCode,
    ).catch((error) => {
      throw limit?.aborted ? late() : error;
    });
    const { response } = answer;
    const later = comeAgain(response);
    if (later !== undefined) {
      response.body?.destroy();
      throw later;
    }
    if (!streamed || response.statusCode >= 300) {
      const body = metered(response.body, usage);
      if (limit) endWith(body, limit, late);
      response.body = body;
    }
    return answer;
  }

  /** A client that goes leaves the connections to the others. */
  override destroy(): void {}
}

/** The SDK waits for at most five seconds longer than it would by itself, and then asks again. */
function comeAgain({ statusCode, headers }: { statusCode: number; headers: Record<string, string> }) {
  if (statusCode !== 429 && statusCode !== 503) return undefined;
  const asked = retryAfterMs(headers['retry-after'], Date.now());
  return asked !== undefined && asked > MAX_WAIT_MS ? new ComeAgainError(statusCode, asked) : undefined;
}

/** Of the AWS APIs that are spoken to in JSON, a header names the action. */
function describe({ method, protocol, hostname, port, path, headers }: Parameters<NodeHttpHandler['handle']>[0]) {
  const url = `${protocol}//${hostname}${port === undefined ? '' : `:${port}`}${path}`;
  return { method, url, action: headers['x-amz-target'] };
}

function either(limit: AbortSignal, { abortSignal }: HandlerOptions): AbortSignal {
  return abortSignal instanceof AbortSignal ? AbortSignal.any([limit, abortSignal]) : limit;
}

function endWith(body: Readable, limit: AbortSignal, reason: () => Error): void {
  const end = () => void body.destroy(reason());
  limit.addEventListener('abort', end);
  body.once('close', () => limit.removeEventListener('abort', end));
  // Nobody may be reading it any more.
  body.on('error', () => {});
}

/** The body, counted; too much of it is an error. */
function metered(body: Readable, usage: Usage | undefined): Readable {
  let length = 0;
  const through = new Transform({
    transform(chunk: Buffer, _, done) {
      if (usage !== undefined) usage.bytes += chunk.length;
      length += chunk.length;
      if (length <= MAX_ANSWER_BYTES) done(null, chunk);
      else done(new CodedError('FAILED_PRECONDITION', `the answer has more than ${MAX_ANSWER_BYTES} bytes`));
    },
  });
  // Either one's end is the other's. Errors come to whoever reads.
  pipeline(body, through, () => {});
  return through;
}
