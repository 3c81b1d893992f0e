/** Calls under way at the same time: the time of a small read is that of a request. */
const CALLS = 16;

/** Loads items, several at the same time, and yields them in their order. */
export async function* readAhead<T, R>(items: Iterable<T>, load: (item: T) => Promise<R>): AsyncGenerator<R> {
  const loading: Promise<R>[] = [];
  for (const item of items) {
    const next = load(item);
    // It may fail before it is its turn, or the caller may have ended by then.
    next.catch(() => undefined);
    loading.push(next);
    if (loading.length >= CALLS) yield await (loading.shift() as Promise<R>);
  }
  for (const next of loading) yield await next;
}
