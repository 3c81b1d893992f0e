import { setTimeout as wait } from 'node:timers/promises';
import { ProxyError } from '../proxy/proxy-error.ts';
import { retryAfterMs } from '../retry-after.ts';
import { OverlongBodyError, TruncatedBodyError } from './read-body.ts';
import { StatusError } from './responses.ts';

/** Attempts per request. With the waits below, a throttled request fails after about 3 s. */
const MAX_ATTEMPTS = 5;
const FIRST_WAIT_MS = 200;
/** The longest wait within an activity. Temporal waits for longer times. */
const MAX_WAIT_MS = 5_000;

const RETRIED: ReadonlySet<number> = new Set([408, 429, 500, 502, 503, 504]);
const BROKEN =
  /^(ECONNREFUSED|ECONNRESET|EPIPE|EHOSTUNREACH|ENETUNREACH|ENETDOWN|ENOTFOUND|EAI_AGAIN|ECONNABORTED|ETIMEDOUT|ERR_STREAM_PREMATURE_CLOSE)$/;

/**
 * Repeats an attempt that failed with a transient error, after the server's Retry-After or a growing random wait. Both may be up to 5 s; a
 * longer Retry-After is left to the caller.
 *
 * @param maxAttempts includes the first one
 */
export async function withRetries<T>(attempt: () => Promise<T>, maxAttempts = MAX_ATTEMPTS): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await attempt();
    } catch (error) {
      if (tries >= maxAttempts || !isTransient(error)) throw error;
      const ms = requestedWaitMs(error) ?? Math.random() * FIRST_WAIT_MS * 2 ** tries;
      if (ms > MAX_WAIT_MS) throw error;
      await wait(ms);
    }
  }
}

/** The wait that the server requested. Undefined if it requested none. */
export function requestedWaitMs(error: unknown): number | undefined {
  return error instanceof StatusError ? retryAfterMs(error.headers['retry-after'], Date.now()) : undefined;
}

/** Whether another attempt may succeed. */
function isTransient(error: unknown): boolean {
  if (error instanceof StatusError) return RETRIED.has(error.status);
  if (error instanceof ProxyError) return error.isTransient;
  if (error instanceof TruncatedBodyError || error instanceof OverlongBodyError) return true;
  const { code = '', name, message } = error as NodeJS.ErrnoException;
  return name === 'TimeoutError' || BROKEN.test(code) || message === 'aborted';
}
