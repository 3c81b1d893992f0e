import { workerMetrics } from '../worker-metrics.ts';
import type { Attributes } from './spans.ts';
import { currentTracing, isTraced } from './tracing.ts';

/** One HTTP request to an upstream. */
export interface UpstreamRequest {
  method: string;
  /** Absolute. Of its query nothing is told: it may hold a signature. */
  url: string;
  /** What is asked for, where the address does not say it: `AWSGlue.GetTables`. */
  action?: string;
}

/**
 * Sends a request, seen by the worker's metrics and its traces.
 *
 * @param via which of the ways of speaking to upstreams
 * @param describe called only where there is a trace
 */
export async function observeUpstream<T>(
  via: 'rest' | 'aws',
  describe: () => UpstreamRequest,
  send: () => Promise<T>,
  statusOf: (answer: T) => number,
): Promise<T> {
  const metrics = workerMetrics();
  const tracing = isTraced() ? currentTracing() : undefined;
  if (metrics === undefined && tracing === undefined) return send();
  const start = performance.now();
  let status: number | undefined;
  const seen = async () => {
    const answer = await send();
    status = statusOf(answer);
    return answer;
  };
  try {
    if (tracing === undefined) return await seen();
    const { name, attributes } = spanOf(describe());
    return await tracing.span({ name, kind: 'client', attributes }, async (span) => {
      const answer = await seen();
      span.set({ 'http.response.status_code': status });
      return answer;
    });
  } finally {
    metrics?.upstreamAnswered(via, String(status ?? 'none'), (performance.now() - start) / 1000);
  }
}

/** https://opentelemetry.io/docs/specs/semconv/http/http-spans/ */
function spanOf({ method, url, action }: UpstreamRequest): { name: string; attributes: Attributes } {
  const { hostname, port, pathname } = URL.canParse(url) ? new URL(url) : { hostname: '', port: '', pathname: '' };
  return {
    name: action ?? method,
    attributes: {
      'http.request.method': method,
      'server.address': hostname,
      'server.port': port === '' ? undefined : Number(port),
      'url.path': pathname,
    },
  };
}
