import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { decodeCompactTheta, encodeCompactTheta } from '../../../src/stats/ndv/compact-theta.ts';
import { hashBytes, thetaHash } from '../../../src/stats/ndv/murmur3.ts';
import { ThetaSketch } from '../../../src/stats/ndv/theta-sketch.ts';

/** Made by test/generators/theta_sketches.py with Apache DataSketches' C++ library (PyPI datasketches). */
const TRUTH = JSON.parse(
  readFileSync(join(import.meta.dirname, '../../fixtures/made/theta/truth.json'), 'utf8'),
) as Record<string, { count: number; kept: number; bytes: string }>;

/** The values that the generator uses. */
const VALUES: Record<string, (index: number) => Uint8Array> = {
  longs: (i) => long(BigInt(i)),
  texts: (i) => Buffer.from('x'.repeat(i % 40) + i),
};

describe.each(Object.entries(TRUTH))('%s', (name, truth) => {
  const sketch = new ThetaSketch(4096);
  const value = VALUES[name.split('_')[0]!]!;
  for (let i = 0; i < truth.count; i++) add(sketch, value(i));

  it('hashes like DataSketches', () => {
    const ours = decodeCompactTheta(sketch.toCompact())!;
    const theirs = decodeCompactTheta(Buffer.from(truth.bytes, 'base64'))!;
    // Each library lowers theta at different times, so only the hashes below both thetas must be equal.
    const minTheta = Math.min(ours.thetaHigh, theirs.thetaHigh);
    const below = ({ hashes }: { hashes: Uint32Array }) => [...hashes].filter((_, i) => hashes[i | 1]! < minTheta);
    expect(below(ours)).toEqual(below(theirs));
    expect(theirs.hashes.length).toBe(truth.kept * 2);
  });

  it('estimates within three standard errors, and exactly below 4,096', () => {
    const error = Math.abs(sketch.estimate - truth.count) / truth.count;
    if (truth.count < 4096) expect(sketch.estimate).toBe(truth.count);
    else expect(error).toBeLessThan(3 * sketch.relativeError);
  });

  it('has the bytes of DataSketches for the same hashes', () => {
    const theirs = Buffer.from(truth.bytes, 'base64');
    const again = Buffer.from(encodeCompactTheta(decodeCompactTheta(theirs)!));
    // The C++ library omits the sampling rate (bytes 12 to 15); Java's writes 1.
    if (truth.kept > 1) theirs.writeFloatLE(1, 12);
    // It does not mark a single item either, but Java's does (PreambleUtil, bit 5).
    if (truth.kept === 1) theirs[5]! |= 32;
    expect(again.equals(theirs)).toBe(true);
  });
});

describe('a theta sketch', () => {
  it('merged from two sketches is the sketch of all values', () => {
    const [a, b, both] = [new ThetaSketch(512), new ThetaSketch(512), new ThetaSketch(512)];
    for (let i = 0; i < 30_000; i++) {
      if (i < 20_000) add(a, long(BigInt(i)));
      if (i >= 10_000) add(b, long(BigInt(i)));
      add(both, long(BigInt(i)));
    }
    const union = new ThetaSketch(512);
    for (const part of [a, b]) union.merge(decodeCompactTheta(part.toCompact())!);
    expect(Math.abs(union.estimate - 30_000) / 30_000).toBeLessThan(3 * union.relativeError);
    const minTheta = Math.min(theta(union), theta(both));
    expect(hashesBelow(union, minTheta)).toEqual(hashesBelow(both, minTheta));
  });

  it('counts how often values occur', () => {
    const sketch = new ThetaSketch(4096);
    for (let i = 0; i < 2500; i++) add(sketch, long(BigInt(i % 2000)));
    expect(sketch.seen).toEqual({ distinct: 2000, once: 1500, twice: 500 });
  });

  it('has the error that it reports, over many sets', () => {
    const nominal = 256;
    let squares = 0;
    const sets = 200;
    let reported = 0;
    for (let set = 0; set < sets; set++) {
      const sketch = new ThetaSketch(nominal);
      for (let i = 0; i < 5000; i++) add(sketch, long((BigInt(set) << 32n) + BigInt(i)));
      const compact = decodeCompactTheta(sketch.toCompact())!;
      const trimmed = new ThetaSketch(nominal);
      trimmed.merge(compact);
      squares += ((trimmed.estimate - 5000) / 5000) ** 2;
      reported += trimmed.relativeError / sets;
    }
    const error = Math.sqrt(squares / sets);
    expect(error / reported).toBeGreaterThan(0.8);
    expect(error / reported).toBeLessThan(1.2);
    expect(reported).toBeLessThan(1 / Math.sqrt(nominal - 2));
  });

  it.each([
    ['that is truncated', (bytes: Buffer) => bytes.subarray(0, -1)],
    ['with another seed', (bytes: Buffer) => set(bytes, 6, 1)],
    ['of another family', (bytes: Buffer) => set(bytes, 2, 2)],
    ['of another version', (bytes: Buffer) => set(bytes, 1, 4)],
    ['that claims to have more hashes', (bytes: Buffer) => set(bytes, 10, 255)],
    ['of no bytes', () => Buffer.alloc(0)],
  ])('%s is not decoded', (_, damage) => {
    const sketch = new ThetaSketch(64);
    for (let i = 0; i < 1000; i++) add(sketch, long(BigInt(i)));
    expect(decodeCompactTheta(damage(Buffer.from(sketch.toCompact())))).toBeUndefined();
  });
});

function add(sketch: ThetaSketch, value: Uint8Array): void {
  hashBytes(value);
  sketch.add(thetaHash.high, thetaHash.low);
}

function long(value: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64LE(value);
  return bytes;
}

function set(bytes: Buffer, at: number, value: number): Buffer {
  bytes[at] = value;
  return bytes;
}

function theta(sketch: ThetaSketch): number {
  return decodeCompactTheta(sketch.toCompact())!.thetaHigh;
}

function hashesBelow(sketch: ThetaSketch, minTheta: number): number[] {
  const { hashes } = decodeCompactTheta(sketch.toCompact())!;
  return [...hashes].filter((_, i) => hashes[i | 1]! < minTheta);
}
