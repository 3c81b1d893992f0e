import { activityInfo, CancelledFailure } from '@temporalio/activity';
import { ApplicationFailure, ApplicationFailureCategory } from '@temporalio/common';
import { ClientError, Status } from 'nice-grpc';
import { CodedError, type CodeName } from '../../errors.ts';
import { withoutSecrets } from '../../secrets.ts';

/** What cannot succeed by being tried again. */
const FINAL: ReadonlySet<string> = new Set<CodeName>([
  'INVALID_ARGUMENT',
  'NOT_FOUND',
  'ALREADY_EXISTS',
  'PERMISSION_DENIED',
  'UNAUTHENTICATED',
  'FAILED_PRECONDITION',
  'DATA_LOSS',
  'UNIMPLEMENTED',
]);

/** Attempts at what may pass upstream. With the retry policy's delays that is a quarter of a minute. */
export const UPSTREAM_ATTEMPTS = 5;
/** Attempts of steps that need only the catalog and Temporal: they wait for them, for about five minutes. */
export const CONTROL_ATTEMPTS = 30;

/** An upstream that asks to come again later than this is asked again then. */
const MAX_DELAY_MS = 10 * 60_000;

/** Failure messages go into histories and job records; Temporal's limit for a failure is far above. */
const MESSAGE_LIMIT = 2_000;

/** The code's name and message of any error. */
export function describeError(error: unknown): { code: string; message: string } {
  if (error instanceof ApplicationFailure) return { code: error.type ?? 'INTERNAL', message: bounded(error.message) };
  if (error instanceof CodedError) return { code: error.code, message: bounded(error.message) };
  if (error instanceof ClientError) return { code: Status[error.code], message: bounded(error.details) };
  return { code: 'INTERNAL', message: bounded(error instanceof Error ? error.message : String(error)) };
}

/** Whether the error's code says that another try cannot succeed. */
export function isFinal(error: unknown): boolean {
  return FINAL.has(describeError(error).code);
}

/** The catalog did not answer: nothing to do with the upstream, and worth waiting for. */
export function isCatalogAway(error: unknown): boolean {
  return error instanceof ClientError && (error.code === Status.UNAVAILABLE || error.code === Status.CANCELLED);
}

/**
 * The upstream asks to come again later, and the activity's next attempt will: until then it is asked for nothing else either. Of the last
 * attempt this is not said.
 */
export function isRetryAfter(error: unknown): boolean {
  return error instanceof CodedError && error.retryAfterMs !== undefined && activityInfo().attempt < UPSTREAM_ATTEMPTS;
}

/**
 * The error as an ApplicationFailure whose type is the gRPC code's name. Not retried: what is final by its code, and
 * others after so many attempts. An unreachable catalog is waited for as long as the activity's own retry policy does.
 */
export function toFailure(error: unknown, attempt: number, attempts: number): Error {
  if (error instanceof ApplicationFailure || error instanceof CancelledFailure) return error;
  const { code, message } = describeError(error);
  const away = isCatalogAway(error);
  const retryAfterMs = error instanceof CodedError ? error.retryAfterMs : undefined;
  return ApplicationFailure.create({
    type: code,
    message: away ? `The catalog service does not answer: ${message}` : message,
    nonRetryable: FINAL.has(code) || (!away && attempt >= attempts),
    nextRetryDelay: retryAfterMs === undefined ? undefined : Math.min(retryAfterMs, MAX_DELAY_MS),
    // Expected: not to be logged as errors of the worker.
    category: code === 'INTERNAL' ? undefined : ApplicationFailureCategory.BENIGN,
  });
}

/** Failures stand in histories, records and logs, where no secret may be: what an upstream answers may repeat one. */
function bounded(text: string): string {
  const message = withoutSecrets(text);
  return message.length > MESSAGE_LIMIT ? `${message.slice(0, MESSAGE_LIMIT)}…` : message;
}
