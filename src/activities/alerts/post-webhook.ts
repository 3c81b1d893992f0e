import { createHmac } from 'node:crypto';
import { CodedError } from '../../errors.ts';
import { rememberConnectorSecret } from '../../secrets.ts';
import { retryAfterMs } from '../../storage/retry-after.ts';

/** For everything from the look-up of the name to the first line of the answer. */
const ANSWER_TIMEOUT_MS = 15_000;
const PREFIX = 'whsec_';
/** Of a key, by the specification. */
const KEY_BYTES = { min: 24, max: 64 };

export interface WebhookMessage {
  /** http or https. It may hold a secret: errors name its host only. */
  url: string;
  /** `whsec_` and base64. Absent: it goes unsigned. */
  secret?: string;
  /** Letters, digits and `_`; the same at every attempt, so that the receiver can tell a repetition. */
  id: string;
  /** JSON. */
  body: string;
}

/**
 * Sends a message once, as Standard Webhooks has it (https://www.standardwebhooks.com): signed by HMAC-SHA256 over `id.timestamp.body`.
 * Redirects are not followed, and of the answer nothing but its status counts: its body is not read.
 *
 * @throws CodedError UNAVAILABLE, RESOURCE_EXHAUSTED or DEADLINE_EXCEEDED where another attempt may succeed: no answer, 408, 429 and 5xx;
 *   FAILED_PRECONDITION for every other answer, a URL that is none and a key of the wrong form
 */
export async function postWebhook({ url, secret, id, body }: WebhookMessage): Promise<void> {
  const host = hostOf(url);
  const timestamp = Math.floor(Date.now() / 1000);
  const signature = secret === undefined ? undefined : signatureOf(secret, `${id}.${timestamp}.${body}`);
  let answer: Response;
  try {
    answer = await fetch(url, {
      method: 'POST',
      headers: {
        'content-type': 'application/json',
        'user-agent': 'reconciler',
        'webhook-id': id,
        'webhook-timestamp': String(timestamp),
        ...(signature && { 'webhook-signature': signature }),
      },
      body,
      redirect: 'manual',
      signal: AbortSignal.timeout(ANSWER_TIMEOUT_MS),
    });
  } catch (error) {
    throw noAnswer(host, error);
  }
  await answer.body?.cancel().catch(() => undefined);
  if (!answer.ok) throw refused(host, answer);
}

function hostOf(url: string): string {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (parsed && /^https?:$/.test(parsed.protocol) && parsed.username === '' && parsed.password === '')
    return parsed.host;
  // What it is may be a secret.
  throw new CodedError(
    'FAILED_PRECONDITION',
    'alerts.webhook_url refers to what is no http(s) URL without user and password: put one there',
  );
}

function signatureOf(secret: string, content: string): string {
  const text = secret.startsWith(PREFIX) ? secret.slice(PREFIX.length) : secret;
  rememberConnectorSecret(text);
  const key = Buffer.from(text, 'base64');
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(text) || key.length < KEY_BYTES.min || key.length > KEY_BYTES.max) {
    throw new CodedError(
      'FAILED_PRECONDITION',
      `alerts.secret_ref refers to what is no key: it is ${PREFIX} and ${KEY_BYTES.min} to ${KEY_BYTES.max} bytes in base64, as ` +
        `echo ${PREFIX}$(openssl rand -base64 32) makes one`,
    );
  }
  return `v1,${createHmac('sha256', key).update(content).digest('base64')}`;
}

/** Nothing of the error's text is repeated: it may hold the URL. */
function noAnswer(host: string, error: unknown): CodedError {
  if ((error as Error).name === 'TimeoutError')
    return new CodedError(
      'DEADLINE_EXCEEDED',
      `the webhook at ${host} did not answer within ${ANSWER_TIMEOUT_MS / 1000} s`,
    );
  const { code } = ((error as Error).cause ?? {}) as NodeJS.ErrnoException;
  return new CodedError('UNAVAILABLE', `the webhook at ${host} cannot be reached${code ? ` (${code})` : ''}`);
}

function refused(host: string, { status, headers }: Response): CodedError {
  const said = `the webhook at ${host} answered ${status}`;
  const waitMs = retryAfterMs(headers.get('retry-after') ?? undefined, Date.now());
  if (status === 429) return new CodedError('RESOURCE_EXHAUSTED', said, { retryAfterMs: waitMs });
  if (status === 408 || status >= 500) return new CodedError('UNAVAILABLE', said, { retryAfterMs: waitMs });
  const why =
    status >= 300 && status < 400
      ? 'a redirect, which is not followed: give the connector the address that it leads to'
      : 'it is not asked again: see that its URL and its key are right';
  return new CodedError('FAILED_PRECONDITION', `${said}, ${why}`);
}
