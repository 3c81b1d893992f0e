import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { boundText } from '../../src/stats/bounds.ts';
import { inTypeOfColumn, widened, widestType } from '../../src/stats/partition-value.ts';

const bytes = (length: number, write: (buffer: Buffer) => unknown) => {
  const buffer = Buffer.alloc(length);
  write(buffer);
  return buffer;
};
const int = (value: number) => bytes(4, (buffer) => buffer.writeInt32LE(value));
const long = (value: bigint) => bytes(8, (buffer) => buffer.writeBigInt64LE(value));
const float = (value: number) => bytes(4, (buffer) => buffer.writeFloatLE(value));
const double = (value: number) => bytes(8, (buffer) => buffer.writeDoubleLE(value));
const MICROS_PER_DAY = 86_400_000_000n;

/** Types between which a column can be widened, with a value in each. */
const WIDENINGS: [from: string, to: string, value: fc.Arbitrary<[Buffer, Buffer]>][] = [
  ['int', 'long', fc.integer().map((n) => [int(n), long(BigInt(n))])],
  ['float', 'double', fc.float().map((n) => [float(n), double(n)])],
  [
    'date',
    'timestamp',
    fc.integer({ min: -(10 ** 8), max: 10 ** 8 }).map((n) => [int(n), long(BigInt(n) * MICROS_PER_DAY)]),
  ],
  [
    'date',
    'timestamp_ns',
    fc.integer({ min: -106_000, max: 106_000 }).map((n) => [int(n), long(BigInt(n) * MICROS_PER_DAY * 1000n)]),
  ],
  [
    'decimal(9, 2)',
    'decimal(20, 2)',
    fc.constantFrom<[Buffer, Buffer]>([Buffer.of(0xff, 0x9c), Buffer.of(0xff, 0xff, 0x9c)]),
  ],
];

it.each(WIDENINGS)('a value of %s equals the same of %s', (from, to, value) => {
  expect(widestType(from)).toBe(widestType(to));
  const type = widestType(to);
  fc.assert(
    fc.property(value, ([narrow, wide]) => {
      const stored = widened({ type: from, value: narrow });
      expect(stored).toEqual(widened({ type: to, value: wide }));
      // What is widened already stays.
      expect(widened({ type, value: stored })).toEqual(stored);
      expect(inTypeOfColumn({ type, value: stored }, from)).toEqual(from.startsWith('decimal') ? stored : narrow);
      expect(inTypeOfColumn({ type, value: stored }, to)).toEqual(to.startsWith('decimal') ? stored : wide);
      // As another client of the catalog stores it.
      expect(inTypeOfColumn({ type: from, value: narrow }, to)).toEqual(to.startsWith('decimal') ? stored : wide);
    }),
  );
});

// Delta protocol, "Type Widening": the values are equal, but not their bytes.
it.each<[from: string, to: string, value: Buffer, text: string]>([
  ['int', 'double', int(-7), '-7.0'],
  ['int', 'double', int(2 ** 31 - 1), '2147483647.0'],
  ['int', 'decimal(12, 2)', int(-7), '-7.00'],
  ['long', 'decimal(22, 2)', long(-(2n ** 63n)), '-9223372036854775808.00'],
  ['decimal(6, 2)', 'decimal(12, 4)', Buffer.of(0xff, 0x9c), '-1.0000'],
])('a value of %s is shown in its column that is a %s now', (from, to, value, text) => {
  const stored = { type: widestType(from), value: widened({ type: from, value }) };
  expect(boundText(to, inTypeOfColumn(stored, to))).toBe(text);
});

it('keeps nanoseconds, and tells them from microseconds', () => {
  fc.assert(
    fc.property(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), (nanos) => {
      const stored = widened({ type: 'timestamp_ns', value: long(nanos) });
      expect(stored.length).toBe(nanos % 1000n === 0n ? 8 : 10);
      expect(inTypeOfColumn({ type: 'timestamp', value: stored }, 'timestamp_ns')).toEqual(long(nanos));
    }),
  );
});

describe('what is malformed or has no other width', () => {
  it.each([
    ['int', Buffer.of(1, 2, 3)],
    ['timestamp_ns', Buffer.of(1)],
    ['float', Buffer.alloc(0)],
    ['string', Buffer.from('text')],
    ['timestamptz', long(5n)],
    ['fixed[2]', Buffer.of(1, 2)],
    ['nonsense', Buffer.of(1)],
  ])('stays: %s %j', (type, value) => {
    const stored = widened({ type, value });
    expect(stored).toEqual(value);
    expect(inTypeOfColumn({ type: widestType(type), value: stored }, type)).toEqual(value);
  });

  // No timestamp is in the year 300000.
  it('stays: a date that no timestamp has', () => {
    const value = int(2 ** 31 - 1);
    expect(widened({ type: 'date', value })).toEqual(value);
    expect(inTypeOfColumn({ type: 'timestamp', value }, 'date')).toEqual(value);
  });
});
