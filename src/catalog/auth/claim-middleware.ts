import type { CallContext, ServerMiddlewareCall } from 'nice-grpc';
import { CLAIM_METADATA, parseClaim } from '../../contract/claim.ts';
import { CodedError } from '../../errors.ts';
import { eachStep } from '../../telemetry/tracing/each-step.ts';
import { requireClaimOn, underClaim } from '../store/database/claim-fence.ts';
import { claimedConnectorOf } from './claim-rules.ts';

/**
 * Runs each call under the claim that its metadata carries, if any, so that its writes are refused once the claim is lost. What a worker writes
 * for a connector is refused without that connector's claim; see claim-rules.ts.
 */
export async function* fenceCalls<Request, Response>(
  call: ServerMiddlewareCall<Request, Response>,
  context: CallContext,
  // biome-ignore lint/suspicious/noConfusingVoidType: the type of nice-grpc's middlewares.
): AsyncGenerator<Response, Response | void, undefined> {
  const text = context.metadata.get(CLAIM_METADATA);
  const claim = text === undefined ? undefined : parseClaim(text);
  if (text !== undefined && claim === undefined) {
    throw new CodedError(
      'INVALID_ARGUMENT',
      `metadata ${CLAIM_METADATA}: '${text.slice(0, 100)}' is not a connector id, an epoch from 1 and a run id, separated by spaces`,
    );
  }
  const connectorId = claimedConnectorOf(call.method.path, call.request);
  if (connectorId) underClaim(claim, () => requireClaimOn(connectorId));
  if (claim === undefined) return yield* call.next(call.request, context);
  // biome-ignore lint/suspicious/noConfusingVoidType: the type of nice-grpc's middlewares.
  const steps: AsyncGenerator<Response, Response | void, undefined> = call.next(call.request, context);
  return yield* eachStep(steps, (step) => underClaim(claim, step));
}
