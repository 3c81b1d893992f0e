/** Returns the maximum number of these times (milliseconds) within any window of this length. */
export function mostInWindow(times: readonly number[], windowMs: number): number {
  const sorted = [...times].sort((a, b) => a - b);
  let [most, from] = [0, 0];
  for (const [to, time] of sorted.entries()) {
    while (time - (sorted[from] as number) >= windowMs) from += 1;
    most = Math.max(most, to - from + 1);
  }
  return most;
}
