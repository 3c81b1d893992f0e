/** The same for some connectors at once, page by page. */
export async function inChunks<T, R>(items: readonly T[], work: (item: T) => Promise<R>): Promise<R[]> {
  const results: R[] = [];
  for (let at = 0; at < items.length; at += AT_ONCE) {
    results.push(...(await Promise.all(items.slice(at, at + AT_ONCE).map(work))));
  }
  return results;
}

/** Asked of Temporal at the same time: a namespace bounds its requests a second. */
export const AT_ONCE = 10;
