import { isGrpcServiceError } from '@temporalio/client';
import { CodedError } from '../errors.ts';

/** Makes a call to Temporal; its own errors of reach come as ours. */
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

/** UNAVAILABLE and DEADLINE_EXCEEDED of @grpc/grpc-js. */
export function isUnanswered(error: unknown): boolean {
  const cause = error instanceof Error && isGrpcServiceError(error.cause) ? error.cause : error;
  return isGrpcServiceError(cause) && (cause.code === 14 || cause.code === 4);
}
