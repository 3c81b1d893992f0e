import { AsyncLocalStorage } from 'node:async_hooks';
import type { CallOptions, ClientMiddlewareCall } from 'nice-grpc';
import { Metadata } from 'nice-grpc';
import { DEFAULT_TENANT, TENANT_METADATA } from '../contract/tenant.ts';

const tenants = new AsyncLocalStorage<string>();

/** Does work whose calls to the catalog are the tenant's. */
export function withTenant<T>(tenant: string, work: () => T): T {
  return tenants.run(tenant, work);
}

/** The tenant of the work in progress. */
export function currentTenant(): string {
  return tenants.getStore() ?? DEFAULT_TENANT;
}

/** Client middleware: names the tenant of the work that makes the call, otherwise `byDefault`, if there is one. */
export function attachTenant(byDefault: string | undefined) {
  return async function* attach<Request, Response>(
    call: ClientMiddlewareCall<Request, Response>,
    options: CallOptions,
    // biome-ignore lint/suspicious/noConfusingVoidType: the type of nice-grpc's middlewares.
  ): AsyncGenerator<Response, Response | void, undefined> {
    const tenant = tenants.getStore() ?? byDefault;
    if (tenant === undefined) return yield* call.next(call.request, options);
    const metadata = Metadata(options.metadata).set(TENANT_METADATA, tenant);
    return yield* call.next(call.request, { ...options, metadata });
  };
}
