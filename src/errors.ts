/** Names of gRPC status codes (https://grpc.io/docs/guides/status-codes/), as failures and job records contain them. */
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
 * An error whose code decides what can be done about it.
 *
 * `DATA_LOSS` means corrupt or missing metadata. `UNAVAILABLE`, `DEADLINE_EXCEEDED` and `RESOURCE_EXHAUSTED` are worth a retry.
 * The message names the thing, what was found and what to do, and never contains a secret.
 */
export class CodedError extends Error {
  override readonly name = 'CodedError';
  readonly code: CodeName;
  /** The wait in milliseconds that the server requested (Retry-After). */
  readonly retryAfterMs?: number;

  constructor(code: CodeName, message: string, options: { cause?: unknown; retryAfterMs?: number } = {}) {
    super(message, options.cause === undefined ? undefined : { cause: options.cause });
    this.code = code;
    if (options.retryAfterMs !== undefined) this.retryAfterMs = options.retryAfterMs;
  }
}
