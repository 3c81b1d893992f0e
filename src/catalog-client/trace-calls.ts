import type { CallOptions, ClientMiddlewareCall } from 'nice-grpc';
import { Metadata } from 'nice-grpc';
import { callSpan } from '../telemetry/tracing/call-span.ts';
import { readsOnly } from '../telemetry/tracing/grpc-method.ts';
import { isTraced } from '../telemetry/tracing/tracing.ts';

/** Client middleware: a span for each call, which the catalog continues. A call that only reads does not start a trace of its own. */
export async function* traceCalls<Request, Response>(
  call: ClientMiddlewareCall<Request, Response>,
  options: CallOptions,
  // biome-ignore lint/suspicious/noConfusingVoidType: the type of nice-grpc's middlewares.
): AsyncGenerator<Response, Response | void, undefined> {
  const { path } = call.method;
  if (!isTraced() && readsOnly(path)) return yield* call.next(call.request, options);
  // biome-ignore lint/suspicious/noConfusingVoidType: the type of nice-grpc's middlewares.
  return yield* callSpan<Response, Response | void>(path, 'client', undefined, (carrier) => {
    const metadata = Metadata(options.metadata);
    for (const [key, value] of Object.entries(carrier)) metadata.set(key, value);
    return call.next(call.request, { ...options, metadata });
  });
}
