import { createHmac } from 'node:crypto';
import * as http from 'node:http';
import * as https from 'node:https';
import { CodedError } from '../../errors.ts';
import { PolicyError } from '../../policy/policy-error.ts';
import { checkSecretUse } from '../../policy/secret-grants.ts';
import { rememberConnectorSecret } from '../../secrets.ts';
import { checkRequest } from '../../storage/proxy/check-request.ts';
import { Connections } from '../../storage/proxy/connections.ts';
import { type ForwardProxy, proxyFor } from '../../storage/proxy/proxy.ts';
import { ProxyError } from '../../storage/proxy/proxy-error.ts';
import { retryAfterMs } from '../../storage/retry-after.ts';

/** For everything from resolving the host name to the first line of the response. */
const ANSWER_TIMEOUT_MS = 15_000;
const PREFIX = 'whsec_';
/** Length of a key, by the specification. */
const KEY_BYTES = { min: 24, max: 64 };

export interface WebhookMessage {
  /** http or https. It may contain a secret: errors name its host only. */
  url: string;
  /** `whsec_` and base64. Absent: the message is not signed. */
  secret?: string;
  /** Letters, digits and `_`; the same in every attempt, so that the receiver recognises a repetition. */
  id: string;
  /** JSON. */
  body: string;
  /** The connector's own proxy. Without it, this process's settings apply. */
  proxy?: ForwardProxy;
}

type Answer = Pick<http.IncomingMessage, 'statusCode' | 'headers'>;

/**
 * Sends a message once, as Standard Webhooks defines it (https://www.standardwebhooks.com): signed by HMAC-SHA256 over
 * `id.timestamp.body`. Redirects are not followed. Only the status of the response counts: its body is not read.
 *
 * @throws CodedError UNAVAILABLE, RESOURCE_EXHAUSTED or DEADLINE_EXCEEDED if another attempt may succeed: no response, 408, 429 and 5xx;
 *   FAILED_PRECONDITION for every other response, an invalid URL and an invalid key; PERMISSION_DENIED if the worker's policy refuses it
 */
export async function postWebhook({ url, secret, id, body, proxy }: WebhookMessage): Promise<void> {
  const host = hostOf(url);
  // If it is a secret as a whole, its request has only a part of it.
  checkSecretUse(url, new URL(url));
  const timestamp = Math.floor(Date.now() / 1000);
  const signature = secret === undefined ? undefined : signatureOf(secret, new URL(url), `${id}.${timestamp}.${body}`);
  const headers = {
    'content-type': 'application/json',
    'content-length': String(Buffer.byteLength(body)),
    'user-agent': 'reconciler',
    'webhook-id': id,
    'webhook-timestamp': String(timestamp),
    ...(signature && { 'webhook-signature': signature }),
  };
  let answer: Answer;
  try {
    answer = await post(new URL(url), headers, body, proxy);
  } catch (error) {
    throw noResponse(host, error);
  }
  if (!answer.statusCode || answer.statusCode < 200 || answer.statusCode >= 300) throw refused(host, answer);
}

/** Sends the request on a connection of its own, and closes that when the first line of the response is there. */
async function post(
  url: URL,
  headers: Readonly<Record<string, string>>,
  body: string,
  own: ForwardProxy | undefined,
): Promise<Answer> {
  const proxy = proxyFor(url, own);
  const { protocol, hostname, port, pathname, search } = url;
  const direct = {
    secure: protocol === 'https:',
    host: hostname.replace(/^\[|\]$/g, ''),
    port,
    path: pathname + search,
  };
  checkRequest({ ...direct, headers, body }, proxy);
  const connections = new Connections(1);
  const { secure, ...route } = connections.routed({ ...direct, headers }, proxy);
  try {
    return await new Promise<Answer>((resolve, reject) => {
      const limit = AbortSignal.timeout(ANSWER_TIMEOUT_MS);
      limit.addEventListener('abort', () => reject(limit.reason));
      const request = (secure ? https : http).request({ ...route, method: 'POST', signal: limit });
      request.on('error', (error) => reject(proxy ? ProxyError.ofForwarded(proxy, error) : error));
      request.on('response', (response) => {
        resolve(response);
        response.destroy();
      });
      request.end(body);
    });
  } finally {
    connections.destroy();
  }
}

function hostOf(url: string): string {
  const parsed = URL.canParse(url) ? new URL(url) : undefined;
  if (parsed && /^https?:$/.test(parsed.protocol) && parsed.username === '' && parsed.password === '')
    return parsed.host;
  // The text is not repeated: it may be a secret.
  throw new CodedError(
    'FAILED_PRECONDITION',
    'alerts.webhook_url does not refer to an http(s) URL without user and password: store one there',
  );
}

function signatureOf(secret: string, to: URL, content: string): string {
  const text = secret.startsWith(PREFIX) ? secret.slice(PREFIX.length) : secret;
  rememberConnectorSecret(text);
  checkSecretUse(text, to);
  const key = Buffer.from(text, 'base64');
  if (!/^[A-Za-z0-9+/]+={0,2}$/.test(text) || key.length < KEY_BYTES.min || key.length > KEY_BYTES.max) {
    throw new CodedError(
      'FAILED_PRECONDITION',
      `alerts.secret_ref does not refer to a key: a key is ${PREFIX} and ${KEY_BYTES.min} to ${KEY_BYTES.max} bytes in base64, for ` +
        `example from echo ${PREFIX}$(openssl rand -base64 32)`,
    );
  }
  return `v1,${createHmac('sha256', key).update(content).digest('base64')}`;
}

/** The error's text is not repeated: it may contain the URL. */
function noResponse(host: string, error: unknown): CodedError {
  if ((error as Error).name === 'TimeoutError')
    return new CodedError(
      'DEADLINE_EXCEEDED',
      `the webhook at ${host} did not respond within ${ANSWER_TIMEOUT_MS / 1000} s`,
    );
  if (error instanceof PolicyError) return error;
  if (error instanceof ProxyError || error instanceof CodedError) {
    return new CodedError('UNAVAILABLE', `the webhook at ${host} cannot be reached: ${error.message}`);
  }
  const { code } = error as NodeJS.ErrnoException;
  return new CodedError('UNAVAILABLE', `the webhook at ${host} cannot be reached${code ? ` (${code})` : ''}`);
}

function refused(host: string, { statusCode: status = 0, headers }: Answer): CodedError {
  const message = `the webhook at ${host} responded with ${status}`;
  const waitMs = retryAfterMs(headers['retry-after'], Date.now());
  if (status === 429) return new CodedError('RESOURCE_EXHAUSTED', message, { retryAfterMs: waitMs });
  if (status === 408 || status >= 500) return new CodedError('UNAVAILABLE', message, { retryAfterMs: waitMs });
  const hint =
    status >= 300 && status < 400
      ? 'a redirect, which is not followed: give the connector the address that it leads to'
      : 'and is not tried again: check its URL and its key';
  return new CodedError('FAILED_PRECONDITION', `${message}, ${hint}`);
}
