import { withDeadline } from '../catalog-session/context.ts';

/** Asked of a server at once. */
export const PAGE_SIZE = 500;

/**
 * Pages of a list, one at a time, until the last one or until `limit` is reached.
 *
 * @param fetch Gives a page and the token of the next; an empty token ends the list.
 */
export async function* pagesOf<T>(
  fetch: (
    page: { pageSize: number; pageToken: string },
    call: { signal: AbortSignal },
  ) => Promise<{ items: T[]; nextPageToken: string }>,
  limit = Number.POSITIVE_INFINITY,
): AsyncGenerator<T[]> {
  let pageToken = '';
  let left = limit;
  do {
    const { items, nextPageToken } = await fetch({ pageSize: Math.min(PAGE_SIZE, left), pageToken }, withDeadline());
    yield items.slice(0, left);
    left -= items.length;
    pageToken = nextPageToken;
  } while (pageToken !== '' && left > 0);
}
