import { randomFillSync, randomBytes as secureBytes } from 'node:crypto';

const ALPHABET = '0123456789abcdefghjkmnpqrstvwxyz';
let lastMs = 0;
let sequence = 0;

/**
 * A unique, URL-safe text that sorts by its creation time: 10 characters for the milliseconds, 2 for a counter within the
 * millisecond and 10 random ones, all in base 32 without i, l, o and u.
 */
export function sortableId(now = Date.now()): string {
  // If the clock goes back, newer ids of this process must still sort after older ones.
  if (now > lastMs) {
    lastMs = now;
    sequence = 0;
  } else if (++sequence === 1024) {
    lastMs += 1;
    sequence = 0;
  }
  const random = Array.from(randomBytes(10), (byte) => ALPHABET[byte & 31]).join('');
  return base32(lastMs, 10) + base32(sequence, 2) + random;
}

export type IdKind = 'cat' | 'ns' | 'tbl' | 'view' | 'con';

/** An id such as `tbl_01jd…`. */
export function newId(kind: IdKind): string {
  return `${kind}_${sortableId()}`;
}

/** The id of a whole catalog, as the schedules in Temporal carry it. */
export function newServiceId(): string {
  return `svc_${sortableId()}`;
}

/** The id of a draft. Whoever knows it can have the draft validated, so that nobody may guess it. */
export function newDraftId(): string {
  return `draft_${secureBytes(24).toString('base64url')}`;
}

/** A version of a resource. Every update stores a new one. */
export function newEtag(): string {
  return Buffer.from(randomBytes(9)).toString('base64url');
}

/** Random bytes are requested in bulk, since each request to the system costs some microseconds. */
const pool = new Uint8Array(4096);
let used = pool.length;

function randomBytes(length: number): Uint8Array {
  if (used + length > pool.length) {
    randomFillSync(pool);
    used = 0;
  }
  used += length;
  return pool.subarray(used - length, used);
}

function base32(value: number, length: number): string {
  let text = '';
  for (let left = value; text.length < length; left = Math.floor(left / 32)) text = ALPHABET[left % 32] + text;
  return text;
}
