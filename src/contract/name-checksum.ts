/**
 * The sum, modulo 2^64, of the hashes of upstream names (see upstream-name-hash.ts), in decimal: JSON has no 64-bit integers. Two sets of names
 * with the same sum are taken to be equal (another set has it with a probability of 2^-64). A name that is added twice changes the sum.
 */
export type NameChecksum = string;

export const NO_NAMES: NameChecksum = '0';

export function addToChecksum(checksum: NameChecksum, ...more: (NameChecksum | bigint)[]): NameChecksum {
  const sum = more.reduce<bigint>((total, one) => total + BigInt(one), BigInt(checksum));
  return BigInt.asUintN(64, sum).toString();
}
