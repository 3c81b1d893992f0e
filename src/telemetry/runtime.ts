import { Runtime } from '@temporalio/worker';
import type { Logger } from 'pino';
import { CodedError } from '../errors.ts';
import { splitAddress } from './http/http-endpoint.ts';
import { inScope } from './tracing/scope.ts';
import { HISTOGRAM_BUCKETS, installWorkerMetrics } from './worker-metrics.ts';

let installed = false;

/**
 * Sets the SDK's runtime up, once a process: its log lines, those of its native part too, go where ours go, and its metrics and the
 * worker's own are served to Prometheus at `metricsAddress` (path `/metrics`), where there is one.
 *
 * @throws CodedError UNAVAILABLE where the address cannot be listened on
 */
export function installRuntime(options: { logger: Logger; metricsAddress?: string }): void {
  if (installed) return;
  installed = true;
  const { logger, metricsAddress } = options;
  const write = (level: Level, message: string, meta: object = {}) =>
    // Lines are handed over later, from wherever: not from what is being done then.
    inScope({ fields: {} }, () => logger[level](renameFields(meta), message));
  try {
    Runtime.install({
      logger: {
        log: (level, message, meta) => write(LEVELS[level], message, meta),
        trace: (message, meta) => write('trace', message, meta),
        debug: (message, meta) => write('debug', message, meta),
        info: (message, meta) => write('info', message, meta),
        warn: (message, meta) => write('warn', message, meta),
        error: (message, meta) => write('error', message, meta),
      },
      telemetryOptions: {
        logging: { filter: { core: 'WARN', other: 'ERROR' }, forward: {} },
        ...(metricsAddress === undefined
          ? {}
          : { metrics: { prometheus: prometheus(metricsAddress), attachServiceName: false } }),
      },
      // The command that runs the worker decides what signals do.
      shutdownSignals: [],
    });
  } catch (cause) {
    if (metricsAddress === undefined) throw cause;
    throw new CodedError(
      'UNAVAILABLE',
      `RECONCILER_METRICS_ADDRESS=${metricsAddress} cannot be listened on: ${(cause as Error).message}`,
      { cause },
    );
  }
  if (metricsAddress !== undefined) installWorkerMetrics(Runtime.instance().metricMeter);
}

/** What the SDK forwards its log lines by keeps the process alive. */
export async function closeRuntime(): Promise<void> {
  if (!installed) return;
  installed = false;
  await Runtime.instance().shutdown();
}

type Level = 'trace' | 'debug' | 'info' | 'warn' | 'error';
const LEVELS = { TRACE: 'trace', DEBUG: 'debug', INFO: 'info', WARN: 'warn', ERROR: 'error' } as const;

/** As Prometheus wants names: counters end in `_total`, times are seconds. */
function prometheus(address: string) {
  const { host, port } = splitAddress(address);
  // The SDK takes nothing but numbers.
  const ip = host === 'localhost' ? '127.0.0.1' : host.includes(':') ? `[${host}]` : host;
  return {
    bindAddress: `${ip}:${port}`,
    countersTotalSuffix: true,
    unitSuffix: true,
    useSecondsForDurations: true,
    histogramBucketOverrides: HISTOGRAM_BUCKETS,
  };
}

/** Lines of the SDK are found by the same fields as ours. */
function renameFields(meta: object): object {
  const { workflowId, activityType, error, ...rest } = meta as Record<string, unknown>;
  return {
    ...rest,
    ...(workflowId !== undefined && { job: workflowId }),
    ...(activityType !== undefined && { activity: activityType }),
    // As pino writes errors.
    ...(error !== undefined && { err: error }),
  };
}
