import { createHash } from 'node:crypto';
import type { z } from 'zod';
import { currentCall } from '../identity/current-call.ts';
import { invalid } from './violations.ts';

/**
 * Page tokens. They are opaque to clients and consist of a cursor and a digest that binds it to the method, the tenant and the request.
 *
 * They contain nothing secret and grant nothing: a token is a position in a list that its holder may read anyway.
 */
export class PageTokens<Cursor> {
  readonly #method: string;
  readonly #cursor: z.ZodType<Cursor>;

  constructor(method: string, cursor: z.ZodType<Cursor>) {
    this.#method = method;
    this.#cursor = cursor;
  }

  /** @param filter all of the request except the page size and token */
  encode(cursor: Cursor, filter: unknown): string {
    const json = JSON.stringify(cursor);
    return `${this.#digest(json, filter)}${Buffer.from(json).toString('base64url')}`;
  }

  /**
   * @returns undefined for an empty token: the first page
   * @throws InvalidRequest if the token is from another method, was returned for another filter, or is not a page token
   */
  decode(token: string, filter: unknown): Cursor | undefined {
    if (token === '') return undefined;
    const digest = token.slice(0, DIGEST_LENGTH);
    const json = Buffer.from(token.slice(DIGEST_LENGTH), 'base64url').toString();
    if (token.length > MAX_TOKEN || this.#digest(json, filter) !== digest) throw this.#invalidToken();
    const parsed = this.#cursor.safeParse(parseJson(json));
    if (!parsed.success) throw this.#invalidToken();
    return parsed.data;
  }

  #digest(json: string, filter: unknown): string {
    const text = JSON.stringify([this.#method, currentCall()?.tenant ?? '', filter, json], (_, value) =>
      typeof value === 'bigint' ? `${value}n` : value,
    );
    return createHash('sha256').update(text).digest('base64url').slice(0, DIGEST_LENGTH);
  }

  #invalidToken() {
    return invalid(
      'page_token',
      `is not a token that ${this.#method} returned for this request; leave it empty to start with the first page`,
    );
  }
}

/** Undefined if the text is not JSON; a cursor is never undefined. */
function parseJson(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined;
  }
}

const DIGEST_LENGTH = 12;
const MAX_TOKEN = 64 * 1024;
const MAX_PAGE = 1000;

/** The page size to use: 0 means `fallback`. */
export function pageSize(requested: number, fallback = 100): number {
  if (requested < 0 || requested > MAX_PAGE)
    throw invalid('page_size', `${requested} is not between 0 and ${MAX_PAGE}`);
  return requested === 0 ? fallback : requested;
}
