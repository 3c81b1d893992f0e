import { CodedError } from '../../errors.ts';

/** One page of a Glue listing, as Glue returned it. */
export interface GluePage<T> {
  items: T[];
  nextToken?: string;
}

/** Requests the page of a token; the first page if there is no token. */
export type GlueList<T> = (nextToken?: string) => Promise<GluePage<T>>;

/**
 * Where a listing continues: after the name `after`, in the page of Glue's token. That name is the last one of the previous page, or, if the
 * page was cut, one of the page itself. It also finds the position again if Glue no longer accepts the token.
 */
interface Position {
  token?: string;
  after: string;
}

/** Pages that are read to find a position again: a million tables. */
const MAX_PAGES = 10_000;

/** A page, or the rest of a cut one, with its position. */
export interface PositionedPage<T> extends GluePage<T> {
  /** Glue's token of the whole page; absent for the first page. */
  at?: string;
  /** The last name of that page; if the page is empty, of the previous one. */
  last: string;
}

/**
 * Reads the page after the position that a token encodes, in Glue's order.
 *
 * Glue's tokens may expire while a long job ingests. Then the listing is read again up to the last name that was returned. If that name is
 * gone too, the listing starts over: returning a table twice is harmless, but a table that is left out would look dropped.
 *
 * @param token of `positionToken`; undefined for the first page
 * @throws CodedError of `list`; `INVALID_ARGUMENT` for a token that `positionToken` has not made
 */
export async function readPage<T>(
  list: GlueList<T>,
  nameOf: (item: T) => string,
  token?: string,
): Promise<PositionedPage<T>> {
  const positioned = (whole: GluePage<T>, at?: string, after = '') => {
    const last = whole.items.at(-1);
    return { ...itemsAfter(whole, nameOf, after), at, last: last === undefined ? after : nameOf(last) };
  };
  if (token === undefined) return positioned(await list());
  const position = parsePosition(token);
  try {
    return positioned(await list(position.token), position.token, position.after);
  } catch (error) {
    if (position.token === undefined || !(error instanceof CodedError) || error.code !== 'INVALID_ARGUMENT')
      throw error;
  }
  let at: string | undefined;
  for (let count = 0; count < MAX_PAGES; count++) {
    const page = await list(at);
    const found = page.items.findIndex((item) => nameOf(item) === position.after);
    // If the name is the last of its page, return the next page while its token is fresh. Otherwise the listing might never progress.
    if (found >= 0 && found === page.items.length - 1 && page.nextToken !== undefined) {
      return positioned(await list(page.nextToken), page.nextToken);
    }
    if (found >= 0) return positioned(page, at, position.after);
    if (page.nextToken === undefined) break;
    at = page.nextToken;
  }
  return positioned(await list());
}

/** The token for the position after the name `after`, in the page of Glue's `token` or before it. */
export function positionToken(token: string | undefined, after: string): string {
  return JSON.stringify({ ...(token !== undefined && { token }), after } satisfies Position);
}

function itemsAfter<T>(page: GluePage<T>, nameOf: (item: T) => string, after: string): GluePage<T> {
  const found = page.items.findIndex((item) => nameOf(item) === after);
  return found < 0 ? page : { ...page, items: page.items.slice(found + 1) };
}

function parsePosition(token: string): Position {
  try {
    const position = JSON.parse(token);
    const { token: glueToken, after } = position;
    if (typeof after === 'string' && (glueToken === undefined || typeof glueToken === 'string')) return position;
  } catch {
    // Thrown below.
  }
  throw new CodedError(
    'INVALID_ARGUMENT',
    `${JSON.stringify(token.slice(0, 100))} is not a page token of a Glue listing`,
  );
}
