import { setTimeout as sleep } from 'node:timers/promises';
import { CodedError } from '../../errors.ts';
import { LARGE_METADATA_BYTES, reserveMetadata } from '../../formats/iceberg/metadata-file.ts';
import { isLargeJson, openJson } from '../../formats/json/json-part.ts';
import { parseLosslessJson } from '../../formats/json/lossless-json.ts';
import { DepthError, MalformedError } from '../../formats/malformed.ts';
import { paced } from '../../formats/paced.ts';
import { withoutSecrets } from '../../secrets.ts';
import type { ReservedMemory } from '../../storage/memory-budget.ts';
import { retryAfterMs } from '../../storage/retry-after.ts';
import { TooLargeError } from '../../storage/too-large-error.ts';
import type { Authenticator, OutgoingRequest } from './auth/authenticator.ts';
import { type HttpExchange, type HttpResponse, NoResponseError } from './http-exchange.ts';
import { isTransient, networkError } from './network-error.ts';
import { excerpt, mayBeRefused, NotJsonError, responseError } from './response-error.ts';

export interface HttpClientOptions {
  exchange: HttpExchange;
  /** Returns what is added to every request. Names are in lower case. */
  headers: () => Readonly<Record<string, string>>;
  authenticator: Authenticator;
  connectMs: number;
  /** For a whole call with its retries and waits. The time to get a token is not counted. */
  timeoutMs: number;
}

export interface Call {
  /** An absolute URL. */
  url: string;
  headers?: Readonly<Record<string, string>>;
  /** Sent as a POST, which must be safe to repeat. */
  form?: URLSearchParams;
  /** Sent as JSON, which some catalogs expect even with a GET. A POST must be safe to repeat. */
  json?: { method: 'GET' | 'POST'; body: unknown };
  maxBytes: number;
  /** The response contains credentials, so errors show nothing of its body. */
  confidential?: boolean;
  /** Whether what is read of a large response is kept for long. */
  use?: 'open' | 'look';
}

export interface JsonResponse {
  /** 2xx, or 304. */
  status: number;
  headers: HttpResponse['headers'];
  /** Parsed without loss of 64-bit integers (see `parseLosslessJson` and `openJson`); undefined for 304. */
  json: unknown;
  /** Length of the decompressed body. */
  bytes: number;
  /** What a large response takes; the caller disposes it. */
  memory?: ReservedMemory;
}

const MAX_ATTEMPTS = 4;
const FIRST_WAIT_MS = 200;
/** The longest wait within an activity. Temporal waits for longer times. */
const MAX_WAIT_MS = 5_000;
const MAX_REDIRECTS = 5;
const RETRIED: ReadonlySet<number> = new Set([429, 502, 503, 504]);
const REDIRECTED: ReadonlySet<number> = new Set([301, 302, 303, 307, 308]);

/**
 * Fetches JSON over HTTP from one catalog, with authentication, retries, and limits of time and size.
 *
 * Responses 429, 502, 503 and 504 and broken connections are retried after the server's Retry-After or a growing random wait. After a
 * response that may refuse the credentials (401, 403, 419, or AWS's codes), the authenticator looks once for others. Redirects are followed only on
 * the same host, so that headers and credentials go to no other.
 *
 * Errors are CodedErrors that name the URL and what was found; an error response is a `ResponseError`.
 */
export class HttpClient {
  readonly #options: HttpClientOptions;

  constructor(options: HttpClientOptions) {
    this.#options = options;
  }

