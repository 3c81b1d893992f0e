import { status } from '@grpc/grpc-js';
import { isGrpcServiceError } from '@temporalio/client';
import { CodedError } from '../errors.ts';

/**
 * Makes a call to Temporal.
 *
 * @throws CodedError UNAVAILABLE if Temporal does not answer; other errors of the call are passed on as they are
 */
export async function mapTemporalErrors<T>(call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    if (!isUnanswered(error)) throw error;
    throw new CodedError('UNAVAILABLE', 'Temporal cannot be reached. Is it running? See TEMPORAL_ADDRESS.', {
      cause: error,
    });
  }
}

/** Whether a call failed with UNAVAILABLE or DEADLINE_EXCEEDED. */
export function isUnanswered(error: unknown): boolean {
  const cause = error instanceof Error && isGrpcServiceError(error.cause) ? error.cause : error;
  return isGrpcServiceError(cause) && (cause.code === status.UNAVAILABLE || cause.code === status.DEADLINE_EXCEEDED);
}
