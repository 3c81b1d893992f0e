import { AsyncLocalStorage } from 'node:async_hooks';
import type { CallOptions, ClientMiddlewareCall } from 'nice-grpc';
import { Metadata } from 'nice-grpc';
import { ErrorInfo, RichClientError } from 'nice-grpc-error-details';
import { CLAIM_LOST, CLAIM_METADATA, type Claim, ERROR_DOMAIN, formatClaim } from '../contract/claim.ts';

const claims = new AsyncLocalStorage<Claim>();

/** Does work whose calls to the catalog carry the claim: the catalog refuses their writes once the claim is lost (see `isClaimLost`). */
export function withClaim<T>(claim: Claim, work: () => T): T {
  return claims.run(claim, work);
}

/** Whether the catalog refused a call because its claim has ended or has passed to another run: this run must stop. */
export function isClaimLost(error: unknown): boolean {
  return error instanceof RichClientError && error.extra.some(isClaimLostInfo);
}

function isClaimLostInfo(detail: RichClientError['extra'][number]): boolean {
  if (detail.$type !== ErrorInfo.$type) return false;
  const { reason, domain } = detail as ErrorInfo;
  return reason === CLAIM_LOST && domain === ERROR_DOMAIN;
}

/** Client middleware: attaches the claim of the work that makes the call. */
export async function* attachClaim<Request, Response>(
  call: ClientMiddlewareCall<Request, Response>,
  options: CallOptions,
  // biome-ignore lint/suspicious/noConfusingVoidType: the type of nice-grpc's middlewares.
): AsyncGenerator<Response, Response | void, undefined> {
  const claim = claims.getStore();
  if (claim === undefined) return yield* call.next(call.request, options);
  const metadata = Metadata(options.metadata).set(CLAIM_METADATA, formatClaim(claim));
  return yield* call.next(call.request, { ...options, metadata });
}
