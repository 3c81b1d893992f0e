import { eachStep } from './each-step.ts';
import { currentScope, inScope } from './scope.ts';
import type { Tracing } from './spans.ts';

let tracing: Tracing | undefined;

/** Undefined if tracing is off. */
export const currentTracing = (): Tracing | undefined => tracing;

/** Whether the current work belongs to a span. */
export const isTraced = (): boolean => currentScope()?.trace !== undefined;

/**
 * Starts tracing if OpenTelemetry's variables name an endpoint (OTEL_EXPORTER_OTLP_ENDPOINT or …_TRACES_ENDPOINT); otherwise loads nothing.
 * Call it before connecting to anything.
 *
 * @param service `service.name`, unless OTEL_SERVICE_NAME sets another
 */
export async function startTracing(
  service: string,
  env: NodeJS.ProcessEnv = process.env,
): Promise<Tracing | undefined> {
  const endpoint = env.OTEL_EXPORTER_OTLP_TRACES_ENDPOINT || env.OTEL_EXPORTER_OTLP_ENDPOINT;
  if (!endpoint || env.OTEL_SDK_DISABLED === 'true' || env.OTEL_TRACES_EXPORTER === 'none') return undefined;
  const { openTracing } = await import('./otlp.ts');
  tracing = openTracing(service, env);
  return tracing;
}

/** Runs each step of a generator in the scope that is current now. */
export function inThisScope<T, R>(steps: AsyncGenerator<T, R, undefined>): AsyncGenerator<T, R, undefined> {
  const scope = currentScope();
  if (scope === undefined) return steps;
  return eachStep(steps, (step) => inScope(scope, step));
}
