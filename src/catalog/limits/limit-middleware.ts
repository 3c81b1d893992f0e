import type { CallContext, ServerMiddlewareCall } from 'nice-grpc';
import type { TenantLimits } from '../core/ports.ts';
import { currentCall } from '../identity/current-call.ts';

/**
 * Keeps the requests and open streams of each tenant within its limits. Workers and the platform role are not limited here: a worker's calls are
 * bounded by the activities that it runs at the same time, and throttling them would only delay jobs.
 */
export function limitCalls(limits: TenantLimits) {
  return async function* limited<Request, Response>(
    call: ServerMiddlewareCall<Request, Response>,
    context: CallContext,
    // biome-ignore lint/suspicious/noConfusingVoidType: the type of nice-grpc's middlewares.
  ): AsyncGenerator<Response, Response | void, undefined> {
    const { tenant, principal } = currentCall() ?? {};
    const isLimited =
      tenant !== undefined && !principal?.roles.some((role) => role === 'worker' || role === 'platform');
    if (!isLimited) return yield* call.next(call.request, context);
    await limits.admit(tenant);
    if (!call.requestStream && !call.responseStream) return yield* call.next(call.request, context);
    const close = await limits.openStream(tenant);
    try {
      return yield* call.next(call.request, context);
    } finally {
      close();
    }
  };
}
