import { activityInfo, CancelledFailure } from '@temporalio/activity';
import { ApplicationFailure, ApplicationFailureCategory } from '@temporalio/common';
import { ClientError, Status } from 'nice-grpc';
import { RetryInfo, RichClientError } from 'nice-grpc-error-details';
import { isClaimLost } from '../../catalog-client/claim.ts';
import { CLAIM_LOST } from '../../contract/claim.ts';
import { CodedError, type CodeName } from '../../errors.ts';
import { withoutSecrets } from '../../secrets.ts';
import { truncate } from '../../text.ts';

/** Codes of errors that a retry cannot resolve. */
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

/** Attempts after transient errors of the upstream. With the delays of the retry policy they take a quarter of a minute. */
export const UPSTREAM_ATTEMPTS = 5;
/** Attempts of steps that need only the catalog and Temporal: they wait for these for about five minutes. */
export const CONTROL_ATTEMPTS = 30;

/** Upper bound for the delay that an upstream requests. */
const MAX_DELAY_MS = 10 * 60_000;

/** In characters: messages become part of histories and job records. Temporal's own limit is far higher. */
const MAX_MESSAGE_LENGTH = 2_000;

/** The code's name and message of any error. */
export function describeError(error: unknown): { code: string; message: string } {
  if (error instanceof ApplicationFailure) return { code: error.type ?? 'INTERNAL', message: bounded(error.message) };
  if (error instanceof CodedError) return { code: error.code, message: bounded(error.message) };
  if (error instanceof ClientError) return { code: Status[error.code], message: bounded(error.details) };
  return { code: 'INTERNAL', message: bounded(error instanceof Error ? error.message : String(error)) };
}

/** Whether the error's code rules out that a retry succeeds. */
export function isFinal(error: unknown): boolean {
  return !isCatalogAway(error) && FINAL.has(describeError(error).code);
}

/**
 * Whether the catalog did not respond, or does not accept the worker's token: this has nothing to do with the upstream, and is worth waiting for.
 * A token that has expired is replaced while the worker runs.
 */
export function isCatalogAway(error: unknown): boolean {
  return error instanceof ClientError && AWAY.has(error.code);
}

const AWAY: ReadonlySet<Status> = new Set([Status.UNAVAILABLE, Status.CANCELLED, Status.UNAUTHENTICATED]);

/**
 * Whether the upstream asks for a later retry that the activity's next attempt will make. Until then nothing else is requested from it either.
 * False in the last attempt.
 */
export function isRetryAfter(error: unknown): boolean {
  return error instanceof CodedError && error.retryAfterMs !== undefined && !isLastAttempt();
}

/** Whether this attempt of the activity is the last one after transient errors of the upstream. */
export function isLastAttempt(): boolean {
  return activityInfo().attempt >= UPSTREAM_ATTEMPTS;
}

/** The time after which the catalog may accept what it refused because of a tenant's limits; undefined for other errors. */
function catalogWaitMs(error: unknown): number | undefined {
  if (!(error instanceof RichClientError) || error.code !== Status.RESOURCE_EXHAUSTED) return undefined;
  const info = error.extra.find((detail): detail is RetryInfo => detail.$type === RetryInfo.$type);
  return info?.retryDelay && info.retryDelay.seconds * 1000 + info.retryDelay.nanos / 1_000_000;
}

/** Whether the activity runs again after the error: not if it is final, nor after the last of `attempts`, unless the catalog is away. */
export function isRetried(error: unknown, attempt: number, attempts: number): boolean {
  // A job waits until its tenant has fewer jobs. A table that would be one too many fails.
  const waits = isCatalogAway(error) || (attempts === CONTROL_ATTEMPTS && catalogWaitMs(error) !== undefined);
  return !isFinal(error) && (waits || attempt < attempts);
}

/**
 * The error as an ApplicationFailure whose type is the name of the gRPC code. Final errors are not retried, others up to `attempts` times. An
 * unreachable catalog is waited for as long as the activity's own retry policy allows.
 */
export function toFailure(error: unknown, attempt: number, attempts: number): Error {
  if (error instanceof ApplicationFailure || error instanceof CancelledFailure) return error;
  const { code, message } = describeError(error);
  if (isClaimLost(error)) {
    // Not an error of the run: its workflow claims the connector again, or has ended.
    return ApplicationFailure.create({
      ...{ type: CLAIM_LOST, message, nonRetryable: true, category: ApplicationFailureCategory.BENIGN },
    });
  }
  const retryAfterMs = error instanceof CodedError ? error.retryAfterMs : catalogWaitMs(error);
  return ApplicationFailure.create({
    type: code,
    message: isCatalogAway(error) ? `${awayText(error)}: ${message}` : message,
    nonRetryable: !isRetried(error, attempt, attempts),
    nextRetryDelay: retryAfterMs === undefined ? undefined : Math.min(retryAfterMs, MAX_DELAY_MS),
    // Expected errors are not logged as errors of the worker.
    category: code === 'INTERNAL' ? undefined : ApplicationFailureCategory.BENIGN,
  });
}

function awayText(error: unknown): string {
  const isRefused = error instanceof ClientError && error.code === Status.UNAUTHENTICATED;
  return isRefused
    ? 'The catalog service does not accept the token of the worker'
    : 'The catalog service does not respond';
}

/** Messages become part of histories, records and logs, which must not contain secrets: an upstream's response may repeat one. */
function bounded(text: string): string {
  return truncate(withoutSecrets(text), MAX_MESSAGE_LENGTH);
}