  /** A response that is large is requested again, after a wait for the memory that it takes. */
  async json(call: Call): Promise<JsonResponse> {
    if (call.maxBytes <= LARGE_METADATA_BYTES) return this.#json(call);
    let size = call.maxBytes;
    try {
      return await this.#json({ ...call, maxBytes: LARGE_METADATA_BYTES });
    } catch (error) {
      if (!(error instanceof TooLargeError)) throw error;
      if (error.bytes !== undefined) size = Math.min(size, error.bytes);
    }
    const memory = await reserveMetadata(call.use ?? 'look', size);
    try {
      return { ...(await this.#json(call)), memory };
    } catch (error) {
      memory[Symbol.dispose]();
      throw error;
    }
  }

  async #json(call: Call): Promise<JsonResponse> {
    const time: TimeLimit = { end: performance.now() + this.#options.timeoutMs };
    let renewed = false;
    for (let attempt = 1; ; attempt += 1) {
      const sent = await this.#attempt(call, time);
      if (sent.response !== undefined) {
        const { response, url, used } = sent;
        const { status } = response;
        if (status === 304) return { status, headers: response.headers, json: undefined, bytes: 0 };
        if (status >= 200 && status < 300) return toJsonResponse(call, url, response);
        if (!renewed && mayBeRefused(response)) {
          renewed = true;
          if (await notCounted(time, () => this.#options.authenticator.renew?.(used, status))) continue;
        }
        const requestedWait = retryAfterMs(response.headers['retry-after'], Date.now());
        const wait = requestedWait ?? backoff(attempt);
        if (RETRIED.has(status) && attempt < MAX_ATTEMPTS && mayWait(wait, time)) {
          await sleep(wait);
          continue;
        }
        throw responseError(actionOf(call, url), response, requestedWait);
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

  /** One attempt, including its redirects. */
  async #attempt(
    call: Call,
    time: TimeLimit,
  ): Promise<
    | { response: HttpResponse; url: string; used: OutgoingRequest; failure?: undefined }
    | { failure: NoResponseError; url: string; response?: undefined }
  > {
    const { exchange, headers, authenticator, connectMs, timeoutMs: limitMs } = this.#options;
    let url = call.url;
    for (let hop = 0; ; hop += 1) {
      const method = methodOf(call);
      const outgoing: OutgoingRequest = {
        method,
        url,
        headers: {
          'user-agent': 'reconciler',
          accept: 'application/json',
          'accept-encoding': 'gzip',
          ...headers(),
          ...(call.form && { 'content-type': 'application/x-www-form-urlencoded' }),
          ...(call.json && { 'content-type': 'application/json' }),
          ...call.headers,
        },
        body: call.json ? JSON.stringify(call.json.body) : call.form?.toString(),
      };
      await notCounted(time, () => exchange.admitted());
      const used = await notCounted(time, () => authenticator.authenticate(outgoing));
      let response: HttpResponse;
      try {
        const timeoutMs = Math.max(1, time.end - performance.now());
        response = await exchange.send({ ...used, maxBytes: call.maxBytes, connectMs, timeoutMs, limitMs });
      } catch (failure) {
        if (failure instanceof NoResponseError) return { failure, url };
        throw failure;
      }
      if (!REDIRECTED.has(response.status)) return { response, url, used };
      url = redirectTarget(actionOf(call, url), url, response, hop, method === 'GET');
    }
  }
}

function redirectTarget(action: string, from: string, response: HttpResponse, hop: number, isGet: boolean): string {
  const { location = '' } = response.headers;
  const refused = (reason: string) =>
    new CodedError('FAILED_PRECONDITION', `${action} returned ${response.status}, ${reason}`);
  if (!isGet) throw refused('a redirect, which is not followed with credentials. Use the URL that it leads to.');
  if (!URL.canParse(location, from))
    throw refused(`a redirect to ${JSON.stringify(withoutSecrets(location).slice(0, 200))}, which is not a URL.`);
  if (hop === MAX_REDIRECTS)
    throw refused(`redirect number ${hop + 1} of the request; at most ${MAX_REDIRECTS} are followed. Check the URI.`);
  const to = new URL(location, from);
  const source = new URL(from);
  const upgraded = source.protocol === 'http:' && to.protocol === 'https:' && to.hostname === source.hostname;
  if (to.origin !== source.origin && !upgraded) {
    throw refused(
      `a redirect to ${to.origin}, another host, to which the connector's credentials are not sent. ` +
        'If the catalog is there, use that URI. If it is a login page, the credentials are missing.',
    );
  }
  return to.origin + to.pathname + to.search;
}

async function toJsonResponse(call: Call, url: string, response: HttpResponse): Promise<JsonResponse> {
  const { body, headers, status } = response;
  const action = actionOf(call, url);
  const content = () =>
    call.confidential ? `${body.length} bytes, not shown because they may contain credentials` : excerpt(response);
  const type = headers['content-type']?.split(';')[0]?.trim().toLowerCase() ?? '';
  if (type !== '' && type !== 'application/json' && !type.endsWith('+json')) {
    throw new NotJsonError(
      'FAILED_PRECONDITION',
      `${action} returned ${status} with something other than JSON: ${content()}`,
    );
  }
  try {
    const json = isLargeJson(body) ? await paced(openJson(body, 'whole')) : parseLosslessJson(body.toString('utf8'));
    return { status, headers, json, bytes: body.length };
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error;
    if (error instanceof DepthError)
      throw new CodedError('DATA_LOSS', `${action} returned ${status} with a body that is refused: ${error.message}.`);
    // A body without a length that is cut off can only be recognised by incomplete JSON.
    const mayBeCut = response.untilClose && type !== '';
    if (mayBeCut) {
      throw new CodedError('UNAVAILABLE', `${action} returned ${status} with an incomplete body: ${content()}`);
    }
    throw new NotJsonError('DATA_LOSS', `${action} returned ${status} with a body that is not JSON: ${content()}`);
  }
}

function actionOf(call: Call, url: string): string {
  return `${methodOf(call)} ${url}`;
}

function methodOf({ form, json }: Call): 'GET' | 'POST' {
  return json?.method ?? (form === undefined ? 'GET' : 'POST');
}

/** A wait in milliseconds with full jitter, so that workers that failed together do not all retry at once. */
function backoff(attempt: number): number {
  return Math.random() * FIRST_WAIT_MS * 2 ** attempt;
}

function mayWait(wait: number, { end }: TimeLimit): boolean {
  return wait <= MAX_WAIT_MS && performance.now() + wait < end;
}

/** When a call's time ends, as in `performance.now()`. */
interface TimeLimit {
  end: number;
}

/** Runs work without counting its time towards the call's, so that a slow token server leaves the call its full time. */
async function notCounted<T>(time: TimeLimit, work: () => T | Promise<T>): Promise<T> {
  const start = performance.now();
  const result = await work();
  time.end += performance.now() - start;
  return result;
}
