import { Runtime } from '@temporalio/worker';
import type { Logger } from 'pino';
import { CodedError } from '../errors.ts';
import { splitAddress } from './http/http-endpoint.ts';
import { inScope } from './tracing/scope.ts';
import { HISTOGRAM_BUCKETS, installWorkerMetrics } from './worker-metrics.ts';

let installed = false;

/**
 * Sets up the SDK's runtime; further calls in the same process do nothing. The SDK's log lines, including those of its native part, go to
 * `logger`, except that failed calls to Temporal go to `onUnreachable`: an SDK that waits for Temporal logs several per second. If `metricsAddress` is given, its path `/metrics` serves the SDK's metrics and the worker's own to Prometheus.
 *
 * @throws CodedError UNAVAILABLE if the runtime cannot listen on the address
 */
export function installRuntime(options: {
  logger: Logger;
  metricsAddress?: string;
  onUnreachable?: (reason: string) => void;
}): void {
  if (installed) return;
  installed = true;
  const { logger, metricsAddress, onUnreachable } = options;
  const write = (level: Level, message: string, meta: object = {}) => {
    const reason = onUnreachable && unreachableReason(meta);
    if (reason !== undefined) return onUnreachable?.(reason);
    // The SDK delivers lines later, in a scope that they do not belong to.
    inScope({ fields: {} }, () => logger[isRoutine(meta, message) ? 'debug' : level](renameFields(meta), message));
  };
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
      // The command that runs the worker handles signals.
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

/** Shuts down the SDK's runtime, which would keep the process alive to forward log lines. */
export async function closeRuntime(): Promise<void> {
  if (!installed) return;
  installed = false;
  await Runtime.instance().shutdown();
}

type Level = 'trace' | 'debug' | 'info' | 'warn' | 'error';
const LEVELS = { TRACE: 'trace', DEBUG: 'debug', INFO: 'info', WARN: 'warn', ERROR: 'error' } as const;

/** Why the SDK's native part could not reach Temporal; undefined for any other line. */
export function unreachableReason(meta: object): string | undefined {
  const { sdkComponent, err, error = err } = meta as Record<string, unknown>;
  const text = String(error);
  if (sdkComponent !== 'core' || !/tonic::transport::Error|^Status \{ code: Unavailable/.test(text)) return undefined;
  const address = /ConnectError\("tcp connect error", ([^,\s]+)/.exec(text)?.[1];
  const messages = [...text.matchAll(/message: "([^"]*)"/g)].map(([, message]) => message);
  return [messages.at(-1) ?? text.slice(0, 200), address].filter(Boolean).join(' ');
}

/** What each worker reports whenever it starts and stops; the command that runs the workers reports it once for all of them. */
function isRoutine(meta: object, message: string): boolean {
  const { sdkComponent } = meta as Record<string, unknown>;
  return sdkComponent === 'worker' && /^(Worker state changed$|No \w+( \w+)? registered, not polling)/.test(message);
}

/** Names as Prometheus recommends: counters end in `_total`, times are in seconds. */
function prometheus(address: string) {
  const { host, port } = splitAddress(address);
  // The SDK accepts only numeric addresses.
  const ip = host === 'localhost' ? '127.0.0.1' : host.includes(':') ? `[${host}]` : host;
  return {
    bindAddress: `${ip}:${port}`,
    countersTotalSuffix: true,
    unitSuffix: true,
    useSecondsForDurations: true,
    histogramBucketOverrides: HISTOGRAM_BUCKETS,
  };
}

/** Renames the SDK's fields to those of this project's log lines. */
function renameFields(meta: object): object {
  const { workflowId, activityType, error, ...rest } = meta as Record<string, unknown>;
  return {
    ...rest,
    ...(workflowId !== undefined && { job: workflowId }),
    ...(activityType !== undefined && { activity: activityType }),
    // pino's name for errors.
    ...(error !== undefined && { err: error }),
  };
}
