import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { boundText } from '../../src/stats/bounds.ts';
import { convertBound } from '../../src/stats/convert-bound.ts';
import { float32Bytes, int32Bytes, int64Bytes } from '../../src/stats/value-bytes.ts';

const textAs = (from: string, to: string, bytes: Uint8Array) => {
  const converted = convertBound(from, to, bytes);
  return converted && boundText(to, converted);
};

describe('a bound in a wider type', () => {
  it.each([
    ['int', 'long', int32Bytes(-5), '-5'],
    ['int', 'double', int32Bytes(7), '7.0'],
    ['int', 'decimal(11, 1)', int32Bytes(-3), '-3.0'],
    ['long', 'decimal(21, 1)', int64Bytes(2n ** 62n), '4611686018427387904.0'],
    ['float', 'double', float32Bytes(3.4), '3.4000000953674316'],
    ['date', 'timestamp', int32Bytes(19753), '2024-01-31T00:00:00.000000'],
    ['decimal(10, 2)', 'decimal(20, 2)', Buffer.of(0x30, 0x39), '123.45'],
    ['decimal(10, 2)', 'decimal(20, 5)', Buffer.of(0xff), '-0.01000'],
    ['string', 'string', Buffer.from('x'), 'x'],
  ])('%s as %s', (from, to, bytes, expected) => {
    expect(textAs(from, to, bytes)).toBe(expected);
  });

  it.each([
    ['int', 'string'],
    ['string', 'long'],
    ['long', 'int'],
    ['long', 'date'],
    ['decimal(10, 2)', 'decimal(10, 1)'],
    ['boolean', 'double'],
    ['interval year', 'long'],
  ])('%s as %s is none', (from, to) => {
    expect(convertBound(from, to, int32Bytes(1))).toBeUndefined();
  });

  it.each([0, 3, 5, 17])('of %d bytes, which are malformed, is none', (length) => {
    expect(convertBound('int', 'double', Buffer.alloc(length))).toBeUndefined();
    expect(convertBound('long', 'decimal(20, 2)', Buffer.alloc(length))).toBeUndefined();
    if (length === 0 || length === 17)
      expect(convertBound('decimal(20, 1)', 'decimal(20, 2)', Buffer.alloc(length))).toBeUndefined();
  });

  it('has the same value for any int', () => {
    fc.assert(
      fc.property(fc.integer(), fc.nat({ max: 10 }), (value, scale) => {
        expect(textAs('int', `decimal(38, ${scale})`, int32Bytes(value))).toBe(
          scale === 0 ? String(value) : `${value}.${'0'.repeat(scale)}`,
        );
      }),
    );
  });
});
