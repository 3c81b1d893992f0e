import { CodedError } from '../../errors.ts';
import { withoutSecrets } from '../../secrets.ts';
import { networkFailure } from '../http/network-failure.ts';
import { StatusError, statusError, textOf } from '../http/responses.ts';
import { requestedWaitMs, withRetries } from '../http/retries.ts';
import { type HttpSettings, sendRequest } from '../http/send-request.ts';

const MAX_BYTES = 1024 * 1024;

export interface TokenRequest {
  url: string;
  headers?: Readonly<Record<string, string>>;
  /** Sent as a POST. */
  form?: Readonly<Record<string, string>>;
  json?: unknown;
  /** Start of error messages: `cannot get a token for …`. */
  failed: string;
  settings: HttpSettings;
  maxAttempts?: number;
}

/**
 * The JSON that a token endpoint returns. Transient errors are retried.
 *
 * @throws CodedError `UNAUTHENTICATED` if it refuses the credentials, with its own message; `UNAVAILABLE`, `RESOURCE_EXHAUSTED` or
 *   `DEADLINE_EXCEEDED` if it may succeed later
 */
export async function requestToken(request: TokenRequest): Promise<Record<string, unknown>> {
  const text = await requestTokenText(request);
  try {
    const parsed = JSON.parse(text);
    if (typeof parsed === 'object' && parsed !== null) return parsed;
  } catch {
    // Not shown, because it may contain a token.
  }
  const { origin } = new URL(request.url);
  throw new CodedError('UNAVAILABLE', `${request.failed}: ${origin} returned something other than JSON`);
}

/** Like `requestToken`, for any text. */
export async function requestTokenText(request: TokenRequest): Promise<string> {
  const { url, headers = {}, form, json, failed, settings, maxAttempts } = request;
  const { origin, pathname, search } = new URL(url);
  const body = json === undefined ? form && new URLSearchParams(form).toString() : JSON.stringify(json);
  const type = json === undefined ? 'application/x-www-form-urlencoded' : 'application/json';
  const attempt = async () => {
    const response = await sendRequest(
      {
        method: body === undefined ? 'GET' : 'POST',
        origin,
        path: pathname + search,
        headers: { accept: 'application/json', ...(body !== undefined && { 'content-type': type }), ...headers },
        ...(body !== undefined && { body }),
      },
      settings,
    );
    if (response.statusCode !== 200) throw await statusError(response);
    return textOf(response, MAX_BYTES);
  };
  try {
    return await withRetries(attempt, maxAttempts);
  } catch (error) {
    throw tokenError(error, failed, origin);
  }
}

function tokenError(error: unknown, failed: string, where: string): CodedError {
  if (error instanceof CodedError) return error;
  const broken = networkFailure(error, failed, where);
  if (broken !== undefined) return broken;
  if (!(error instanceof StatusError)) {
    return new CodedError('UNAVAILABLE', `${failed}: ${withoutSecrets(String(error))}`, { cause: error });
  }
  const { status, body } = error;
  const what = `${status} ${errorIn(body)}`.trim();
  const coded = (code: CodedError['code'], text: string) =>
    new CodedError(code, `${failed}: ${where} ${text} (${what})`, {
      cause: error,
      retryAfterMs: requestedWaitMs(error),
    });
  if (status === 429) return coded('RESOURCE_EXHAUSTED', 'throttles requests');
  if (status >= 500 || status === 408) return coded('UNAVAILABLE', 'failed');
  return coded('UNAUTHENTICATED', 'refused the credentials');
}

/** What the response states about its error. It may repeat what was sent, so known secrets are masked. */
function errorIn(body: string): string {
  let stated = body;
  try {
    const { error, error_description: description, message } = JSON.parse(body);
    stated = [error?.message ?? error, description, message].filter((part) => typeof part === 'string').join(': ');
  } catch {
    // Not JSON.
  }
  return withoutSecrets(stated).replace(/\s+/g, ' ').trim().slice(0, 300);
}
