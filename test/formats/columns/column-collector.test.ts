import { expect, it } from '@jest/globals';
import fc from 'fast-check';
import {
  ColumnCollector,
  LOWER,
  NANS,
  NULLS,
  SIZE,
  UPPER,
  VALUES,
} from '../../../src/formats/columns/column-collector.ts';
import { packColumns } from '../../../src/formats/columns/pack-columns.ts';
import type { ColumnMetrics } from '../../../src/formats/columns/packed-columns.ts';
import { DataFile } from '../../../src/generated/reconciler/v1/statistics.ts';

const maybe = <T>(arb: fc.Arbitrary<T>) => fc.option(arb, { nil: undefined });
const count = maybe(fc.oneof(fc.maxSafeNat(), fc.nat(200)));
const bound = maybe(fc.uint8Array({ maxLength: 300 }));

/** The columns of a file, in any order; more than the collector has room for at first. */
const columns: fc.Arbitrary<ColumnMetrics[]> = fc.uniqueArray(
  fc.record({
    id: fc.oneof(fc.integer({ min: 1, max: 60 }), fc.integer({ min: 1, max: 2 ** 31 - 1 })),
    ...{ sizeInBytes: count, valueCount: count, nullCount: count, nanCount: count, lower: bound, upper: bound },
  }),
  { maxLength: 100, size: 'max', selector: ({ id }) => id },
);

const big = (value: number | undefined) => (value === undefined ? undefined : BigInt(value));
const buffer = (value: Uint8Array | undefined) => value && Buffer.from(value);

/** As the generated code writes them. */
function generated(metrics: readonly ColumnMetrics[]): Uint8Array {
  const sorted = [...metrics].sort((a, b) => a.id - b.id);
  const messages = sorted.map(({ id, sizeInBytes, valueCount, nullCount, nanCount, lower, upper }) => ({
    columnId: id,
    ...{
      sizeInBytes: big(sizeInBytes),
      valueCount: big(valueCount),
      nullCount: big(nullCount),
      nanCount: big(nanCount),
    },
    ...{ lowerBound: buffer(lower), upperBound: buffer(upper) },
  }));
  return DataFile.encode(DataFile.fromPartial({ columns: messages })).finish();
}

it('packs columns in any order as the generated code writes them', () => {
  fc.assert(
    fc.property(columns, (metrics) => {
      expect(Buffer.from(packColumns(metrics)).equals(generated(metrics))).toBe(true);
    }),
  );
});

/** Which columns a file's maps have, in which order, and whether the maps are in one piece. */
const file = columns.chain((metrics) =>
  fc.record({
    metrics: fc.constant(metrics.filter((column) => Object.values(column).some((v, i) => i > 0 && v !== undefined))),
    orders: fc.array(fc.shuffledSubarray(metrics, { minLength: metrics.length }), { minLength: 6, maxLength: 6 }),
  }),
);

it('merges the maps of one file after the other, whatever the order of their columns', () => {
  fc.assert(
    fc.property(fc.array(file, { maxLength: 4 }), (files) => {
      const collector = new ColumnCollector();
      const block: Buffer[] = [Buffer.alloc(7)];
      let end = 7;
      for (const { metrics, orders } of files) {
        const counts = [
          [SIZE, 'sizeInBytes'],
          [VALUES, 'valueCount'],
          [NULLS, 'nullCount'],
          [NANS, 'nanCount'],
        ] as const;
        const bounds = [
          [LOWER, 'lower'],
          [UPPER, 'upper'],
        ] as const;
        collector.startFile();
        for (const [i, [kind, name]] of counts.entries()) {
          collector.startMap();
          for (const { id, [name]: value } of orders[i]!) {
            if (value !== undefined) collector.setCount(collector.column(id), kind, value);
          }
        }
        for (const [i, [side, name]] of bounds.entries()) {
          collector.startMap();
          for (const { id, [name]: value } of orders[4 + i]!) {
            if (value === undefined) continue;
            collector.setBound(collector.column(id), side, end, value.length);
            block.push(Buffer.from(value));
            end += value.length;
          }
        }
        expect(Buffer.from(collector.finish(Buffer.concat(block))).equals(generated(metrics))).toBe(true);
      }
    }),
  );
});

it('keeps what it has packed, whatever it packs later', () => {
  const collector = new ColumnCollector();
  const pack = (value: number) => {
    collector.startFile();
    collector.setBound(collector.column(1), LOWER, 0, 4);
    return collector.finish(Buffer.alloc(4, value));
  };
  const first = pack(1);
  pack(2);
  expect(Buffer.from(first).equals(generated([{ id: 1, lower: new Uint8Array(4).fill(1) }]))).toBe(true);
});
