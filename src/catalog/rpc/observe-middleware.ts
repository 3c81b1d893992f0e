import type { CallContext, ServerMiddlewareCall } from 'nice-grpc';
import { ServerError, Status } from 'nice-grpc';
import { callSpan } from '../../telemetry/tracing/call-span.ts';
import { methodName, readsOnly } from '../../telemetry/tracing/grpc-method.ts';
import type { Carrier } from '../../telemetry/tracing/spans.ts';
import { currentTracing } from '../../telemetry/tracing/tracing.ts';
import type { CatalogMetrics } from '../core/metrics.ts';

/** Measures the time of every call. It must be the outermost middleware, so that it sees the codes that clients receive. */
export function timeCalls(metrics: CatalogMetrics) {
  return async function* timed<Request, Response>(
    call: ServerMiddlewareCall<Request, Response>,
    context: CallContext,
    // biome-ignore lint/suspicious/noConfusingVoidType: the type of nice-grpc's middlewares.
  ): AsyncGenerator<Response, Response | void, undefined> {
    const start = performance.now();
    let code = 'OK';
    try {
      return yield* call.next(call.request, context);
    } catch (error) {
      code = codeOf(error, context.signal);
      throw error;
    } finally {
      metrics.called(methodName(call.method.path), code, (performance.now() - start) / 1000);
    }
  };
}

function codeOf(error: unknown, signal: AbortSignal): string {
  if (error instanceof ServerError) return Status[error.code] ?? 'UNKNOWN';
  return signal.aborted ? 'CANCELLED' : 'UNKNOWN';
}

/** Creates a span for each call, in the trace that its metadata names. Without such a trace, calls that only read are not traced. */
export async function* traceCalls<Request, Response>(
  call: ServerMiddlewareCall<Request, Response>,
  context: CallContext,
  // biome-ignore lint/suspicious/noConfusingVoidType: the type of nice-grpc's middlewares.
): AsyncGenerator<Response, Response | void, undefined> {
  const traceparent = context.metadata.get('traceparent');
  const { path } = call.method;
  if (!currentTracing() || (traceparent === undefined && readsOnly(path)))
    return yield* call.next(call.request, context);
  const parent: Carrier = { traceparent, tracestate: context.metadata.get('tracestate') };
  // biome-ignore lint/suspicious/noConfusingVoidType: the type of nice-grpc's middlewares.
  return yield* callSpan<Response, Response | void>(path, 'server', parent, () => call.next(call.request, context));
}
