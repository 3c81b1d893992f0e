/** gRPC code names (https://grpc.io/docs/guides/status-codes/), as they stand in failures and job records. */
export type CodeName =
  | 'INVALID_ARGUMENT'
  | 'NOT_FOUND'
  | 'ALREADY_EXISTS'
  | 'PERMISSION_DENIED'
  | 'UNAUTHENTICATED'
  | 'FAILED_PRECONDITION'
  | 'ABORTED'
  | 'RESOURCE_EXHAUSTED'
  | 'DEADLINE_EXCEEDED'
  | 'UNAVAILABLE'
  | 'UNIMPLEMENTED'
  | 'DATA_LOSS'
  | 'INTERNAL';

/**
 * An error that says by its code what may be done about it.
 *
 * `DATA_LOSS` is corrupt or missing metadata, `UNAVAILABLE`, `DEADLINE_EXCEEDED` and `RESOURCE_EXHAUSTED` are worth another
 * try. The message names the thing, what was found and what to do, and never holds a secret.
 */
export class CodedError extends Error {
  override readonly name = 'CodedError';
  readonly code: CodeName;
  /** Milliseconds that the other side asked to wait (Retry-After). */
  readonly retryAfterMs?: number;

  constructor(code: CodeName, message: string, options: { cause?: unknown; retryAfterMs?: number } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    if (options.retryAfterMs !== undefined) this.retryAfterMs = options.retryAfterMs;
  }
}
