import type { CallContext, ServerMiddlewareCall } from 'nice-grpc';
import { ServerError, Status } from 'nice-grpc';
import { BadRequest, type ErrorDetails, ErrorInfo, RetryInfo, RichServerError } from 'nice-grpc-error-details';
import type { Logger } from 'pino';
import { CLAIM_LOST, ERROR_DOMAIN } from '../../contract/claim.ts';
import { CodedError } from '../../errors.ts';
import type { ReconcileJob } from '../../generated/reconciler/v1/jobs.ts';
import { ClaimLost } from '../store/database/claim-fence.ts';
import { isDiskFull } from '../store/database/sqlite/result-codes.ts';
import { MalformedRequest } from './definitions.ts';
import { InvalidRequest } from './violations.ts';

/**
 * Converts errors to gRPC statuses. A CodedError keeps its code and message and gets google.rpc details. Any other error is logged, and
 * the client receives INTERNAL without details.
 *
 * @param explain returns a CodedError for an error that the database explains, and other errors as they are
 */
export function errorMiddleware(logger: Logger, explain: (error: unknown) => unknown) {
  return async function* handleErrors<Request, Response>(
    call: ServerMiddlewareCall<Request, Response>,
    context: CallContext,
    // biome-ignore lint/suspicious/noConfusingVoidType: the type of nice-grpc's middlewares.
  ): AsyncGenerator<Response, Response | void, undefined> {
    try {
      if (call.request instanceof MalformedRequest) {
        throw new CodedError(
          'INVALID_ARGUMENT',
          `request is not a valid message of ${call.method.path}: ${call.request.reason}`,
        );
      }
      return yield* call.next(call.request, context);
    } catch (error) {
      throw toServerError(explain(error), { method: call.method.path, ...subjectOf(call.request) }, logger);
    }
  };
}

/** The job and connector of a request, for the log. */
function subjectOf(request: unknown): { job?: string; connectorId?: string } {
  // The messages of a client stream are not known here.
  const { jobId, connectorId, job } = (request ?? {}) as { jobId?: string; connectorId?: string; job?: ReconcileJob };
  const about = { job: jobId ?? job?.jobId, connectorId: connectorId ?? job?.connectorId };
  return { ...(about.job && { job: about.job }), ...(about.connectorId && { connectorId: about.connectorId }) };
}

function toServerError(error: unknown, about: { method: string }, logger: Logger): unknown {
  if (error instanceof CodedError) {
    logger.debug({ ...about, code: error.code, err: error.message }, 'call refused');
    return new RichServerError(Status[error.code], error.message, details(error));
  }
  // An AbortError is a call that the client cancelled.
  if (error instanceof ServerError || (error instanceof Error && error.name === 'AbortError')) return error;
  if (isDiskFull(error)) {
    logger.error({ ...about, err: error }, 'the disk of the database is full');
    return new ServerError(Status.UNAVAILABLE, DISK_FULL);
  }
  logger.error({ ...about, err: error }, 'call failed');
  return new ServerError(Status.INTERNAL, 'internal error of the catalog service; see its log');
}

/** Jobs retry their writes until there is space again. */
const DISK_FULL =
  'the disk with the database of the catalog service is full (its log names the file): free some space there; jobs then continue';

function details(error: CodedError): ErrorDetails[] {
  if (error instanceof InvalidRequest) return [BadRequest.fromPartial({ fieldViolations: [...error.violations] })];
  if (error instanceof ClaimLost) return [ErrorInfo.fromPartial({ reason: CLAIM_LOST, domain: ERROR_DOMAIN })];
  if (error.retryAfterMs !== undefined) {
    const seconds = Math.floor(error.retryAfterMs / 1000);
    return [RetryInfo.fromPartial({ retryDelay: { seconds, nanos: (error.retryAfterMs % 1000) * 1_000_000 } })];
  }
  return [];
}
