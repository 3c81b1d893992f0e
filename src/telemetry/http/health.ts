import { withoutSecrets } from '../../secrets.ts';
import { type HttpEndpoint, serveHttp } from './http-endpoint.ts';

/** Resolves if something works; otherwise rejects with an error that states what is wrong. */
export type Check = (signal: AbortSignal) => Promise<void>;

/** Below the usual timeouts of orchestrators' probes. */
const CHECK_TIMEOUT_MS = 2_000;

/**
 * Serves `/healthz`, which always returns 200, and `/readyz`, which returns 200 if every check passes and otherwise 503. The body of
 * `/readyz` is a JSON object with `ok` or the error of each check, by name.
 *
 * @throws CodedError UNAVAILABLE that names RECONCILER_HEALTH_ADDRESS, if the server cannot listen on the address
 */
export function serveHealth(address: string, checks: Readonly<Record<string, Check>>): Promise<HttpEndpoint> {
  return serveHttp(address, 'RECONCILER_HEALTH_ADDRESS', {
    '/healthz': async () => ({ status: 200, contentType: 'text/plain', body: 'ok\n' }),
    '/readyz': async () => {
      const outcomes = await Promise.all(
        Object.entries(checks).map(async ([name, check]) => [name, await outcomeOf(check)] as const),
      );
      const ready = outcomes.every(([, text]) => text === 'ok');
      const body = `${JSON.stringify(Object.fromEntries(outcomes))}\n`;
      return { status: ready ? 200 : 503, contentType: 'application/json', body };
    },
  });
}

async function outcomeOf(check: Check): Promise<string> {
  const limit = AbortSignal.timeout(CHECK_TIMEOUT_MS);
  const late = new Promise<never>((_, reject) => {
    limit.addEventListener('abort', () => reject(new Error(`no answer within ${CHECK_TIMEOUT_MS / 1000} s`)), {
      once: true,
    });
  });
  try {
    await Promise.race([check(limit), late]);
    return 'ok';
  } catch (error) {
    return withoutSecrets((error as Error).message) || 'failed';
  } finally {
    late.catch(() => {});
  }
}
