import { type IntervalHistogram, monitorEventLoopDelay } from 'node:perf_hooks';
import type { MetricMeter } from '@temporalio/common';

/** Bounds of the buckets, for the endpoint's settings: 5 ms to a minute. */
export const HISTOGRAM_BUCKETS = {
  reconciler_worker_upstream_request_seconds: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60],
};

const GAUGE_INTERVAL_MS = 10_000;

interface WorkerMetrics {
  upstreamAnswered(via: string, status: string, seconds: number): void;
  activityFailed(activity: string, code: string): void;
  /** A webhook was told, or was not; `failed` is tried again, `refused` is not. */
  alertSent(type: string, outcome: 'delivered' | 'failed' | 'refused'): void;
  /** The gauges are not kept any more. */
  stop(): void;
}

let metrics: WorkerMetrics | undefined;

/** What a worker counts, beside what the SDK counts of it; nothing where it has no endpoint. */
export const workerMetrics = (): WorkerMetrics | undefined => metrics;

/** From now on the worker's metrics are kept by this meter, which the SDK's endpoint serves. */
export function installWorkerMetrics(meter: MetricMeter): WorkerMetrics {
  metrics?.stop();
  const requests = meter.createCounter(
    'reconciler_worker_upstream_requests',
    undefined,
    'HTTP requests made to upstream catalogs and storage, every attempt',
  );
  const seconds = meter.createHistogram(
    'reconciler_worker_upstream_request_seconds',
    'float',
    undefined,
    'Time until an upstream answered',
  );
  const failures = meter.createCounter(
    'reconciler_worker_activity_failures',
    undefined,
    'Attempts of activities that failed, by the code of the error',
  );
  const alerts = meter.createCounter(
    'reconciler_worker_alerts',
    undefined,
    'Attempts at telling webhooks how jobs ended, by what became of them',
  );
  const stop = keepGauges(meter);
  metrics = {
    upstreamAnswered(via, status, took) {
      requests.add(1, { via, status });
      seconds.record(took, { via });
    },
    activityFailed: (activity, code) => failures.add(1, { activity, code }),
    alertSent: (type, outcome) => alerts.add(1, { type, outcome }),
    stop,
  };
  return metrics;
}

function keepGauges(meter: MetricMeter): () => void {
  const delay = meter.createGauge(
    'reconciler_worker_event_loop_delay_seconds',
    'float',
    undefined,
    'How late timers ran, 99th percentile of the last ten seconds',
  );
  const memory = meter.createGauge(
    'reconciler_worker_resident_memory_bytes',
    'int',
    undefined,
    'Memory of the process',
  );
  const delays: IntervalHistogram = monitorEventLoopDelay({ resolution: 20 });
  delays.enable();
  const set = () => {
    // Nanoseconds; without the sampling interval itself.
    delay.set(Math.max(0, delays.percentile(99) / 1e9 - 0.02));
    delays.reset();
    memory.set(process.memoryUsage.rss());
  };
  set();
  const timer = setInterval(set, GAUGE_INTERVAL_MS).unref();
  return () => {
    clearInterval(timer);
    delays.disable();
  };
}
