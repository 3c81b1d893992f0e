/**
 * MurmurHash3, the x64 variant with 128 bits (Austin Appleby, public domain), with the seed of Apache DataSketches. Theta sketches use
 * the first of its two words, without the lowest bit.
 *
 * 64-bit words are kept as two 32-bit halves. BigInt would take twenty times as long, and this runs once per value.
 */

/** DataSketches' `ThetaUtil.DEFAULT_UPDATE_SEED`. */
export const SEED = 9001;

const C1_HIGH = 0x87c37b91 | 0;
const C1_LOW = 0x114253d5;
const C2_HIGH = 0x4cf5ad43;
const C2_LOW = 0x2745937f;

/** The result of the last `multiply`. */
let high = 0;
let low = 0;

/**
 * Hashes bytes and puts the result into `thetaHash`. Allocating a result for each value would cost more than hashing it.
 */
export function hashBytes(bytes: Uint8Array): void {
  const { length } = bytes;
  let h1High = 0;
  let h1Low = SEED;
  let h2High = 0;
  let h2Low = SEED;
  const blocks = length & ~15;
  for (let at = 0; at < blocks; at += 16) {
    mixFirst(word(bytes, at + 4), word(bytes, at));
    h1High ^= high;
    h1Low ^= low;
    // h1 = rotl(h1, 27) + h2, then * 5 + 0x52dce729
    let rotatedHigh = (h1High << 27) | (h1Low >>> 5);
    let rotatedLow = (h1Low << 27) | (h1High >>> 5);
    let sum = (rotatedLow >>> 0) + (h2Low >>> 0);
    h1Low = sum | 0;
    h1High = (rotatedHigh + h2High + (sum > 0xffff_ffff ? 1 : 0)) | 0;
    multiply(h1High, h1Low, 0, 5);
    sum = (low >>> 0) + 0x52dce729;
    h1Low = sum | 0;
    h1High = (high + (sum > 0xffff_ffff ? 1 : 0)) | 0;

    mixSecond(word(bytes, at + 12), word(bytes, at + 8));
    h2High ^= high;
    h2Low ^= low;
    // h2 = rotl(h2, 31) + h1, then * 5 + 0x38495ab5
    rotatedHigh = (h2High << 31) | (h2Low >>> 1);
    rotatedLow = (h2Low << 31) | (h2High >>> 1);
    sum = (rotatedLow >>> 0) + (h1Low >>> 0);
    h2Low = sum | 0;
    h2High = (rotatedHigh + h1High + (sum > 0xffff_ffff ? 1 : 0)) | 0;
    multiply(h2High, h2Low, 0, 5);
    sum = (low >>> 0) + 0x38495ab5;
    h2Low = sum | 0;
    h2High = (high + (sum > 0xffff_ffff ? 1 : 0)) | 0;
  }
  const rest = length - blocks;
  if (rest > 8) {
    mixSecond(partOfWord(bytes, blocks + 12, length), partOfWord(bytes, blocks + 8, length));
    h2High ^= high;
    h2Low ^= low;
  }
  if (rest > 0) {
    mixFirst(partOfWord(bytes, blocks + 4, length), partOfWord(bytes, blocks, length));
    h1High ^= high;
    h1Low ^= low;
  }
  h1Low ^= length;
  h2Low ^= length;
  let sum = (h1Low >>> 0) + (h2Low >>> 0);
  h1Low = sum | 0;
  h1High = (h1High + h2High + (sum > 0xffff_ffff ? 1 : 0)) | 0;
  sum = (h2Low >>> 0) + (h1Low >>> 0);
  h2Low = sum | 0;
  h2High = (h2High + h1High + (sum > 0xffff_ffff ? 1 : 0)) | 0;
  finalMix(h1High, h1Low);
  h1High = high;
  h1Low = low;
  finalMix(h2High, h2Low);
  sum = (h1Low >>> 0) + (low >>> 0);
  h1Low = sum | 0;
  h1High = (h1High + high + (sum > 0xffff_ffff ? 1 : 0)) | 0;
  thetaHash.high = h1High >>> 1;
  thetaHash.low = ((h1Low >>> 1) | (h1High << 31)) >>> 0;
}

/** The 63-bit result of the last `hashBytes`. */
export const thetaHash = { high: 0, low: 0 };

/** Mixes k1: multiply by c1, rotate by 31, multiply by c2. */
function mixFirst(kHigh: number, kLow: number): void {
  multiply(kHigh, kLow, C1_HIGH, C1_LOW);
  multiply((high << 31) | (low >>> 1), (low << 31) | (high >>> 1), C2_HIGH, C2_LOW);
}

/** Mixes k2: multiply by c2, rotate by 33, multiply by c1. */
function mixSecond(kHigh: number, kLow: number): void {
  multiply(kHigh, kLow, C2_HIGH, C2_LOW);
  // Rotating by 33 is rotating by 1 and swapping the halves.
  multiply((low << 1) | (high >>> 31), (high << 1) | (low >>> 31), C1_HIGH, C1_LOW);
}

function finalMix(hHigh: number, hLow: number): void {
  // h ^= h >>> 33
  multiply(hHigh, hLow ^ (hHigh >>> 1), 0xff51afd7 | 0, 0xed558ccd | 0);
  multiply(high, low ^ (high >>> 1), 0xc4ceb9fe | 0, 0x1a85ec53);
  low ^= high >>> 1;
}

/** Puts the low 64 bits of the product into `high` and `low`. */
function multiply(aHigh: number, aLow: number, bHigh: number, bLow: number): void {
  const a0 = aLow & 0xffff;
  const a1 = aLow >>> 16;
  const b0 = bLow & 0xffff;
  const b1 = bLow >>> 16;
  const middle = a1 * b0 + ((a0 * b0) >>> 16);
  const other = a0 * b1 + (middle & 0xffff);
  // `middle` may have 33 bits, so it is divided, not shifted.
  const upper = a1 * b1 + Math.floor(middle / 0x1_0000) + Math.floor(other / 0x1_0000);
  high = (upper + Math.imul(aHigh, bLow) + Math.imul(aLow, bHigh)) | 0;
  low = Math.imul(aLow, bLow);
}

/** 32 bits, little-endian. */
function word(bytes: Uint8Array, at: number): number {
  return (
    (bytes[at] as number) |
    ((bytes[at + 1] as number) << 8) |
    ((bytes[at + 2] as number) << 16) |
    ((bytes[at + 3] as number) << 24)
  );
}

/** Like `word`, with zeros after the end of the bytes. */
function partOfWord(bytes: Uint8Array, at: number, end: number): number {
  if (at + 4 <= end) return word(bytes, at);
  let value = 0;
  for (let index = at; index < end; index++) value |= (bytes[index] as number) << ((index - at) * 8);
  return value;
}
