/**
 * Works on items, `limit` at a time. After a failure no further item is begun; it is thrown when those under way have ended.
 */
export async function inParallel<T>(
  items: readonly T[],
  limit: number,
  work: (item: T, index: number) => Promise<void>,
): Promise<void> {
  let next = 0;
  let failed = false;
  const run = async () => {
    for (let i = next++; i < items.length && !failed; i = next++) {
      try {
        await work(items[i] as T, i);
      } catch (error) {
        failed = true;
        throw error;
      }
    }
  };
  const ended = await Promise.allSettled(Array.from({ length: Math.min(limit, items.length) }, run));
  const broken = ended.find((one) => one.status === 'rejected');
  if (broken) throw broken.reason;
}
