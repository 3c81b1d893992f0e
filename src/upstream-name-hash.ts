import * as crypto from 'node:crypto';

/** Absent before Node 20.12; saves a third of the time. */
const oneShot = (crypto as { hash?: typeof crypto.hash }).hash;

/**
 * The hash of an upstream name, whose sums show whether two sets of names are equal: the first 8 bytes, big-endian, of the SHA-256 of the
 * JSON array of the namespace's segments and the name. The catalog stores it; the worker computes it from what the upstream lists.
 *
 * @returns an unsigned 64-bit integer
 */
export function upstreamNameHash(namespace: readonly string[], name: string): bigint {
  const text = JSON.stringify([...namespace, name]);
  const digest = oneShot ? oneShot('sha256', text, 'buffer') : crypto.createHash('sha256').update(text).digest();
  return digest.readBigUInt64BE();
}
