/** What tells a snapshot from another one that has its id: writers that roll back, or replace a table, use ids again. */
export interface SnapshotIdentity {
  snapshotId: bigint;
  parentSnapshotId?: bigint;
  sequenceNumber: number;
  /** Absent if the catalog has none, and for Delta: a version's time may be that of a file, which changes if the table is copied. */
  committedAtMs?: number;
  manifestList: string;
}

/** The last millisecond of the year 9999, after which protobuf has no timestamps. */
const LAST_MS = Date.UTC(9999, 11, 31, 23, 59, 59, 999);

/** A snapshot's time as the catalog stores it: undefined for one that cannot be right, as no protobuf timestamp has it or it is before 1970. */
export function commitTime(ms: number | undefined): number | undefined {
  return ms !== undefined && ms >= 0 && ms <= LAST_MS ? ms : undefined;
}

/** Equal for two snapshots if they are the same. */
export function identityText(identity: SnapshotIdentity): string {
  const { snapshotId, parentSnapshotId = '', sequenceNumber, committedAtMs, manifestList } = identity;
  return `${snapshotId} ${parentSnapshotId} ${sequenceNumber} ${commitTime(committedAtMs) ?? ''} ${manifestList}`;
}

/**
 * A digest of a set of snapshots: the sum, modulo 2^64, of a hash of each. The worker computes it over the snapshots that it expects, the
 * catalog over those that it has: two sets with the same digest are taken to be equal (another set has it with a probability of 2^-64).
 */
export function snapshotDigest(snapshots: Iterable<SnapshotIdentity>): bigint {
  let sum = 0n;
  for (const snapshot of snapshots) sum += hash(identityText(snapshot));
  return BigInt.asUintN(64, sum);
}

/** Two 32-bit hashes of a text, mixed by SplitMix64's finalizer (Steele, Lea and Flood, Fast Splittable Pseudorandom Number Generators, 2014). */
function hash(text: string): bigint {
  let [high, low] = [0xdeadbeef, 0x41c6ce57];
  for (let i = 0; i < text.length; i++) {
    const unit = text.charCodeAt(i);
    high = Math.imul(high ^ unit, 0x9e3779b1);
    low = Math.imul(low ^ unit, 0x5f356495);
  }
  let z = (BigInt(high >>> 0) << 32n) | BigInt(low >>> 0);
  z = BigInt.asUintN(64, (z ^ (z >> 30n)) * 0xbf58476d1ce4e5b9n);
  z = BigInt.asUintN(64, (z ^ (z >> 27n)) * 0x94d049bb133111ebn);
  return z ^ (z >> 31n);
}
