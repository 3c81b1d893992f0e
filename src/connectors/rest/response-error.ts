import { CodedError, type CodeName } from '../../errors.ts';
import { withoutSecrets } from '../../secrets.ts';
import { BAD_CREDENTIALS } from '../../storage/aws/errors.ts';
import { credentialsAdvice } from '../../storage/proxy/proxy-error.ts';
import type { HttpResponse } from './http-exchange.ts';

/** An error response of the catalog. */
export class ResponseError extends CodedError {
  readonly status: number;
  /** The content of the OpenAPI's `ErrorModel`, if the response has one. */
  readonly reported?: { message: string; type: string };

  constructor(
    code: CodeName,
    message: string,
    status: number,
    reported?: { message: string; type: string },
    retryAfterMs?: number,
  ) {
    super(code, message, { retryAfterMs });
    this.status = status;
    this.reported = reported;
  }
}

/** The server responded with something other than JSON, so it may not be a catalog. */
export class NotJsonError extends CodedError {}

/** What statuses of the OpenAPI mean, and what the user can do. */
const MEANINGS: Readonly<Record<number, [CodeName, string]>> = {
  400: ['INVALID_ARGUMENT', ''],
  401: ['UNAUTHENTICATED', "Check the connector's auth: its scheme and its secret."],
  403: [
    'PERMISSION_DENIED',
    "The catalog accepts the connector's credentials but does not allow this: grant it, or use other credentials.",
  ],
  404: ['NOT_FOUND', ''],
  405: ['UNIMPLEMENTED', ''],
  406: ['UNIMPLEMENTED', 'The catalog does not support this.'],
  407: ['FAILED_PRECONDITION', `This is a response of a proxy, ${credentialsAdvice()}.`],
  408: ['DEADLINE_EXCEEDED', ''],
  409: ['ABORTED', ''],
  410: ['NOT_FOUND', ''],
  419: ['UNAUTHENTICATED', 'The credentials have expired: give the connector new ones.'],
  429: ['RESOURCE_EXHAUSTED', 'The catalog accepts no more requests for now.'],
  501: ['UNIMPLEMENTED', 'The catalog does not support this.'],
  504: ['UNAVAILABLE', ''],
};

/**
 * Converts an error response to an error that states the request, the response and what to do.
 *
 * @param action such as `GET https://host/v1/config`
 * @param retryAfterMs the response's Retry-After in milliseconds
 */
export function responseError(action: string, response: HttpResponse, retryAfterMs?: number): ResponseError {
  const { status } = response;
  const reported = errorModel(response);
  // AWS returns 403 both for wrong credentials and for missing permissions.
  const type = typeOf(response, reported);
  const [code, advice] = MEANINGS[BAD_CREDENTIALS.test(type) ? 401 : status] ?? [
    status >= 500 ? 'UNAVAILABLE' : 'FAILED_PRECONDITION',
    '',
  ];
  // Temporal waits for as long as the server requests, and does so for this code.
  const waits = retryAfterMs !== undefined && (status === 429 || status === 503);
  const text = reported ? [firstLine(type), reported.message].filter(Boolean).join(': ') : excerpt(response);
  return new ResponseError(
    waits ? 'RESOURCE_EXHAUSTED' : code,
    [`${action} returned ${status} ${text}`.trim().replace(/(?<![.!?])$/, '.'), advice].filter(Boolean).join(' '),
    status,
    reported,
    waits ? retryAfterMs : undefined,
  );
}

/** Whether the catalog may have refused the credentials of the request. */
export function mayBeRefused(response: HttpResponse): boolean {
  const { status } = response;
  if (status === 401 || status === 403 || status === 419) return true;
  return status === 400 && BAD_CREDENTIALS.test(typeOf(response, errorModel(response)));
}

/** The kind of the error. AWS's header is `NAME` or `NAME:URL`. */
function typeOf({ headers }: HttpResponse, reported: { type: string } | undefined): string {
  return reported?.type || String(headers['x-amzn-errortype'] ?? '').replace(/:.*/s, '');
}

/** Bytes of a body that are read for an excerpt. More than are shown, because secrets are masked and white space is removed. */
const EXCERPT_BYTES = 16_384;

/** The content type and the first 200 characters of a body, for a message. */
export function excerpt({ body, headers }: Pick<HttpResponse, 'body' | 'headers'>): string {
  const type = headers['content-type'] ?? 'without a content type';
  if (body.length === 0) return `(${type}, empty)`;
  // Masked before it is cut, because half of a secret would not be recognised.
  const text = withoutSecrets(body.subarray(0, EXCERPT_BYTES).toString('utf8')).replace(/\s+/g, ' ').trim();
  const printable = [...text].filter((char) => char >= ' ' && char !== '\u007f').join('');
  return `(${type}) ${printable.length > 200 ? `${printable.slice(0, 200)}…` : printable}`;
}

/** Errors contain a stack trace at most. What is longer is only quoted. */
const MAX_MODEL_BYTES = 256 * 1024;

/** Reads errors of Iceberg's `ErrorModel`, of OAuth2 (RFC 6749, section 5.2), of Unity Catalog and of AWS's gateways. */
function errorModel({ body }: HttpResponse): { message: string; type: string } | undefined {
  if (body.length > MAX_MODEL_BYTES) return undefined;
  let json: unknown;
  try {
    json = JSON.parse(body.toString('utf8'));
  } catch {
    return undefined;
  }
  if (typeof json !== 'object' || json === null) return undefined;
  const { error, error_code, error_description, message, Message, __type } = json as Record<string, unknown>;
  if (typeof error === 'object' && error !== null) {
    const { message, type } = error as Record<string, unknown>;
    return { message: firstLine(message), type: firstLine(type) };
  }
  if (typeof error === 'string') return { message: firstLine(error_description ?? message), type: firstLine(error) };
  const type = firstLine(__type ?? error_code).replace(/^.*#/, '');
  return (message ?? Message ?? __type ?? error_code) === undefined
    ? undefined
    : { message: firstLine(message ?? Message), type };
}

/** The first line, up to 500 characters. Some servers return a whole stack trace. */
function firstLine(value: unknown): string {
  const text = typeof value === 'string' ? withoutSecrets(value.split('\n')[0] as string).trim() : '';
  return text.length > 500 ? `${text.slice(0, 500)}…` : text;
}
