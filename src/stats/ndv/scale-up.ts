/**
 * From the distinct values of a sample to those of the whole.
 *
 * No estimator is good for all data (Charikar et al., "Towards Estimation Error Guarantees for Distinct Values", 2000). These
 * two take that values come from a pool of some size and all are as frequent; how often sampled values repeat tells the
 * size of the pool. Where nothing repeats the result grows with the sample's share, where all repeats it stays. Skewed data comes
 * out too low.
 */

/**
 * Distinct values of all units (files, or row groups of a file), each of which is a draw of some distinct values from the pool.
 *
 * With `units` = m, each of d values, and a pool of D: E(distinct) = D(1 − (1 − d/D)^m). That is solved for D and taken at all units.
 * One unit of several tells nothing of repeats: then it is the geometric mean of the least and the most that is possible,
 * which at worst is wrong by √(allUnits).
 *
 * @param distinct of the sampled units together
 * @param sum of each sampled unit's own distinct values
 * @param units how many were sampled
 * @param allUnits how many there are; need not be a whole number
 * @param growth of a unit's own distinct values, where it was itself only sampled: 1 for none
 */
export function scaleUnits(distinct: number, sum: number, units: number, allUnits: number, growth = 1): number {
  if (distinct <= 0 || units <= 0) return 0;
  if (allUnits <= units)
    return units === 1 || growth === 1 ? distinct * growth : pool(distinct, sum, units, units, growth);
  if (units === 1) return distinct * growth * Math.sqrt(allUnits);
  return pool(distinct, sum, units, allUnits, growth);
}

function pool(distinct: number, sum: number, units: number, allUnits: number, growth: number): number {
  const each = Math.min(sum / units, distinct);
  // Nothing repeats: there is no end of the pool in sight.
  const most = each * growth * allUnits;
  if (distinct >= each * units * (1 - 1e-9)) return most;
  const expected = (size: number) => size * -Math.expm1(units * Math.log1p(-each / size));
  const size = solve(expected, distinct, distinct);
  const share = Math.min(1, (each * growth) / size);
  const all = share === 1 ? size : size * -Math.expm1(allUnits * Math.log1p(-share));
  return Math.min(most, Math.max(distinct, all));
}

/**
 * Distinct values of a whole column chunk or file from a stretch of it.
 *
 * Here a draw is a run: a value that differs from the one before. Rows would not do: in sorted data a value's rows stand together, and
 * 100 rows of one value say as little of the pool as one. With q runs and a pool of D: E(distinct) = D(1 − e^(−q/D)).
 *
 * @param share of the rows that was sampled
 */
export function scaleRuns(distinct: number, runs: number, share: number): number {
  if (distinct <= 0 || share >= 1) return distinct;
  const allRuns = runs / share;
  if (distinct >= runs * (1 - 1e-9)) return allRuns;
  const size = solve((d) => d * -Math.expm1(-runs / d), distinct, distinct);
  return Math.min(allRuns, Math.max(distinct, size * -Math.expm1(-allRuns / size)));
}

/** Where a rising function takes a value, from `least` on, to one part in 10^9; beyond 10^18 it does not matter. */
function solve(of: (x: number) => number, value: number, least: number): number {
  let low = least;
  let high = least * 2;
  while (of(high) < value && high < 1e18) high *= 2;
  for (let step = 0; step < 60; step++) {
    const middle = (low + high) / 2;
    if (of(middle) < value) low = middle;
    else high = middle;
  }
  return (low + high) / 2;
}
