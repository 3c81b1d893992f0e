/** Counts of the values that were seen in a sample of units: files, row groups, or runs of rows. */
export interface Seen {
  /** Distinct values. */
  distinct: number;
  /** Values that occurred in exactly one unit, and in exactly two. */
  once: number;
  twice: number;
}

/**
 * Estimates the number of distinct values in all units from those in a sample.
 *
 * Ecologists use this for the species of an area (Chao et al., "Rarefaction and extrapolation with Hill numbers", 2014, equations 11 and
 * 18): the values that occurred once and twice show how many did not occur, at least once² / (2 · twice), and how fast they would appear.
 * If every value occurred once, the result grows with the units; if none did, it does not grow. No estimator fits all data (Charikar et
 * al., "Towards Estimation Error Guarantees for Distinct Values", 2000): for skewed data the result is too low.
 *
 * @param units units in the sample, at least 1
 * @param allUnits all units, not necessarily a whole number
 */
export function extrapolate({ distinct, once, twice }: Seen, units: number, allUnits: number): number {
  if (allUnits <= units || once === 0) return distinct;
  // If no value occurred twice, the number of unseen values has no bound.
  if (twice === 0) return distinct + (once * (allUnits - units)) / units;
  const unseen = (((units - 1) / units) * once ** 2) / (2 * twice);
  const share = once / (units * unseen + once);
  return distinct + unseen * -Math.expm1((allUnits - units) * Math.log1p(-share));
}
