import { withDeadline } from '../catalog-session/context.ts';

/** Items per request. */
export const PAGE_SIZE = 500;

/**
 * Yields the pages of a list until the last page, or until `limit` items were yielded.
 *
 * @param fetch Returns a page and the token of the next one; an empty token ends the list.
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
