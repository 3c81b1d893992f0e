import { CodedError } from '../../errors.ts';

/** One page of a listing, as the server returned it. */
export interface UnityPage<T> {
  items: T[];
  nextToken?: string;
}

/** Requests the page of a token, of at most `size` items; the first page if there is no token. */
export type UnityList<T> = (size: number, token?: string) => Promise<UnityPage<T>>;

/**
 * Where a listing continues: in the page of the server's `token`, after the item `after`. That item is the last one that was returned. It was in the
 * page of the token `before`, or in this page itself if the page was cut.
 */
interface Position {
  token?: string;
  after?: string;
  before?: string;
}

/** A page, or the rest of a cut one. `positionAfter` continues within it, and `next` after it; that is absent at the end. */
export interface PositionedPage<T> {
  items: T[];
  positionAfter(name: string): string;
  next?: string;
}

/** Pages that are read to find a position again: half a million tables. */
const MAX_PAGES = 10_000;
/** Pages that are read to confirm an end. Most are empty. */
const MAX_CONFIRMING_PAGES = 100;

/**
 * Reads the page after a position, in the server's order.
 *
 * Servers filter a page after they have cut it, so that it may be empty and not the last. Only a missing token ends a listing. But Unity Catalog
 * also answers a token that it does not know with an empty page that has none, and so a lost token looks like the end; what is missing would then look
 * dropped. Therefore an end that a lost token would explain (an empty page after a token, a full page without one) is confirmed: the last items are
 * listed again in other pages.
 *
 * Tokens may expire while a long job ingests. Then the listing is read again up to the last item that was returned. If that is gone, the listing
 * starts over: returning a table twice is harmless.
 *
 * @param size of the pages that are requested
 * @param from of an earlier page; undefined for the first page
 * @throws CodedError of `list`; `UNAVAILABLE` if an end cannot be confirmed
 */
export async function readPage<T>(
  list: UnityList<T>,
  nameOf: (item: T) => string,
  size: number,
  from?: string,
): Promise<PositionedPage<T>> {
  let position = from === undefined ? {} : parsePosition(from);
  const page = await list(size, position.token).catch(async (error) => {
    const isRefused = error instanceof CodedError && error.code === 'INVALID_ARGUMENT';
    if (position.token === undefined || !isRefused) throw error;
    position = await findAgain(list, nameOf, size, position);
    return list(size, position.token);
  });
  const items = itemsAfter(page.items, nameOf, position.after);
  const positionAfter = (name: string) => JSON.stringify({ ...position, after: name });
  const last = page.items.at(-1);
  const at: Position = last === undefined ? position : { after: nameOf(last), before: position.token };
  if (page.nextToken !== undefined) {
    return { items, positionAfter, next: JSON.stringify({ ...at, token: page.nextToken }) };
  }
  const mayBeLost = page.items.length === 0 ? position.token !== undefined : page.items.length >= size;
  const more = mayBeLost ? await findMore(list, nameOf, size, at) : undefined;
  return { items, positionAfter, ...(more && { next: JSON.stringify(more) }) };
}

/**
 * Lists the last page with items once more, in pages of another size.
 *
 * @returns where the listing goes on after its last item; undefined if it ends there
 */
async function findMore<T>(
  list: UnityList<T>,
  nameOf: (item: T) => string,
  size: number,
  { after, before }: Position,
): Promise<Position | undefined> {
  // All pages so far were empty: there is nothing to lose.
  if (after === undefined) return undefined;
  const otherSize = size > 2 ? size - 1 : size + 1;
  let token = before;
  let found: Position | undefined;
  for (let count = 0; count < MAX_CONFIRMING_PAGES; count++) {
    const page = await list(otherSize, token);
    if (found !== undefined && page.items.length > 0) return found;
    const index = page.items.findIndex((item) => nameOf(item) === after);
    if (index >= 0 && index < page.items.length - 1) return { token, after, before: token };
    if (page.nextToken === undefined) {
      if (found !== undefined || index >= 0) return undefined;
      break;
    }
    if (found !== undefined || index >= 0) found = { token: page.nextToken, after, before: found?.before ?? token };
    token = page.nextToken;
  }
  throw new CodedError(
    'UNAVAILABLE',
    `the listing seems to end after ${JSON.stringify(after)}, but that does not appear when its last page is listed again, so that a page token may ` +
      'have been lost on the way. Nothing is concluded from it; try again.',
  );
}

/** The position after the same item, with a token that the server knows. */
async function findAgain<T>(
  list: UnityList<T>,
  nameOf: (item: T) => string,
  size: number,
  { after }: Position,
): Promise<Position> {
  let token: string | undefined;
  for (let count = 0; count < MAX_PAGES; count++) {
    const page = await list(size, token);
    const found = page.items.findIndex((item) => nameOf(item) === after);
    const isLast = found === page.items.length - 1 && page.nextToken !== undefined;
    if (found >= 0) return isLast ? { token: page.nextToken, after, before: token } : { token, after };
    if (page.nextToken === undefined) break;
    token = page.nextToken;
  }
  return {};
}

function itemsAfter<T>(items: T[], nameOf: (item: T) => string, after: string | undefined): T[] {
  const found = after === undefined ? -1 : items.findIndex((item) => nameOf(item) === after);
  return items.slice(found + 1);
}

function parsePosition(text: string): Position {
  try {
    const { token, after, before } = JSON.parse(text) as Position;
    if ([token, after, before].every((part) => part === undefined || typeof part === 'string')) {
      return { token, after, before };
    }
  } catch {
    // Thrown below.
  }
  throw new CodedError(
    'INVALID_ARGUMENT',
    `${JSON.stringify(text.slice(0, 100))} is not a page token of a Unity Catalog listing`,
  );
}
