import { setTimeout as sleep } from 'node:timers/promises';
import { CodedError } from '../../errors.ts';
import { parseLosslessJson } from '../../formats/json/lossless-json.ts';
import { MalformedError } from '../../formats/malformed.ts';
import { withoutSecrets } from '../../secrets.ts';
import { retryAfterMs } from '../../storage/retry-after.ts';
import { answerError, excerpt, NotJsonError } from './answer-error.ts';
import type { Authenticator, Outgoing } from './auth/authenticator.ts';
import { type HttpAnswer, type HttpExchange, NoAnswerError } from './http-exchange.ts';
import { isTransient, networkError } from './network-error.ts';

export interface HttpClientOptions {
  exchange: HttpExchange;
  /** With every request. Names in lower case. */
  headers: Readonly<Record<string, string>>;
  authenticator: Authenticator;
  connectMs: number;
  /** For a whole call, with its retries and waits. Getting a token for it has a limit of its own. */
  timeoutMs: number;
}

export interface Call {
  /** Absolute. */
  url: string;
  headers?: Readonly<Record<string, string>>;
  /** A form, and then a POST that can be repeated as it is. */
  form?: URLSearchParams;
  maxBytes: number;
  /** The answer holds credentials, and one that is no JSON may hold them too: errors show nothing of it. */
  confidential?: boolean;
}

export interface JsonAnswer {
  /** 200, or 304. */
  status: number;
  headers: HttpAnswer['headers'];
  /** Integers of 64 bits whole (see `parseLosslessJson`); undefined for 304. */
  json: unknown;
  /** Of the body, unpacked. */
  bytes: number;
}

const MAX_ATTEMPTS = 4;
const FIRST_WAIT_MS = 200;
/** The longest that is waited here, holding an activity; what takes longer is Temporal's to wait. */
const MAX_WAIT_MS = 5_000;
const MAX_REDIRECTS = 5;
const RETRIED: ReadonlySet<number> = new Set([429, 502, 503, 504]);
const REDIRECTED: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);

/**
 * JSON over HTTP from one catalog: authenticated, tried again where that helps, bounded in time and size.
 *
 * Answers 429, 502, 503, 504 and broken connections are tried again, after the time that the server asks for or a random one that
 * grows. An answer 401 or 419 makes the credentials be renewed once. Redirects are followed on the same host only: elsewhere the
 * headers and credentials are not to go.
 *
 * Errors are CodedErrors that name the URL and what was found; `AnswerError` where the server answered with one.
 */
export class HttpClient {
  readonly #options: HttpClientOptions;

  constructor(options: HttpClientOptions) {
    this.#options = options;
  }

