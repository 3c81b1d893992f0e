import type { NodeHttpHandler } from '@smithy/node-http-handler';
import { CodedError } from '../../errors.ts';
import type { Usage } from '../../storage/usage.ts';

/** A page of 100 tables of 2,000 columns each is some 40 MB. */
const MAX_ANSWER_BYTES = 128 * 1024 * 1024;
/** For one attempt, its answer's body too. */
const ATTEMPT_MS = 15_000;

type Handler = Pick<
  NodeHttpHandler,
  'handle' | 'metadata' | 'updateHttpClientConfig' | 'httpHandlerConfigs' | 'destroy'
>;

/**
 * Sends the SDK's requests through a handler that others may share, counts them and what they answer, and bounds each attempt
 * in time and size.
 */
export function meteredHandler(inner: Handler, usage: Usage, attemptMs: number = ATTEMPT_MS): Handler {
  return {
    metadata: inner.metadata,
    updateHttpClientConfig: (key, value) => inner.updateHttpClientConfig(key, value),
    httpHandlerConfigs: () => inner.httpHandlerConfigs(),
    async handle(request, options) {
      usage.requests += 1;
      const limit = AbortSignal.timeout(attemptMs);
      const given = options?.abortSignal;
      const signal = given instanceof AbortSignal ? AbortSignal.any([limit, given]) : limit;
      try {
        const { response } = await inner.handle(request, { ...options, abortSignal: signal });
        const body = await readBody(response.body, signal, usage);
        return { response: Object.assign(response, { body }) };
      } catch (error) {
        if (!limit.aborted) throw error;
        // The name tells the SDK that another attempt is worth it.
        throw Object.assign(new Error(`no answer within ${attemptMs / 1000} s`), { name: 'TimeoutError' });
      }
    },
    // The handler behind belongs to others as well.
    destroy() {},
  };
}

async function readBody(
  body: (AsyncIterable<Uint8Array> & { destroy?(): void }) | undefined,
  signal: AbortSignal,
  usage: Usage,
): Promise<Uint8Array> {
  if (body === undefined) return new Uint8Array();
  const stop = () => body.destroy?.();
  signal.addEventListener('abort', stop, { once: true });
  try {
    const chunks: Uint8Array[] = [];
    let length = 0;
    for await (const chunk of body) {
      length += chunk.length;
      usage.bytes += chunk.length;
      if (length > MAX_ANSWER_BYTES) {
        throw new CodedError('FAILED_PRECONDITION', `the answer has more than ${MAX_ANSWER_BYTES} bytes`);
      }
      chunks.push(chunk);
    }
    signal.throwIfAborted();
    return Buffer.concat(chunks, length);
  } finally {
    signal.removeEventListener('abort', stop);
    stop();
  }
}
