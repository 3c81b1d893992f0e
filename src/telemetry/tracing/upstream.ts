import { workerMetrics } from '../worker-metrics.ts';
import type { Attributes } from './spans.ts';
import { currentTracing, isTraced } from './tracing.ts';

/** One HTTP request to an upstream. */
export interface UpstreamRequest {
  method: string;
  /** An absolute URL. Its query is not recorded, because it may contain a signature. */
  url: string;
  /** The operation, such as `AWSGlue.GetTables`, if the URL does not contain it. */
  action?: string;
}

/**
 * Sends a request to an upstream and records it in the worker's metrics and traces.
 *
 * @param via the client that sends the request
 * @param describe called only if the request is traced
 * @returns what `send` returns
 */
export async function observeUpstream<T>(
  via: 'rest' | 'aws' | 'azure' | 'google',
  describe: () => UpstreamRequest,
  send: () => Promise<T>,
  statusOf: (response: T) => number,
): Promise<T> {
  const metrics = workerMetrics();
  const tracing = isTraced() ? currentTracing() : undefined;
  if (metrics === undefined && tracing === undefined) return send();
  const start = performance.now();
  let status: number | undefined;
  const sendAndNoteStatus = async () => {
    const response = await send();
    status = statusOf(response);
    return response;
  };
  try {
    if (tracing === undefined) return await sendAndNoteStatus();
    const { name, attributes } = spanOf(describe());
    return await tracing.span({ name, kind: 'client', attributes }, async (span) => {
      const response = await sendAndNoteStatus();
      span.set({ 'http.response.status_code': status });
      return response;
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
