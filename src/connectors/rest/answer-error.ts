import { CodedError, type CodeName } from '../../errors.ts';
import { withoutSecrets } from '../../secrets.ts';
import { BAD_CREDENTIALS } from '../../storage/aws/errors.ts';
import type { HttpAnswer } from './http-exchange.ts';

/** An error that the catalog answered with. */
export class AnswerError extends CodedError {
  readonly status: number;
  /** The catalog's own words (the OpenAPI's `ErrorModel`), where it said them that way. */
  readonly reported?: { message: string; type: string };

  constructor(
    code: CodeName,
    message: string,
    status: number,
    said?: { message: string; type: string },
    retryAfterMs?: number,
  ) {
    super(code, message, { retryAfterMs });
    this.status = status;
    this.reported = said;
  }
}

/** The server answered, and not as a catalog does. */
export class NotJsonError extends CodedError {}

/** What the answers of the OpenAPI mean, and what a person can do. */
const MEANINGS: Readonly<Record<number, [CodeName, string]>> = {
  400: ['INVALID_ARGUMENT', ''],
  401: ['UNAUTHENTICATED', "Check the connector's auth: its scheme and its secret."],
  403: [
    'PERMISSION_DENIED',
    "The catalog knows the connector's credentials and does not allow this: grant it, or use others.",
  ],
  404: ['NOT_FOUND', ''],
  405: ['UNIMPLEMENTED', ''],
  406: ['UNIMPLEMENTED', 'The catalog does not support this.'],
  407: ['FAILED_PRECONDITION', 'A proxy in between wants credentials.'],
  408: ['DEADLINE_EXCEEDED', ''],
  409: ['ABORTED', ''],
  410: ['NOT_FOUND', ''],
  419: ['UNAUTHENTICATED', "The credentials' time is over: give the connector new ones."],
  429: ['RESOURCE_EXHAUSTED', 'The catalog takes no more requests for now.'],
  501: ['UNIMPLEMENTED', 'The catalog does not support this.'],
  504: ['UNAVAILABLE', ''],
};

/**
 * @param action such as `GET https://host/v1/config`
 * @param retryAfterMs what the answer asked to wait
 */
export function answerError(action: string, answer: HttpAnswer, retryAfterMs?: number): AnswerError {
  const { status, headers } = answer;
  const said = errorModel(answer);
  // `NAME` or `NAME:URL`. AWS answers 403 for credentials that are wrong as well as for what they are not allowed.
  const type = said?.type || String(headers['x-amzn-errortype'] ?? '').replace(/:.*/s, '');
  const [code, advice] = MEANINGS[BAD_CREDENTIALS.test(type) ? 401 : status] ?? [
    status >= 500 ? 'UNAVAILABLE' : 'FAILED_PRECONDITION',
    '',
  ];
  // A wait that the server asks for is Temporal's to wait, and that works by this code.
  const waits = retryAfterMs !== undefined && (status === 429 || status === 503);
  const words = said ? [firstLine(type), said.message].filter(Boolean).join(': ') : excerpt(answer);
  return new AnswerError(
    waits ? 'RESOURCE_EXHAUSTED' : code,
    [`${action} was answered ${status} ${words}`.trim().replace(/(?<![.!?])$/, '.'), advice].filter(Boolean).join(' '),
    status,
    said,
    waits ? retryAfterMs : undefined,
  );
}

/** Bytes of a body that are looked at for an excerpt: more than is shown, for what is masked or white in it. */
const EXCERPT_BYTES = 16_384;

/** The first characters of a body, for a message. */
export function excerpt({ body, headers }: Pick<HttpAnswer, 'body' | 'headers'>): string {
  const type = headers['content-type'] ?? 'without a content type';
  if (body.length === 0) return `(${type}, empty)`;
  // Masked before it is cut: of half a secret nobody would know that it is one.
  const text = withoutSecrets(body.subarray(0, EXCERPT_BYTES).toString('utf8')).replace(/\s+/g, ' ').trim();
  const printable = [...text].filter((char) => char >= ' ' && char !== '\u007f').join('');
  return `(${type}) ${printable.length > 200 ? `${printable.slice(0, 200)}…` : printable}`;
}

/** Of Iceberg's error model, of OAuth2's (RFC 6749, section 5.2) and of what AWS's gateways answer. */
function errorModel({ body }: HttpAnswer): { message: string; type: string } | undefined {
  let json: unknown;
  try {
    json = JSON.parse(body.toString('utf8'));
  } catch {
    return undefined;
  }
  if (typeof json !== 'object' || json === null) return undefined;
  const { error, error_description, message, Message } = json as Record<string, unknown>;
  if (typeof error === 'object' && error !== null) {
    const { message, type } = error as Record<string, unknown>;
    return { message: firstLine(message), type: firstLine(type) };
  }
  if (typeof error === 'string') return { message: firstLine(error_description ?? message), type: firstLine(error) };
  return (message ?? Message) === undefined ? undefined : { message: firstLine(message ?? Message), type: '' };
}

/** One line: some servers put a whole stack there. */
function firstLine(value: unknown): string {
  const text = typeof value === 'string' ? withoutSecrets(value.split('\n')[0] as string).trim() : '';
  return text.length > 500 ? `${text.slice(0, 500)}…` : text;
}
