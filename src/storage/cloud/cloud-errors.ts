import { CodedError, type CodeName } from '../../errors.ts';
import { withoutSecrets } from '../../secrets.ts';
import { networkFailure } from '../http/network-failure.ts';
import { OverlongBodyError, TruncatedBodyError } from '../http/read-body.ts';
import { StatusError } from '../http/responses.ts';
import { requestedWaitMs } from '../http/retries.ts';
import { credentialsAdvice } from '../proxy/proxy-error.ts';

/** What an error response states. */
export interface Refusal {
  /** The service's own code, such as `BlobNotFound`. */
  code: string;
  message: string;
  /** The code and explanation if the service's own code determines them. */
  known?: [CodeName, string];
  /** The credentials are invalid or expired; they do not merely lack a permission. */
  isBadCredential?: boolean;
  /** What to do if access is denied. */
  advice?: string;
}

/** Describes the failed call in error messages. */
export interface CloudCall {
  /** Start of the message: `cannot read gs://bucket/key`. */
  failed: string;
  /** The service or the endpoint. */
  where: string;
  /** The credentials that were used. */
  credentials: string;
  refusal: (error: StatusError) => Refusal;
}

/**
 * Converts the error of a request, after its retries, to the error that users see.
 *
 * `UNAUTHENTICATED` and `PERMISSION_DENIED` name the credentials, `UNAVAILABLE` and `DEADLINE_EXCEEDED` name the endpoint.
 * `RESOURCE_EXHAUSTED` means throttling, with the server's Retry-After if there is one.
 */
export function cloudError(error: unknown, { failed, where, credentials, refusal }: CloudCall): CodedError {
  if (error instanceof CodedError) return error;
  const broken = networkFailure(error, failed, where);
  if (broken !== undefined) return broken;
  const coded = (code: CodeName, text: string) =>
    new CodedError(code, `${failed}: ${text}`, { cause: error, retryAfterMs: requestedWaitMs(error) || undefined });
  if (error instanceof TruncatedBodyError || error instanceof OverlongBodyError) {
    return coded('UNAVAILABLE', `every response of ${where} was truncated or too long (${error.message})`);
  }
  if (!(error instanceof StatusError)) return coded('INTERNAL', withoutSecrets(String(error)));
  const { status } = error;
  const { code, message, known, isBadCredential, advice } = refusal(error);
  const what = withoutSecrets([status, code, message].filter(Boolean).join(' ')).replace(/\s+/g, ' ').slice(0, 400);
  if (known !== undefined) return coded(...known);
  if (status === 407) return coded('FAILED_PRECONDITION', `a proxy responded with 407, ${credentialsAdvice()}`);
  if (status === 429) return coded('RESOURCE_EXHAUSTED', `${where} throttles requests (${what})`);
  if (isBadCredential || status === 401) return coded('UNAUTHENTICATED', `${where} rejected ${credentials} (${what})`);
  if (status === 403) {
    return coded(
      'PERMISSION_DENIED',
      `${where} denied access to ${credentials} (${what})${advice ? `. ${advice}` : ''}`,
    );
  }
  if (status === 404) return coded('NOT_FOUND', `there is no such object at ${where} (${what})`);
  if (status >= 500) return coded(status === 501 ? 'UNIMPLEMENTED' : 'UNAVAILABLE', `${where} failed (${what})`);
  if (status >= 400) return coded('FAILED_PRECONDITION', `${where} rejected the request (${what})`);
  if (status >= 300) return coded('FAILED_PRECONDITION', `${where} redirects elsewhere (${what})`);
  return coded('FAILED_PRECONDITION', `${where} sent an unexpected response (${what}): is the endpoint correct?`);
}
