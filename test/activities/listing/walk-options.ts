/** Options of a walk that takes everything. */
export const walkOptions = (limit = 100) => ({
  filter: { mayTakeIn: () => true, mayTakeBelow: () => true },
  children: new Map(),
  limit,
  onProgress: () => {},
  isLastAttempt: false,
});
