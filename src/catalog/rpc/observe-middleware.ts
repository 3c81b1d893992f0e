import type { CallContext, ServerMiddlewareCall } from 'nice-grpc';
import { ServerError, Status } from 'nice-grpc';
import type { CatalogMetrics } from '../metrics.ts';

/** Times every call; the outermost of the middlewares, so that it sees the codes that clients see. */
export function observeMiddleware(metrics: CatalogMetrics) {
  return async function* observe<Request, Response>(
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

/** `/reconciler.v1.Connectors/TriggerReconcile` is `Connectors/TriggerReconcile`. */
export const methodName = (path: string): string => path.replace(/^\/(reconciler\.v1\.)?/, '');

function codeOf(error: unknown, signal: AbortSignal): string {
  if (error instanceof ServerError) return Status[error.code] ?? 'UNKNOWN';
  return signal.aborted ? 'CANCELLED' : 'UNKNOWN';
}
