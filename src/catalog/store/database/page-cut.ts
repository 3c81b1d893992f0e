/** Text that a page of a list may have, unless one row has more: clients refuse messages that are much longer. */
const MAX_PAGE_BYTES = 8 * 1024 * 1024;

/** Where a page ends. */
export interface PageCut {
  /** Rows of the page. */
  count: number;
  /** There is a next page. */
  more: boolean;
}

/**
 * Cuts a page of at most `size` rows.
 *
 * @param rows the lengths of their texts, of one row more than a page can have
 */
export function cutPage(rows: readonly { bytes: number }[], size: number): PageCut {
  let count = 0;
  let sum = 0;
  for (const { bytes } of rows.slice(0, size)) {
    sum += bytes;
    if (count > 0 && sum > MAX_PAGE_BYTES) break;
    count++;
  }
  return { count, more: rows.length > count };
}
