import { describe, expect, it } from '@jest/globals';
import { readableText } from '../../src/cli/stats/partitions.ts';
import { boundText } from '../../src/stats/bounds.ts';

const bytes = (hex: string) => Buffer.from(hex.replaceAll(' ', ''), 'hex');
const readable = (transform: string, type: string, value: Buffer) =>
  readableText(transform, { type, value, text: boundText(type, value) });

describe('readableText', () => {
  // The texts of Iceberg Java's TestYears, TestMonths, TestDays and TestHours (1.9), for 2017-12-01T10:12:55 and for times before 1970.
  it.each([
    ['year', 47, '2017'],
    ['year', -1, '1969'],
    ['month', 575, '2017-12'],
    ['month', 526, '2013-11'],
    ['month', 0, '1970-01'],
    ['month', -1, '1969-12'],
    ['month', -13, '1968-12'],
    ['day', 17_501, '2017-12-01'],
    ['day', -1, '1969-12-31'],
    ['hour', 420_034, '2017-12-01-10'],
    ['hour', -1, '1969-12-31-23'],
    ['bucket[16]', 11, '11'],
    ['identity', 526, '526'],
    ['truncate[10]', 520, '520'],
  ])('is %s(%d) as %s', (transform, number, text) => {
    const value = Buffer.alloc(4);
    value.writeInt32LE(number);
    expect(readable(transform, 'int', value)).toBe(text);
  });

  it.each([
    ['a day that Iceberg Java wrote', 'day', 'date', '5d440000', '2017-12-01'],
    ['a decimal', 'identity', 'decimal(9, 2)', '04d2', '12.34'],
    ['a negative decimal', 'truncate[10]', 'decimal(9, 2)', 'fb2e', '-12.34'],
    ['bytes', 'identity', 'binary', '00ff10', '0x00ff10'],
    ['fixed bytes', 'identity', 'fixed[2]', 'cafe', '0xcafe'],
    ['a UUID', 'identity', 'uuid', 'f79c3e096677 4bbda479 3f349cb785e7', 'f79c3e09-6677-4bbd-a479-3f349cb785e7'],
    ['a boolean', 'identity', 'boolean', '01', 'true'],
    // 2017-11-16T22:31:08 and the same with half a second (Iceberg spec, appendix D, uses this day).
    ['a timestamp', 'identity', 'timestamp', '00c3262d215e0500', '2017-11-16T22:31:08'],
    ['a timestamp with a fraction', 'identity', 'timestamptz', '20642e2d215e0500', '2017-11-16T22:31:08.5Z'],
    ['midnight', 'identity', 'timestamp', '0000000000000000', '1970-01-01T00:00:00'],
  ])('shows %s', (_, transform, type, hex, text) => {
    expect(readable(transform, type, bytes(hex))).toBe(text);
  });

  it.each([
    ['eu', 'eu'],
    ['New York', 'New York'],
    ['null', '"null"'],
    ['', '""'],
    ['a, b=c', '"a, b=c"'],
    ['"', '"\\""'],
  ])('quotes a string only if it could be taken for something else: %j', (value, text) => {
    expect(readable('identity', 'string', Buffer.from(value))).toBe(text);
  });

  it('leaves a time without a fraction as it is', () => {
    expect(readableText('identity', { type: 'timestamp', text: '2024-01-01T10:00:00' })).toBe('2024-01-01T10:00:00');
  });

  it('has no text for null, which void always is', () => {
    expect(readableText('void', { type: 'int' })).toBeUndefined();
  });
});
