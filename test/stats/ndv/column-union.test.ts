import { describe, expect, it } from '@jest/globals';
import { ColumnUnion } from '../../../src/stats/ndv/column-union.ts';
import { decodeCompactTheta } from '../../../src/stats/ndv/compact-theta.ts';
import { extrapolate } from '../../../src/stats/ndv/extrapolate.ts';
import { hashBytes, thetaHash } from '../../../src/stats/ndv/murmur3.ts';
import { ThetaSketch } from '../../../src/stats/ndv/theta-sketch.ts';

/** Random numbers from 0 to 1 that are the same in every run (mulberry32). */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (state + 0x6d2b79f5) | 0;
    let t = Math.imul(state ^ (state >>> 15), 1 | state);
    t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
    return ((t ^ (t >>> 14)) >>> 0) / 2 ** 32;
  };
}

/** The value of row `row` of file `file`; each file has `ROWS`. */
type Column = (file: number, row: number) => number;

const FILES = 40;
const ROWS = 2000;
const uniform = (values: number, seed: number): Column => {
  const next = random(seed);
  return () => Math.floor(next() * values);
};
/** A few values make up most of the rows: rank r occurs in proportion to 1/r. */
const zipf = (values: number, seed: number): Column => {
  const next = random(seed);
  return () => Math.floor(values ** next());
};

const COLUMNS: [name: string, column: () => Column, maxError: number][] = [
  ['unique', () => (file, row) => file * ROWS + row, 0.1],
  ['two values', () => uniform(2, 1), 0],
  ['300 values', () => uniform(300, 2), 0.02],
  ['5,000 values', () => uniform(5000, 3), 0.1],
  ['60,000 values, most of which occur once', () => uniform(60_000, 4), 0.1],
  ['one value per file, such as a date', () => (file) => file, 0.01],
  ['200 values per file, different in each file', () => (file, row) => file * 200 + (row % 200), 0.05],
  ['sorted, each value 50 times', () => (file, row) => Math.floor((file * ROWS + row) / 50), 0.05],
  ['skewed, 5,000 values', () => zipf(5000, 5), 0.35],
];

describe.each(COLUMNS)('a column of %s', (_, make, maxError) => {
  const column = make();
  const all = new Set<number>();
  const files = Array.from({ length: FILES }, (_, file) => {
    const sketch = new ThetaSketch(4096);
    const distinct = new Set<number>();
    for (let row = 0; row < ROWS; row++) {
      const value = column(file, row);
      distinct.add(value);
      all.add(value);
      add(sketch, value);
    }
    return { theta: sketch.toCompact(512), estimate: distinct.size, complete: true };
  });
  const whole = { files: FILES, rows: FILES * ROWS, deletedRows: 0 };

  it('is estimated within three standard errors if every file has a sketch', () => {
    const values = union(files).values(whole)!;
    if (values.exact !== undefined) expect(values.exact).toBe(all.size);
    else expect(Math.abs(values.estimate! - all.size) / all.size).toBeLessThan(3 * values.relativeError!);
  });

  it.each([20, 8, 4])('is estimated from %i of 40 files', (sampled) => {
    const values = union(files.filter((_, i) => i % (FILES / sampled) === 1)).values(whole)!;
    const error = Math.abs(values.estimate! - all.size) / all.size;
    expect(error).toBeLessThanOrEqual(maxError + 3 * 0.03);
    // The reported error covers the actual error.
    expect(error).toBeLessThanOrEqual(3 * values.relativeError! + 1e-9);
  });

  it('is estimated from one of 40 files, wrong by a factor of at most √40', () => {
    const values = union(files.slice(7, 8)).values(whole)!;
    const ratio = values.estimate! / all.size;
    expect(Math.max(ratio, 1 / ratio)).toBeLessThan(Math.sqrt(FILES) * 1.1);
  });
});

describe('the union of files', () => {
  it('is exact if the sketches contain every value, and contains them', () => {
    const union = new ColumnUnion();
    for (const from of [0, 50]) union.add({ theta: theta(from, from + 100), estimate: 100, complete: true }, 100);
    const { exact, theta: bytes } = union.values({ files: 2, rows: 200, deletedRows: 0 })!;
    expect([exact, decodeCompactTheta(bytes)?.hashes.length]).toEqual([150, 300]);
  });

  it('is not exact if rows are deleted', () => {
    const union = new ColumnUnion();
    union.add({ theta: theta(0, 100), estimate: 100, complete: true }, 100);
    expect(union.values({ files: 1, rows: 100, deletedRows: 10 })).toMatchObject({ estimate: 100, relativeError: 0.1 });
  });

  it('treats a file without the column as a file without values', () => {
    const union = new ColumnUnion();
    union.add({ theta: theta(0, 100), estimate: 100, complete: true }, 100);
    union.addEmpty(100);
    expect(union.values({ files: 2, rows: 200, deletedRows: 0 })).toMatchObject({ exact: 100 });
  });

  it('is unknown without a sketch', () => {
    expect(new ColumnUnion().values({ files: 2, rows: 200, deletedRows: 0 })).toBeUndefined();
  });

  it("uses a file's own estimate if only a part of it was read", () => {
    const union = new ColumnUnion();
    // 100 values were seen, and the file is estimated to have ten times as many.
    union.add({ theta: theta(0, 100), estimate: 1000, complete: false }, 5000);
    const { estimate, relativeError } = union.values({ files: 1, rows: 5000, deletedRows: 0 })!;
    expect([estimate, relativeError]).toEqual([1000, 0.9]);
  });
});

describe('values in a stretch of a file', () => {
  it.each([
    ['in random order', 20_000, (next: () => number) => Math.floor(next() * 20_000), 0.05],
    ['unique', 1_000_000, (_: () => number, i: number) => i, 0.01],
    ['sorted, each 20 times', 50_000, (_: () => number, i: number) => Math.floor(i / 20), 0.01],
    ['with two distinct values', 2, (next: () => number) => Math.floor(next() * 2), 0],
  ])('%s', (_, truth, value, maxError) => {
    const next = random(9);
    const times = new Map<number, number>();
    let [runs, last] = [0, -1];
    const [rows, sampled] = [1_000_000, 50_000];
    for (let i = 0; i < sampled; i++) {
      const now = value(next, i);
      if (now !== last) times.set(now, (times.get(now) ?? 0) + 1);
      if (now !== last) runs++;
      last = now;
    }
    const occurring = (n: number) => [...times.values()].filter((count) => count === n).length;
    const seen = { distinct: times.size, once: occurring(1), twice: occurring(2) };
    const estimate = extrapolate(seen, runs, (runs * rows) / sampled);
    expect(Math.abs(estimate - truth) / truth).toBeLessThanOrEqual(maxError);
  });
});

function union(files: { theta: Uint8Array; estimate: number; complete: boolean }[]): ColumnUnion {
  const union = new ColumnUnion();
  for (const file of files) union.add(file, ROWS);
  return union;
}

function theta(from: number, to: number): Uint8Array {
  const sketch = new ThetaSketch(512);
  for (let value = from; value < to; value++) add(sketch, value);
  return sketch.toCompact();
}

function add(sketch: ThetaSketch, value: number): void {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64LE(BigInt(value));
  hashBytes(bytes);
  sketch.add(thetaHash.high, thetaHash.low);
}
