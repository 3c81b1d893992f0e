import { CodedError, type CodeName } from '../../errors.ts';
import { withoutSecrets } from '../../secrets.ts';
import { networkFailure } from '../http/network-failure.ts';
import { credentialsAdvice } from '../proxy/proxy-error.ts';
import { retryAfterMs } from '../retry-after.ts';
import { RetryAfterError } from './request-handler.ts';

/** Describes the failed call in error messages. */
export interface AwsCall {
  /** Start of the message: `cannot read s3://bucket/key`. */
  failed: string;
  /** The endpoint, or service and region: `http://127.0.0.1:5000`, `S3 in eu-west-1`. */
  where: string;
  /** The credentials that were used: see `credentialsName`. */
  credentials: string;
}

/** The parts of the SDK's errors that are used here. Any of them may be missing. */
export interface AwsError {
  name?: string;
  message?: string;
  /** Node's code of a network error. */
  code?: string;
  $metadata?: { httpStatusCode?: number; attempts?: number };
  $response?: { headers?: Record<string, string> };
  cause?: unknown;
}

/** Codes of AWS services for credentials that are invalid or expired. */
export const BAD_CREDENTIALS =
  /^(InvalidAccessKeyId|SignatureDoesNotMatch|InvalidSignatureException|IncompleteSignature(Exception)?|ExpiredToken(Exception)?|InvalidToken|InvalidClientTokenId|UnrecognizedClientException|MissingAuthenticationToken(Exception)?|MissingSecurityHeader|TokenRefreshRequired|RequestTimeTooSkewed|RequestExpired|AuthFailure|NotSignedUp|CredentialsProviderError|TokenProviderError|AuthorizationHeaderMalformed)$/;

/**
 * Whether the service may have refused the credentials, so that it is worthwhile to look for others. A response to HEAD has no body and so no code,
 * and some services respond with a plain 403.
 */
export function mayBeRefused(error: unknown): boolean {
  const { name = '', $metadata } = error as AwsError;
  const status = $metadata?.httpStatusCode;
  return (
    BAD_CREDENTIALS.test(name) ||
    status === 401 ||
    status === 403 ||
    (status === 400 && /^(Unknown(Error)?|\d*)$/.test(name))
  );
}

const THROTTLED =
  /^(SlowDown|Throttling(Exception)?|Throttled(Exception)?|RequestThrottled(Exception)?|TooManyRequests(Exception)?|RequestLimitExceeded|BandwidthLimitExceeded|ProvisionedThroughputExceededException|LimitExceededException)$/;

/**
 * Converts an error of the AWS SDK, after the SDK's own retries, to the error that users see.
 *
 * `UNAUTHENTICATED` names the credentials, `UNAVAILABLE` and `DEADLINE_EXCEEDED` name the endpoint. `RESOURCE_EXHAUSTED` means throttling,
 * with the server's Retry-After if there is one.
 */
export function awsError(error: unknown, { failed, where, credentials }: AwsCall): CodedError {
  if (error instanceof CodedError) return error;
  const { name = '', message = '', $metadata, $response } = error as AwsError;
  const status = $metadata?.httpStatusCode ?? 0;
  // The SDK reports `Unknown`, `UnknownError` or `403` for a response without a body.
  const details = [name, message].filter((part) => !/^(Unknown(Error)?|\d*)$/.test(part));
  const what = withoutSecrets(details.join(': ')).slice(0, 400);
  const coded = (codeName: CodeName, text: string, retryAfterMs?: number) =>
    new CodedError(codeName, `${failed}: ${text}`, { cause: error, retryAfterMs });

  if (error instanceof RetryAfterError) {
    return coded('RESOURCE_EXHAUSTED', `${where} requests a longer wait (${message})`, error.retryAfterMs);
  }
  const broken = networkFailure(error, failed, where);
  if (broken !== undefined) return broken;
  if (THROTTLED.test(name) || status === 429) {
    return coded('RESOURCE_EXHAUSTED', `${where} throttles requests (${what || status})`, retryAfterOf($response));
  }
  if (BAD_CREDENTIALS.test(name) || status === 401) {
    return coded('UNAUTHENTICATED', `${where} rejected ${credentials} (${what || status})`);
  }
  if (status === 407) return coded('FAILED_PRECONDITION', `a proxy responded with 407, ${credentialsAdvice()}`);
  if (status === 403) return coded('PERMISSION_DENIED', `${where} denied access to ${credentials} (${what || status})`);
  if (status === 404) return coded('NOT_FOUND', `not found at ${where} (${what || status})`);
  if (status === 501) return coded('UNIMPLEMENTED', `${where} does not support the request (${what || status})`);
  if (status >= 500) return coded('UNAVAILABLE', `${where} failed (${what || status})`, retryAfterOf($response));
  if (status >= 400) return coded('FAILED_PRECONDITION', `${where} rejected the request (${status} ${what})`);
  if (status >= 300) return coded('FAILED_PRECONDITION', `${where} redirects elsewhere (${status} ${what})`);
  if ($response !== undefined || status >= 200) {
    return coded('FAILED_PRECONDITION', `${where} sent an unexpected response (${what}): is the endpoint correct?`);
  }
  return coded('INTERNAL', what || String(error));
}

function retryAfterOf(response: AwsError['$response']): number | undefined {
  return retryAfterMs(response?.headers?.['retry-after'], Date.now()) || undefined;
}
