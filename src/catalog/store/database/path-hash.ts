import * as crypto from 'node:crypto';

/** Absent before Node 20.12; saves a third of the time. */
const oneShot = (crypto as { hash?: typeof crypto.hash }).hash;

/**
 * The key of a file in its table: 16 bytes of the SHA-256 of its path and, if it is a deletion vector, of its content offset.
 *
 * Paths are long and arrive in no order. An index of them was two thirds of the cost of storing a file; the hash is a tenth
 * of their size, and nobody can construct two paths that share it.
 *
 * @param path UTF-8
 * @param contentOffset -1 if the file has none
 */
export function pathHash(path: Uint8Array, contentOffset = -1): Buffer {
  if (contentOffset < 0 && oneShot) return oneShot('sha256', path, 'buffer').subarray(0, 16);
  const hash = crypto.createHash('sha256').update(path);
  // No path contains a NUL.
  if (contentOffset >= 0) hash.update(`\0${contentOffset}`);
  return hash.digest().subarray(0, 16);
}

/** The key of the data file with this path. */
export function dataPathHash(path: string): Buffer {
  return pathHash(Buffer.from(path));
}
