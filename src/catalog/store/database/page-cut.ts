import { type SelectQueryBuilder, sql } from 'kysely';

/** Bytes of stored data that a page of a list may have, unless a single row has more: a thousand large rows would fill the memory. */
export const MAX_PAGE_BYTES = 4 * 1024 * 1024;

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
 * @param rows the sizes of their messages, of one row more than a page can have
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

/** A page of a list. */
export interface Page<Item> {
  items: Item[];
  /** The last item, after which the next page starts; undefined if there is no next page. */
  last: Item | undefined;
}

/**
 * Reads a page of at most `size` rows and 4 MiB. The sizes of the rows are read first, so that no more than a page and a row are in memory.
 *
 * @param query the rows in their order, from the first one of the page
 * @param bytes the size of a row; see `bytesOf`
 */
export async function readPage<DB, TB extends keyof DB, Row>(
  query: SelectQueryBuilder<DB, TB, Row>,
  bytes: ReturnType<typeof bytesOf>,
  size: number,
): Promise<Page<Row>> {
  const sizes = query
    .clearSelect()
    .select(bytes.as('bytes'))
    .limit(size + 1);
  return readCut(query, (await sizes.execute()) as { bytes: number }[], size);
}

/**
 * Reads the page that `cutPage` cuts, and one row more: rows may have been added or deleted since their sizes were read, and only the rows
 * themselves show whether others follow the page.
 *
 * @param query the rows in their order, from the first one of the page
 * @param sizes see `cutPage`
 */
export async function readCut<DB, TB extends keyof DB, Row>(
  query: SelectQueryBuilder<DB, TB, Row>,
  sizes: readonly { bytes: number }[],
  size: number,
): Promise<Page<Row>> {
  const { count } = cutPage(sizes, size);
  if (count === 0) return { items: [], last: undefined };
  const rows = await query.limit(count + 1).execute();
  const items = rows.slice(0, count);
  return { items, last: rows.length > count ? items.at(-1) : undefined };
}

/** An expression for the bytes that these columns have together. */
export function bytesOf(...columns: string[]) {
  return sql<number>`${sql.join(
    columns.map((column) => sql`coalesce(octet_length(${sql.ref(column)}), 0)`),
    sql` + `,
  )}`;
}

/** A page with other items. */
export function mapPage<From, To>({ items, last }: Page<From>, map: (item: From) => To): Page<To> {
  const mapped = items.map(map);
  return { items: mapped, last: last === undefined ? undefined : mapped.at(-1) };
}
