import { MAX_HIGH, MAX_LOW } from './theta.ts';

/**
 * A theta sketch in the form that is stored and sent: DataSketches' compact form, serial version 3 (datasketches-java, `PreambleUtil`).
 * It is the blob type `apache-datasketches-theta-v1` of Iceberg's Puffin spec.
 */
export interface CompactTheta {
  thetaHigh: number;
  thetaLow: number;
  /** The low half, then the high half of each hash. */
  hashes: Uint32Array;
  isOrdered: boolean;
}

/** Theta as a share of the range of hashes, from 0 to 1. */
export function thetaShare({ thetaHigh, thetaLow }: CompactTheta): number {
  return thetaHigh === MAX_HIGH && thetaLow === MAX_LOW ? 1 : (thetaHigh * 2 ** 32 + thetaLow) / 2 ** 63;
}

/** Puffin's name of the blob type. */
export const THETA_TYPE = 'apache-datasketches-theta-v1';

const SERIAL_VERSION = 3;
const COMPACT_FAMILY = 3;
/** The hash of the seed 9001. Sketches with different seeds cannot be merged. */
const SEED_HASH = 0x93cc;
const READ_ONLY = 2;
const EMPTY = 4;
const COMPACT = 8;
const ORDERED = 16;
const SINGLE_ITEM = 32;
/** DataSketches supports up to 2^26 hashes; the sketch of a column has 2^12. */
const MAX_HASHES = 1 << 18;

export function encodeCompactTheta({ thetaHigh, thetaLow, hashes }: CompactTheta): Uint8Array {
  const count = hashes.length / 2;
  const isExact = thetaHigh === MAX_HIGH && thetaLow === MAX_LOW;
  const preambleLongs = !isExact ? 3 : count > 1 ? 2 : 1;
  const bytes = Buffer.alloc((preambleLongs + count) * 8);
  bytes[0] = preambleLongs;
  bytes[1] = SERIAL_VERSION;
  bytes[2] = COMPACT_FAMILY;
  const special = !isExact ? 0 : count === 0 ? EMPTY : count === 1 ? SINGLE_ITEM : 0;
  bytes[5] = READ_ONLY | COMPACT | ORDERED | special;
  bytes.writeUInt16LE(SEED_HASH, 6);
  if (preambleLongs > 1) {
    bytes.writeUInt32LE(count, 8);
    bytes.writeFloatLE(1, 12);
  }
  if (preambleLongs > 2) {
    bytes.writeUInt32LE(thetaLow, 16);
    bytes.writeUInt32LE(thetaHigh, 20);
  }
  Buffer.from(hashes.buffer, hashes.byteOffset, hashes.byteLength).copy(bytes, preambleLongs * 8);
  return bytes;
}

/**
 * Decodes a sketch that any engine has written.
 *
 * @returns undefined for bytes that are not such a sketch, and for forms that no Iceberg engine writes (other seeds, serial versions 1, 2
 *   and 4)
 */
export function decodeCompactTheta(bytes: Uint8Array): CompactTheta | undefined {
  if (bytes.length < 8) return undefined;
  const buffer = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  const preambleLongs = (buffer[0] as number) & 0x3f;
  const flags = buffer[5] as number;
  if (buffer[1] !== SERIAL_VERSION || buffer[2] !== COMPACT_FAMILY || (flags & COMPACT) === 0) return undefined;
  const sketch = { thetaHigh: MAX_HIGH, thetaLow: MAX_LOW, hashes: new Uint32Array(0), isOrdered: true };
  if ((flags & EMPTY) !== 0) return sketch;
  if (buffer.readUInt16LE(6) !== SEED_HASH) return undefined;
  if (preambleLongs < 1 || preambleLongs > 3 || bytes.length < preambleLongs * 8) return undefined;
  const count = preambleLongs === 1 ? 1 : buffer.readUInt32LE(8);
  if (count > MAX_HASHES || bytes.length < (preambleLongs + count) * 8) return undefined;
  if (preambleLongs === 3) {
    sketch.thetaLow = buffer.readUInt32LE(16);
    sketch.thetaHigh = buffer.readUInt32LE(20);
    if (sketch.thetaHigh > MAX_HIGH || (sketch.thetaHigh === 0 && sketch.thetaLow === 0)) return undefined;
  }
  sketch.hashes = new Uint32Array(count * 2);
  Buffer.from(sketch.hashes.buffer).set(buffer.subarray(preambleLongs * 8, (preambleLongs + count) * 8));
  sketch.isOrdered = (flags & ORDERED) !== 0;
  return sketch;
}
