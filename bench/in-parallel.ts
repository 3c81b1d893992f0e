/** Calls `task` for every item, at most `width` at a time. Rejects with the first failure. */
export async function inParallel<T>(items: readonly T[], width: number, task: (item: T) => Promise<void>) {
  const queue = items.values();
  const lane = async () => {
    for (const item of queue) await task(item);
  };
  await Promise.all(Array.from({ length: width }, lane));
}
