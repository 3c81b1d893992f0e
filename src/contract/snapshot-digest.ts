/**
 * A digest of a set of snapshot ids: the sum, modulo 2^64, of a hash of each. The worker computes it over the snapshots that it expects, the
 * catalog over those that it has: two sets with the same digest are taken to be equal (another set has it with a probability of 2^-64).
 *
 * The ids are hashed because Delta numbers its versions consecutively, and many sets of such numbers have equal sums.
 */
export function snapshotDigest(ids: Iterable<bigint>): bigint {
  let sum = 0n;
  for (const id of ids) sum += hash(id);
  return BigInt.asUintN(64, sum);
}

/** SplitMix64's finalizer (Steele, Lea and Flood, Fast Splittable Pseudorandom Number Generators, 2014). */
function hash(id: bigint): bigint {
  let z = BigInt.asUintN(64, id + 0x9e3779b97f4a7c15n);
  z = BigInt.asUintN(64, (z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n);
  z = BigInt.asUintN(64, (z ^ (z >> 27n)) * 0x94d049bb133111ebn);
  return z ^ (z >> 31n);
}
