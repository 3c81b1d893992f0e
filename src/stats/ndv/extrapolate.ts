/** What was seen in some units: files, row groups, or runs of rows. */
export interface Seen {
  /** Distinct values. */
  distinct: number;
  /** Of them, those that came in one unit only, and in just two. */
  once: number;
  twice: number;
}

/**
 * The distinct values of all units, from those of a sample of them.
 *
 * It is what ecologists use for the species of an area (Chao et al., "Rarefaction and extrapolation with Hill numbers", 2014,
 * equations 11 and 18): values that came once and twice tell how many there are that did not come, at least
 * once² / (2 · twice), and how fast they would come. Where all came once the result grows with the units, where none did it stays. No
 * estimator is good for all data (Charikar et al., "Towards Estimation Error Guarantees for Distinct Values", 2000): skewed data comes out
 * too low.
 *
 * @param units at least 1
 * @param allUnits need not be a whole number
 */
export function extrapolate({ distinct, once, twice }: Seen, units: number, allUnits: number): number {
  if (allUnits <= units || once === 0) return distinct;
  // Without a value that came twice there is no end of them in sight.
  if (twice === 0) return distinct + (once * (allUnits - units)) / units;
  const unseen = (((units - 1) / units) * once ** 2) / (2 * twice);
  const share = once / (units * unseen + once);
  return distinct + unseen * -Math.expm1((allUnits - units) * Math.log1p(-share));
}
