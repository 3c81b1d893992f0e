import { workerMetrics } from './worker-metrics.ts';

/** One HTTP request to an upstream. */
export interface UpstreamRequest {
  /** Which of the ways of speaking to upstreams. */
  via: 'rest' | 'aws';
}

/** Sends a request, seen by the worker's metrics. */
export async function observed<T>(
  { via }: UpstreamRequest,
  send: () => Promise<T>,
  statusOf: (answer: T) => number,
): Promise<T> {
  const metrics = workerMetrics();
  if (metrics === undefined) return send();
  const start = performance.now();
  let status = 'none';
  try {
    const answer = await send();
    status = String(statusOf(answer));
    return answer;
  } finally {
    metrics.upstreamAnswered(via, status, (performance.now() - start) / 1000);
  }
}
