import { expect, it } from '@jest/globals';
import fc from 'fast-check';
import { partitionKey } from '../../src/stats/partition-key.ts';
import { type TypedValue, widened, widestType } from '../../src/stats/partition-value.ts';
import { float32Bytes, float64Bytes, int32Bytes, int64Bytes } from '../../src/stats/value-bytes.ts';

const DAY = 86_400_000_000n;

/** A value of a field in one form, and all the forms in which clients may state it. */
interface Field {
  of: string;
  values: fc.Arbitrary<number | bigint | string | boolean>;
  forms: (value: never) => TypedValue[];
}

const days = (n: number): TypedValue[] => [
  { type: 'int', value: int32Bytes(n) },
  { type: 'INT', value: int32Bytes(n) },
  { type: 'long', value: int64Bytes(BigInt(n)) },
  { type: 'date', value: int32Bytes(n) },
  { type: 'Date', value: int32Bytes(n) },
];
const micros = (n: bigint): TypedValue[] => [
  { type: 'timestamp', value: int64Bytes(n) },
  { type: 'timestamptz', value: int64Bytes(n) },
];
const nanos = (n: bigint): TypedValue[] => [
  { type: 'timestamp_ns', value: int64Bytes(n) },
  { type: 'timestamptz_ns', value: int64Bytes(n) },
  { type: 'TIMESTAMP_NS', value: int64Bytes(n) },
];
const int64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
const signBytes = (n: bigint, length: number) => {
  const hex = BigInt.asUintN(length * 8, n)
    .toString(16)
    .padStart(length * 2, '0');
  return Buffer.from(hex, 'hex');
};

const FIELDS: Field[] = [
  { of: 'day', values: fc.integer(), forms: days },
  {
    of: 'identity of a date that became a timestamp',
    values: fc.integer({ min: -106_000, max: 106_000 }),
    forms: (n: number) => [
      { type: 'date', value: int32Bytes(n) },
      ...micros(BigInt(n) * DAY),
      ...nanos(BigInt(n) * DAY * 1000n),
      // A timestamp's value in the width of the date that it was.
      { type: 'timestamp', value: int32Bytes(n) },
      { type: 'timestamp_ns', value: int32Bytes(n) },
    ],
  },
  {
    of: 'identity of a timestamp',
    values: fc.bigInt({ min: -(2n ** 53n), max: 2n ** 53n }),
    forms: (n: bigint) => [...micros(n), ...nanos(n * 1000n)],
  },
  { of: 'identity of a timestamp_ns', values: int64, forms: nanos },
  {
    of: 'identity of an int that became a long',
    values: fc.integer(),
    forms: (n: number) => [
      { type: 'int', value: int32Bytes(n) },
      { type: 'long', value: int64Bytes(BigInt(n)) },
      { type: 'long', value: int32Bytes(n) },
    ],
  },
  { of: 'identity of a long', values: int64, forms: (n: bigint) => [{ type: 'long', value: int64Bytes(n) }] },
  {
    of: 'identity of a float that became a double',
    values: fc.float(),
    forms: (n: number) => [
      { type: 'float', value: float32Bytes(n) },
      { type: 'double', value: float64Bytes(n) },
      { type: 'double', value: float32Bytes(n) },
    ],
  },
  {
    of: 'identity of a decimal',
    values: fc.bigInt({ min: -(10n ** 9n) + 1n, max: 10n ** 9n - 1n }),
    forms: (n: bigint) =>
      ['decimal(9, 2)', 'decimal(9,2)', 'DECIMAL(9, 2)', 'decimal(38, 2)'].flatMap((type) =>
        [5, 8, 16].map((length) => ({ type, value: signBytes(n, length) })),
      ),
  },
  {
    of: 'identity of a boolean',
    values: fc.boolean(),
    forms: (is: boolean) => (is ? [1, 2, 255] : [0]).map((byte) => ({ type: 'boolean', value: Buffer.of(byte) })),
  },
  {
    of: 'identity of a string',
    values: fc.string(),
    forms: (text: string) => ['string', 'binary', 'STRING'].map((type) => ({ type, value: Buffer.from(text) })),
  },
];

it.each(FIELDS)('equal values of $of have equal keys, and others have others', ({ values, forms }) => {
  const keysOf = (value: unknown) =>
    new Set(
      forms(value as never).flatMap((form) => [
        Buffer.from(partitionKey(form)).toString('hex'),
        // As a worker sends it.
        Buffer.from(partitionKey({ type: widestType(form.type), value: widened(form) })).toString('hex'),
      ]),
    );
  fc.assert(
    fc.property(values, values, (a, b) => {
      expect([...keysOf(a)]).toHaveLength(1);
      expect([...keysOf(a)][0] === [...keysOf(b)][0]).toBe(Object.is(a, b));
    }),
    { numRuns: 500 },
  );
});

it('all forms of NaN are one value', () => {
  const other = Buffer.from([1, 0, 0, 0, 0, 0, 0xf8, 0xff]);
  expect(partitionKey({ type: 'double', value: other })).toEqual(
    partitionKey({ type: 'float', value: float32Bytes(Number.NaN) }),
  );
});

it.each([
  ['int', Buffer.of(1, 2, 3)],
  ['date', Buffer.alloc(0)],
  ['timestamp_ns', Buffer.of(1)],
  ['double', Buffer.of(1)],
  ['boolean', Buffer.of(2, 2)],
  ['nonsense', Buffer.of(2)],
])('what is malformed stays: %s %j', (type, value) => {
  expect(partitionKey({ type, value })).toEqual(value);
});
