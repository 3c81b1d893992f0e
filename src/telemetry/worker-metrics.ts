import { type IntervalHistogram, monitorEventLoopDelay } from 'node:perf_hooks';
import type { MetricMeter } from '@temporalio/common';

/** Upper bounds of the histogram buckets in seconds, for the endpoint's settings. */
export const HISTOGRAM_BUCKETS = {
  reconciler_worker_upstream_request_seconds: [0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60],
};

const GAUGE_INTERVAL_MS = 10_000;

interface WorkerMetrics {
  upstreamAnswered(via: string, status: string, seconds: number): void;
  activityFailed(activity: string, code: string): void;
  /** An attempt to deliver an alert to a webhook. `failed` is retried, `refused` is not. */
  alertSent(type: string, outcome: 'delivered' | 'failed' | 'refused'): void;
  /** Stops updating the gauges. */
  stop(): void;
}

let metrics: WorkerMetrics | undefined;

/** The worker's own metrics, beside those of the SDK; undefined if metrics are not served. */
export const workerMetrics = (): WorkerMetrics | undefined => metrics;

/** Creates the worker's metrics with the meter whose metrics the SDK's endpoint serves. */
export function installWorkerMetrics(meter: MetricMeter): WorkerMetrics {
  metrics?.stop();
  const requests = meter.createCounter(
    'reconciler_worker_upstream_requests',
    undefined,
    'HTTP requests to upstream catalogs and storage, each attempt counted',
  );
  const seconds = meter.createHistogram(
    'reconciler_worker_upstream_request_seconds',
    'float',
    undefined,
    'Time until the response of an upstream',
  );
  const failures = meter.createCounter(
    'reconciler_worker_activity_failures',
    undefined,
    'Failed attempts of activities, by the code of the error',
  );
  const alerts = meter.createCounter(
    'reconciler_worker_alerts',
    undefined,
    'Attempts to deliver alerts about jobs to webhooks, by outcome',
  );
  const stop = updateGauges(meter);
  metrics = {
    upstreamAnswered(via, status, duration) {
      requests.add(1, { via, status });
      seconds.record(duration, { via });
    },
    activityFailed: (activity, code) => failures.add(1, { activity, code }),
    alertSent: (type, outcome) => alerts.add(1, { type, outcome }),
    stop,
  };
  return metrics;
}

function updateGauges(meter: MetricMeter): () => void {
  const delay = meter.createGauge(
    'reconciler_worker_event_loop_delay_seconds',
    'float',
    undefined,
    'Delay of timers, 99th percentile of the last ten seconds',
  );
  const memory = meter.createGauge(
    'reconciler_worker_resident_memory_bytes',
    'int',
    undefined,
    'Resident memory of the process',
  );
  const delays: IntervalHistogram = monitorEventLoopDelay({ resolution: 20 });
  delays.enable();
  const set = () => {
    // The delay is in nanoseconds and includes the sampling interval of 20 ms.
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
