import { CodedError, type CodeName } from '../../errors.ts';
import { withoutSecrets } from '../../secrets.ts';
import { retryAfterMs } from '../retry-after.ts';
import { RetryAfterError } from './request-handler.ts';

/** What an error says of the call that failed. */
export interface AwsCall {
  /** Begins the message: `cannot read s3://bucket/key`. */
  failed: string;
  /** The endpoint, or service and region: `http://127.0.0.1:5000`, `S3 in eu-west-1`. */
  where: string;
  /** Which credentials were used: see `credentialsName`. */
  credentials: string;
}

/** The parts of the SDK's errors that are looked at. Any of them may be missing. */
export interface AwsError {
  name?: string;
  message?: string;
  /** Of Node, for errors of the network. */
  code?: string;
  $metadata?: { httpStatusCode?: number; attempts?: number };
  $response?: { headers?: Record<string, string> };
  cause?: unknown;
}

/** Codes of AWS's services for credentials that are not (or no longer) good. */
export const BAD_CREDENTIALS =
  /^(InvalidAccessKeyId|SignatureDoesNotMatch|InvalidSignatureException|IncompleteSignature(Exception)?|ExpiredToken(Exception)?|InvalidToken|InvalidClientTokenId|UnrecognizedClientException|MissingAuthenticationToken(Exception)?|MissingSecurityHeader|TokenRefreshRequired|RequestTimeTooSkewed|RequestExpired|AuthFailure|NotSignedUp|CredentialsProviderError|TokenProviderError|AuthorizationHeaderMalformed)$/;
const THROTTLED =
  /^(SlowDown|Throttling(Exception)?|Throttled(Exception)?|RequestThrottled(Exception)?|TooManyRequests(Exception)?|RequestLimitExceeded|BandwidthLimitExceeded|ProvisionedThroughputExceededException|LimitExceededException)$/;
const NETWORK =
  /^(ECONNREFUSED|ECONNRESET|EPIPE|EHOSTUNREACH|ENETUNREACH|ENETDOWN|ENOTFOUND|EAI_AGAIN|ECONNABORTED|ERR_STREAM_PREMATURE_CLOSE)$/;
const CERTIFICATE = /CERT|SELF_SIGNED|UNABLE_TO_|ERR_TLS/;

/**
 * What the AWS SDK threw, as the error that people see. Its own retries are over by then.
 *
 * `UNAUTHENTICATED` says which credentials were used, `UNAVAILABLE` and `DEADLINE_EXCEEDED` the endpoint; `RESOURCE_EXHAUSTED` is
 * throttling, with Retry-After if there was one.
 */
export function awsError(error: unknown, { failed, where, credentials }: AwsCall): CodedError {
  if (error instanceof CodedError) return error;
  const { name = '', code = '', message = '', $metadata, $response } = error as AwsError;
  const status = $metadata?.httpStatusCode ?? 0;
  // `Unknown`, `UnknownError`, `403`: what the SDK makes of an answer without a body.
  const details = [name, message].filter((part) => !/^(Unknown(Error)?|\d*)$/.test(part));
  const what = withoutSecrets(details.join(': ')).slice(0, 400);
  const coded = (codeName: CodeName, text: string, retryAfterMs?: number) =>
    new CodedError(codeName, `${failed}: ${text}`, { cause: error, retryAfterMs });

  if (error instanceof RetryAfterError) {
    return coded('RESOURCE_EXHAUSTED', `${where} asks to come again later (${message})`, error.retryAfterMs);
  }
  if (name === 'TimeoutError' || name === 'AbortError' || code === 'ETIMEDOUT') {
    return coded('DEADLINE_EXCEEDED', `${where} did not answer in time (${what || code})`);
  }
  if (NETWORK.test(code) || message === 'aborted') {
    return coded(
      'UNAVAILABLE',
      `${where} cannot be reached, or broke off (${code || message}). Check the endpoint and the network`,
    );
  }
  if (CERTIFICATE.test(code)) {
    return coded(
      'FAILED_PRECONDITION',
      `the certificate of ${where} is not trusted (${code}): add its CA by NODE_EXTRA_CA_CERTS`,
    );
  }
  if (code === 'EPROTO') {
    return coded('FAILED_PRECONDITION', `${where} does not speak TLS as it should: is it http:// and not https://?`);
  }
  if (THROTTLED.test(name) || status === 429) {
    return coded('RESOURCE_EXHAUSTED', `${where} asks to slow down (${what || status})`, retryAfterOf($response));
  }
  if (BAD_CREDENTIALS.test(name) || status === 401) {
    return coded('UNAUTHENTICATED', `${where} does not take ${credentials} (${what || status})`);
  }
  if (status === 403)
    return coded('PERMISSION_DENIED', `${where} does not allow it to ${credentials} (${what || status})`);
  if (status === 404) return coded('NOT_FOUND', `${where} does not have it (${what || status})`);
  if (status === 501) return coded('UNIMPLEMENTED', `${where} cannot do it (${what || status})`);
  if (status >= 500) return coded('UNAVAILABLE', `${where} failed (${what || status})`, retryAfterOf($response));
  if (status >= 400) return coded('FAILED_PRECONDITION', `${where} refused it (${status} ${what})`);
  if (status >= 300) return coded('FAILED_PRECONDITION', `${where} leads elsewhere (${status} ${what})`);
  if ($response !== undefined || status >= 200) {
    return coded('FAILED_PRECONDITION', `${where} gives answers of another kind (${what}): is the endpoint right?`);
  }
  return coded('INTERNAL', what || String(error));
}

function retryAfterOf(response: AwsError['$response']): number | undefined {
  return retryAfterMs(response?.headers?.['retry-after'], Date.now()) || undefined;
}
