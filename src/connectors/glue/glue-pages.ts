import { CodedError } from '../../errors.ts';

/** One page of a Glue listing, as Glue gave it. */
export interface GluePage<T> {
  items: T[];
  nextToken?: string;
}

/** Asks for the page of a token; without one for the first. */
export type GlueList<T> = (nextToken?: string) => Promise<GluePage<T>>;

/**
 * Where a listing goes on: the Glue token of a page, and the name after which. That name is the last of the page before, or stands
 * in the page itself where not all of it was wanted; it is also what finds the place again when Glue does not take its token any more.
 */
interface Position {
  token?: string;
  after: string;
}

/** Pages gone through to find a place again: a million tables. */
const MAX_PAGES = 10_000;

/** What a token of ours stands for. */
export interface PositionedPage<T> extends GluePage<T> {
  /** Glue's token of the page that it is, or is the rest of; absent for the first. */
  at?: string;
  /** The last name of that page; of the one before, if it is empty. */
  last: string;
}

/**
 * The page that a token of ours stands for: what is behind its place, in Glue's order.
 *
 * Glue's tokens may end while a long job ingests. The listing is then gone through again up to the last name that was given; if that
 * is gone too, it starts over: to give something twice is harmless, to leave something out would look as if it were dropped.
 *
 * @throws CodedError of `list`; `INVALID_ARGUMENT` for a token that is not ours
 */
export async function readPage<T>(
  list: GlueList<T>,
  nameOf: (item: T) => string,
  token?: string,
): Promise<PositionedPage<T>> {
  const placed = (whole: GluePage<T>, at?: string, after = '') => {
    const last = whole.items.at(-1);
    return { ...itemsAfter(whole, nameOf, after), at, last: last === undefined ? after : nameOf(last) };
  };
  if (token === undefined) return placed(await list());
  const place = parsePosition(token);
  try {
    return placed(await list(place.token), place.token, place.after);
  } catch (error) {
    if (place.token === undefined || !(error instanceof CodedError) || error.code !== 'INVALID_ARGUMENT') throw error;
  }
  let at: string | undefined;
  for (let count = 0; count < MAX_PAGES; count++) {
    const page = await list(at);
    const found = page.items.findIndex((item) => nameOf(item) === place.after);
    // Where it is the last of its page, the next one is read while its token is fresh: else no page might ever be given.
    if (found >= 0 && found === page.items.length - 1 && page.nextToken !== undefined) {
      return placed(await list(page.nextToken), page.nextToken);
    }
    if (found >= 0) return placed(page, at, place.after);
    if (page.nextToken === undefined) break;
    at = page.nextToken;
  }
  return placed(await list());
}

/** The token of what comes behind `after`, in the page of Glue's `token` or wholly behind it. */
export function positionToken(token: string | undefined, after: string): string {
  return JSON.stringify({ ...(token !== undefined && { token }), after } satisfies Position);
}

function itemsAfter<T>(page: GluePage<T>, nameOf: (item: T) => string, after: string): GluePage<T> {
  const found = page.items.findIndex((item) => nameOf(item) === after);
  return found < 0 ? page : { ...page, items: page.items.slice(found + 1) };
}

function parsePosition(token: string): Position {
  try {
    const place = JSON.parse(token);
    if (typeof place.after === 'string' && (place.token === undefined || typeof place.token === 'string')) return place;
  } catch {
    // Told below.
  }
  throw new CodedError('INVALID_ARGUMENT', `${JSON.stringify(token.slice(0, 100))} is no page token of a Glue listing`);
}
