import { createHash } from 'node:crypto';
import type { z } from 'zod';
import { invalid } from './violations.ts';

/**
 * Page tokens: opaque to clients, made of a cursor and a digest that binds it to the method and to what was asked for.
 *
 * They hold nothing secret and grant nothing: a token is a place in a list that its holder may read anyway.
 */
export class PageTokens<Cursor> {
  readonly #method: string;
  readonly #cursor: z.ZodType<Cursor>;

  constructor(method: string, cursor: z.ZodType<Cursor>) {
    this.#method = method;
    this.#cursor = cursor;
  }

  /** @param filter everything of the request but page size and token */
  encode(cursor: Cursor, filter: unknown): string {
    const json = JSON.stringify(cursor);
    return `${this.#digest(json, filter)}${Buffer.from(json).toString('base64url')}`;
  }

  /**
   * @returns undefined for an empty token: the first page
   * @throws InvalidRequest for a token of another call, another filter or none of ours
   */
  decode(token: string, filter: unknown): Cursor | undefined {
    if (token === '') return undefined;
    const digest = token.slice(0, DIGEST_LENGTH);
    const json = Buffer.from(token.slice(DIGEST_LENGTH), 'base64url').toString();
    if (token.length > MAX_TOKEN || this.#digest(json, filter) !== digest) throw this.#foreign();
    const parsed = this.#cursor.safeParse(parseJson(json));
    if (!parsed.success) throw this.#foreign();
    return parsed.data;
  }

  #digest(json: string, filter: unknown): string {
    const text = JSON.stringify([this.#method, filter, json], (_, value) =>
      typeof value === 'bigint' ? `${value}n` : value,
    );
    return createHash('sha256').update(text).digest('base64url').slice(0, DIGEST_LENGTH);
  }

  #foreign() {
    return invalid(
      'page_token',
      `is not a token that ${this.#method} gave for this request; leave it empty to start anew`,
    );
  }
}

/** Undefined where it is none: no cursor is undefined. */
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
export function pageSize(asked: number, fallback = 100): number {
  if (asked < 0 || asked > MAX_PAGE) throw invalid('page_size', `${asked} is not within 0 and ${MAX_PAGE}`);
  return asked === 0 ? fallback : asked;
}

/** Cuts a list that was asked for one item more than the page holds. */
export function page<T>(rows: T[], size: number): { items: T[]; last: T | undefined } {
  const items = rows.slice(0, size);
  return { items, last: rows.length > size ? items[size - 1] : undefined };
}