  async json(call: Call): Promise<JsonAnswer> {
    const time: TimeLimit = { end: performance.now() + this.#options.timeoutMs };
    let renewed = false;
    for (let attempt = 1; ; attempt += 1) {
      const sent = await this.#attempt(call, time);
      if (sent.answer !== undefined) {
        const { answer, url, used } = sent;
        const { status } = answer;
        if (status === 304) return { status, headers: answer.headers, json: undefined, bytes: 0 };
        if (status >= 200 && status < 300) return jsonAnswer(call, url, answer);
        if ((status === 401 || status === 419) && !renewed) {
          renewed = true;
          if (await notCounted(time, () => this.#options.authenticator.renew?.(used))) continue;
        }
        const asked = retryAfterMs(answer.headers['retry-after'], Date.now());
        const wait = asked ?? backoff(attempt);
        if (RETRIED.has(status) && attempt < MAX_ATTEMPTS && mayWait(wait, time)) {
          await sleep(wait);
          continue;
        }
        throw answerError(actionOf(call, url), answer, asked);
      }
      const { failure, url } = sent;
      const wait = backoff(attempt);
      if (isTransient(failure) && attempt < MAX_ATTEMPTS && mayWait(wait, time)) {
        await sleep(wait);
        continue;
      }
      throw networkError(actionOf(call, url), url, failure);
    }
  }

  /** One attempt, its redirects included. */
  async #attempt(
    call: Call,
    time: TimeLimit,
  ): Promise<
    | { answer: HttpAnswer; url: string; used: Outgoing; failure?: undefined }
    | { failure: NoAnswerError; url: string; answer?: undefined }
  > {
    const { exchange, headers, authenticator, connectMs, timeoutMs: limitMs } = this.#options;
    let url = call.url;
    for (let hop = 0; ; hop += 1) {
      const outgoing: Outgoing = {
        method: call.form === undefined ? 'GET' : 'POST',
        url,
        headers: {
          'user-agent': 'reconciler',
          accept: 'application/json',
          'accept-encoding': 'gzip',
          ...headers,
          ...(call.form && { 'content-type': 'application/x-www-form-urlencoded' }),
          ...call.headers,
        },
        body: call.form?.toString(),
      };
      await notCounted(time, () => exchange.admitted());
      const used = await notCounted(time, () => authenticator.authenticate(outgoing));
      let answer: HttpAnswer;
      try {
        const timeoutMs = Math.max(1, time.end - performance.now());
        answer = await exchange.send({ ...used, maxBytes: call.maxBytes, connectMs, timeoutMs, limitMs });
      } catch (failure) {
        if (failure instanceof NoAnswerError) return { failure, url };
        throw failure;
      }
      if (!REDIRECTED.has(answer.status)) return { answer, url, used };
      url = redirectTarget(actionOf(call, url), url, answer, hop, call.form === undefined);
    }
  }
}

function redirectTarget(action: string, from: string, answer: HttpAnswer, hop: number, isGet: boolean): string {
  const { location = '' } = answer.headers;
  const refused = (why: string) =>
    new CodedError('FAILED_PRECONDITION', `${action} was answered ${answer.status}: ${why}`);
  if (!isGet) throw refused('a redirect, and credentials are not sent on. Give the address that it leads to.');
  if (!URL.canParse(location, from))
    throw refused(`a redirect to ${JSON.stringify(withoutSecrets(location).slice(0, 200))}, which is no URL.`);
  if (hop === MAX_REDIRECTS)
    throw refused(`the redirect number ${hop + 1}; ${MAX_REDIRECTS} are followed. Check the URI.`);
  const to = new URL(location, from);
  const was = new URL(from);
  const upgraded = was.protocol === 'http:' && to.protocol === 'https:' && to.hostname === was.hostname;
  if (to.origin !== was.origin && !upgraded) {
    throw refused(
      `a redirect to ${to.origin}, another host, where the connector's credentials are not sent. ` +
        'If the catalog is there, make that the URI. If it is a page to log in, the credentials are missing.',
    );
  }
  return to.origin + to.pathname + to.search;
}

function jsonAnswer(call: Call, url: string, answer: HttpAnswer): JsonAnswer {
  const { body, headers, status } = answer;
  const action = actionOf(call, url);
  const shown = () =>
    call.confidential ? `${body.length} bytes, not shown: they may hold credentials` : excerpt(answer);
  const type = headers['content-type']?.split(';')[0]?.trim().toLowerCase() ?? '';
  if (type !== '' && type !== 'application/json' && !type.endsWith('+json')) {
    throw new NotJsonError(
      'FAILED_PRECONDITION',
      `${action} was answered ${status} with something else than JSON: ${shown()}`,
    );
  }
  try {
    return { status, headers, json: parseLosslessJson(body.toString('utf8')), bytes: body.length };
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error;
    // Nothing but a JSON text that does not end tells of a body that was cut.
    const cut = answer.untilClose && type !== '';
    if (cut) {
      throw new CodedError('UNAVAILABLE', `${action} was answered ${status} with a part only: ${shown()}`);
    }
    throw new NotJsonError('DATA_LOSS', `${action} was answered ${status} with what is not JSON: ${shown()}`);
  }
}

function actionOf(call: Call, url: string): string {
  return `${call.form === undefined ? 'GET' : 'POST'} ${url}`;
}

/** Full jitter: many workers that met the same failure do not come back together. */
function backoff(attempt: number): number {
  return Math.random() * FIRST_WAIT_MS * 2 ** attempt;
}

function mayWait(wait: number, { end }: TimeLimit): boolean {
  return wait <= MAX_WAIT_MS && performance.now() + wait < end;
}

/** When a call's time is over; by `performance.now()`. */
interface TimeLimit {
  end: number;
}

/** What a token takes is not of the call's own time: a token server that hangs is no reason to send the call too late. */
async function notCounted<T>(time: TimeLimit, work: () => T | Promise<T>): Promise<T> {
  const start = performance.now();
  const result = await work();
  time.end += performance.now() - start;
  return result;
}
