import { withoutSecrets } from '../../secrets.ts';
import { type HttpEndpoint, serveHttp } from './http-endpoint.ts';

/** Says whether something works, by resolving; throws what is wrong. */
export type Check = (signal: AbortSignal) => Promise<void>;

/** Below the timeouts that orchestrators' probes usually have. */
const CHECK_TIMEOUT_MS = 2_000;

/**
 * Serves `/healthz`, which answers 200 as long as the process answers at all, and `/readyz`: 200 where every check passes, else 503,
 * with what each of them said as a JSON object.
 */
export function serveHealth(address: string, checks: Readonly<Record<string, Check>>): Promise<HttpEndpoint> {
  return serveHttp(address, 'RECONCILER_HEALTH_ADDRESS', {
    '/healthz': async () => ({ status: 200, contentType: 'text/plain', body: 'ok\n' }),
    '/readyz': async () => {
      const said = await Promise.all(
        Object.entries(checks).map(async ([name, check]) => [name, await outcome(check)] as const),
      );
      const ready = said.every(([, text]) => text === 'ok');
      const body = `${JSON.stringify(Object.fromEntries(said))}\n`;
      return { status: ready ? 200 : 503, contentType: 'application/json', body };
    },
  });
}

async function outcome(check: Check): Promise<string> {
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
