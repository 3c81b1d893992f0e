/** Runs `work` for all items, `AT_ONCE` at a time, and returns the results in the order of the items. */
export async function inChunks<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  for (let at = 0; at < items.length; at += AT_ONCE) {
    results.push(...(await Promise.all(items.slice(at, at + AT_ONCE).map(work))));
  }
  return results;
}

/** Number of concurrent calls to Temporal, which limits the requests per second of a namespace. */
export const AT_ONCE = 10;
