import { status } from '@grpc/grpc-js';
import { isGrpcServiceError } from '@temporalio/client';
import { CodedError } from '../errors.ts';

/** Temporal is away. The work can be repeated when it is back. */
export class TemporalUnreachable extends CodedError {
  constructor(message: string, options: { cause: unknown }) {
    super('UNAVAILABLE', message, options);
  }
}

/** What went wrong on the network, such as `connect ECONNREFUSED 127.0.0.1:7233`. */
export function networkReason(error: unknown): string {
  let last = error as Error;
  while (last.cause instanceof Error) last = last.cause;
  if (isGrpcServiceError(last) && last.code === status.DEADLINE_EXCEEDED) return 'no answer in time';
  // The SDK's error of a failed connection has no address; ours has.
  const text = isGrpcServiceError(last) ? last.details : (error as Error).message;
  return text.replace(/^.*Last error: (Error: )?/s, '').replace(/\. Resolution note:.*/s, '');
}

/**
 * Makes a call to Temporal.
 *
 * @throws TemporalUnreachable if Temporal does not answer; other errors of the call are passed on as they are
 */
export async function mapTemporalErrors<T>(call: () => Promise<T>): Promise<T> {
  try {
    return await call();
  } catch (error) {
    if (!isUnanswered(error)) throw error;
    throw new TemporalUnreachable('Temporal cannot be reached. Is it running? See TEMPORAL_ADDRESS.', { cause: error });
  }
}

/** Whether a call failed with UNAVAILABLE or DEADLINE_EXCEEDED. */
export function isUnanswered(error: unknown): boolean {
  const cause = error instanceof Error && isGrpcServiceError(error.cause) ? error.cause : error;
  return isGrpcServiceError(cause) && (cause.code === status.UNAVAILABLE || cause.code === status.DEADLINE_EXCEEDED);
}
