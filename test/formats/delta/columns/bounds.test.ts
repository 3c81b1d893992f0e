import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { boundText, compareBounds } from '../../../../src/stats/bounds.ts';
import { leafColumns } from '../../../../src/stats/leaf-columns.ts';
import { float32Bytes, float64Bytes, int64Bytes } from '../../../../src/stats/value-bytes.ts';
import { addOf, fileOf, schemaWith } from './logged-adds.ts';

/** Reads a file with one column whose smallest and largest values have these JSON texts. */
function file(type: string, lower: string, upper: string, metadata = {}) {
  const stats = `{"numRecords":2,"minValues":{"a":${lower}},"maxValues":{"a":${upper}},"nullCount":{"a":0}}`;
  return fileOf(addOf(stats), '/t/f', schemaWith({ a: type }, [], metadata)).columns[0]!;
}

/** The bounds of a column, as text. */
function bounds(type: string, lower: string, upper = lower, metadata = {}) {
  const column = file(type, lower, upper, metadata);
  const icebergType = leafColumns(schemaWith({ a: type }).json)[0]!.type;
  return [column.lower, column.upper].map((bound) => bound && boundText(icebergType, bound));
}

const NONE = [undefined, undefined];
const both = (text: string) => [text, text];

describe('bounds of integers', () => {
  it.each([
    ['byte', '-128', both('-128')],
    ['integer', '-0', both('0')],
    ['integer', '2147483647', both('2147483647')],
    ['integer', '2147483648', NONE],
    ['integer', '1.0', NONE],
    ['integer', '1e3', NONE],
    ['long', '9007199254740993', both('9007199254740993')],
    ['long', '-9223372036854775808', both('-9223372036854775808')],
    ['long', '9223372036854775808', NONE],
    ['long', `1${'0'.repeat(100_000)}`, NONE],
    ['long', '"5"', NONE],
    ['long', 'null', NONE],
    ['boolean', 'true', both('true')],
    ['boolean', '1', NONE],
    ['binary', '"x"', NONE],
    ['variant', '"x"', NONE],
    ['interval year', '"x"', NONE],
  ])('%s %s', (type, text, expected) => {
    expect(bounds(type, text)).toEqual(expected);
  });

  it('are those of any long', () => {
    fc.assert(
      fc.property(fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }), (value) => {
        expect(file('long', String(value), String(value)).lower).toEqual(new Uint8Array(int64Bytes(value)));
      }),
    );
  });
});

describe('bounds of floats', () => {
  it.each([
    ['float', '3.4', both('3.4')],
    ['double', '-5e-324', both('-5e-324')],
    ['double', '0.0', ['-0.0', '0.0']],
    ['double', '-0.0', ['-0.0', '0.0']],
    ['double', '"NaN"', NONE],
    ['double', '"-Infinity"', both('-Infinity')],
    ['float', '"Infinity"', both('Infinity')],
    ['double', '1e999', NONE],
    ['float', '1e39', NONE],
  ])('%s %s', (type, text, expected) => {
    expect(bounds(type, text)).toEqual(expected);
  });

  it('are those of any double and float', () => {
    const options = { noNaN: true, noDefaultInfinity: true };
    fc.assert(
      fc.property(fc.double(options), fc.float(options), (double, float) => {
        if (double === 0 || float === 0) return;
        expect(file('double', String(double), String(double)).upper).toEqual(new Uint8Array(float64Bytes(double)));
        expect(file('float', String(float), String(float)).upper).toEqual(new Uint8Array(float32Bytes(float)));
      }),
    );
  });

  it('of a column that was a float are the wider of both readings', () => {
    const metadata = { 'delta.typeChanges': [{ fromType: 'float', toType: 'double', tableVersion: 2 }] };
    expect(bounds('double', '3.4', '3.4', metadata)).toEqual(['3.4', '3.4000000953674316']);
    expect(bounds('double', '0.7', '0.7', metadata)).toEqual(['0.699999988079071', '0.7']);
    expect(bounds('double', '0.7000000001', '0.7000000001', metadata)).toEqual(both('0.7000000001'));
    expect(bounds('double', '1e300', '1e300', metadata)).toEqual(both('1e+300'));
    expect(bounds('double', '3.4', '3.4')).toEqual(both('3.4'));
  });
});

describe('bounds of decimals', () => {
  it.each([
    ['decimal(10,2)', '-99999999.99', both('-99999999.99')],
    ['decimal(10,2)', '1.5', both('1.50')],
    ['decimal(12,4)', '12', both('12.0000')],
    ['decimal(10,2)', '"1.25"', both('1.25')],
    ['decimal(10,2)', '1.999', ['1.99', '2.00']],
    ['decimal(10,2)', '-1.999', ['-2.00', '-1.99']],
    ['decimal(10,2)', '1e-400', ['0.00', '0.01']],
    ['decimal(10,2)', '0.30000000000000004', both('0.30')],
    ['decimal(38,18)', '0E-18', both('0.000000000000000000')],
    ['decimal(20,2)', '1.5e3', both('1500.00')],
    // More digits than a double has, or zeros that nobody writes for a double: as Java writes decimals.
    ['decimal(38,10)', '1234567890123456789012345678.0123456789', both('1234567890123456789012345678.0123456789')],
    ['decimal(38,18)', '12.500000000000000000', both('12.500000000000000000')],
    ['decimal(38,0)', '12345678901234567890123', both('12345678901234567890123')],
    // Integers that no double has.
    ['decimal(20,2)', '123456789012345678', both('123456789012345678.00')],
    ['decimal(38,0)', '9007199254740993', both('9007199254740993')],
    // What a double may stand for: other values are rounded to the same text.
    ['decimal(38,10)', '1.2345678901234568e25', NONE],
    ['decimal(38,18)', '1.0', NONE],
    ['decimal(18,4)', '-97975601767521.1', NONE],
    ['decimal(20,2)', '123456789012345680', NONE],
    // delta-rs converts the double to a 64-bit integer if the scale is 0.
    ['decimal(20,0)', '9223372036854775807', NONE],
    ['decimal(20,0)', '-9223372036854775808', NONE],
    ['decimal(10,2)', '1e999999999', NONE],
    ['decimal(38,0)', `1${'0'.repeat(100)}`, NONE],
  ])('%s %s', (type, text, expected) => {
    expect(bounds(type, text)).toEqual(expected);
  });

  it('are exact if Java wrote them with their scale and at most 15 or at least 18 digits', () => {
    const digits = fc.oneof(
      fc.bigInt({ min: 0n, max: 10n ** 15n - 1n }),
      fc.bigInt({ min: 10n ** 17n, max: 10n ** 38n - 1n }).filter((v) => v % 10n !== 0n),
    );
    fc.assert(
      fc.property(digits, fc.integer({ min: 1, max: 37 }), fc.boolean(), (unscaled, scale, isNegative) => {
        const padded = String(unscaled).padStart(scale + 1, '0');
        const text = `${isNegative && unscaled > 0n ? '-' : ''}${padded.slice(0, -scale)}.${padded.slice(-scale)}`;
        expect(bounds(`decimal(38,${scale})`, text)).toEqual(both(text));
      }),
    );
  });

  it('of a writer that knows only doubles exclude no value', () => {
    fc.assert(
      fc.property(
        fc.bigInt({ min: -(10n ** 38n) + 1n, max: 10n ** 38n - 1n }),
        fc.integer({ min: 1, max: 38 }),
        fc.integer({ min: 0, max: 30 }),
        (all, digits, scale) => {
          const unscaled = all % 10n ** BigInt(digits);
          const double = Number(unscaled) / 10 ** scale;
          const type = `decimal(38, ${scale})`;
          const value = Buffer.from(BigInt.asUintN(136, unscaled).toString(16).padStart(34, '0'), 'hex');
          const { lower = value, upper = value } = file(`decimal(38,${scale})`, String(double), String(double));
          expect(compareBounds(type, lower, value)).toBeLessThanOrEqual(0);
          expect(compareBounds(type, upper, value)).toBeGreaterThanOrEqual(0);
        },
      ),
      { numRuns: 2000 },
    );
  });
});

describe('bounds of dates and timestamps', () => {
  it.each([
    ['date', '2024-02-29', both('2024-02-29')],
    ['date', '0001-01-01', both('0001-01-01')],
    ['date', '+12345-12-31', both('+12345-12-31')],
    ['date', '2023-02-29', NONE],
    ['date', '2024-13-01', NONE],
    ['date', 'today', NONE],
    ['timestamp', '2024-01-31T13:01:02.003Z', ['2024-01-31T13:01:02.003000+00:00', '2024-01-31T13:01:02.003999+00:00']],
    ['timestamp', '2024-01-31 13:01:02Z', ['2024-01-31T13:01:02.000000+00:00', '2024-01-31T13:01:02.000999+00:00']],
    [
      'timestamp',
      '2024-01-31T13:01:02.003000Z',
      ['2024-01-31T13:01:02.003000+00:00', '2024-01-31T13:01:02.003999+00:00'],
    ],
    ['timestamp', '2024-01-31T13:01:02.003004Z', both('2024-01-31T13:01:02.003004+00:00')],
    [
      'timestamp',
      '2024-01-31T13:01:02.003004005Z',
      ['2024-01-31T13:01:02.003004+00:00', '2024-01-31T13:01:02.004003+00:00'],
    ],
    ['timestamp', '2024-01-31T23:01:02.003004-08:00', both('2024-02-01T07:01:02.003004+00:00')],
    ['timestamp', '1883-11-18T12:00:00.000001-07:52:58', both('1883-11-18T19:52:58.000001+00:00')],
    ['timestamp', '1883-11-18T12:00:00.000001+00:53', both('1883-11-18T11:07:00.000001+00:00')],
    ['timestamp', '2024-01-31T13:01:02.003004', both('2024-01-31T13:01:02.003004+00:00')],
    ['timestamp', '1969-12-31T23:59:59.999Z', ['1969-12-31T23:59:59.999000+00:00', '1969-12-31T23:59:59.999999+00:00']],
    ['timestamp', '9999-12-31T23:59:59.999Z', ['9999-12-31T23:59:59.999000+00:00', '9999-12-31T23:59:59.999999+00:00']],
    ['timestamp', '+10000-01-01T00:00:00.000001Z', both('+10000-01-01T00:00:00.000001+00:00')],
    // The largest long, in milliseconds: what is added would not fit (delta-io/delta, issue 6260).
    [
      'timestamp',
      '+294247-01-10T04:00:54.775Z',
      ['+294247-01-10T04:00:54.775000+00:00', '+294247-01-10T04:00:54.775807+00:00'],
    ],
    ['timestamp', '+294248-01-10T04:00:54.775Z', [undefined, '+294247-01-10T04:00:54.775807+00:00']],
    ['timestamp', '-290309-01-10T04:00:54.775Z', ['-290308-12-21T19:59:05.224192+00:00', undefined]],
    ['timestamp_ntz', '2024-01-31 13:01:02.003', ['2024-01-31T13:01:02.003000', '2024-01-31T13:01:02.003999']],
    ['timestamp_ntz', '2024-01-31', both('2024-01-31T00:00:00.000000')],
    ['timestamp', '2024-01-31T24:00:00Z', NONE],
    ['timestamp', '2024-01-31T13:60:00Z', NONE],
    ['timestamp', '2024-01-31T13:01:02.Z', NONE],
    ['timestamp', '2024-01-31T13:01:02 Europe/Paris', NONE],
    ['timestamp', '2024-01-31T13:01:02+99:00', NONE],
  ])('%s %s', (type, text, expected) => {
    expect(bounds(type, JSON.stringify(text))).toEqual(expected);
  });

  it('include every time whose milliseconds a writer shows, in any zone', () => {
    const date = fc.date({
      min: new Date('0001-01-02T00:00:00Z'),
      max: new Date('9999-12-30T00:00:00Z'),
      noInvalidDate: true,
    });
    const offset = fc.integer({ min: -18 * 60, max: 18 * 60 });
    fc.assert(
      fc.property(date, fc.nat({ max: 999 }), offset, (time, micros, minutes) => {
        const value = int64Bytes(BigInt(time.getTime()) * 1000n + BigInt(micros));
        const local = new Date(time.getTime() + minutes * 60_000).toISOString();
        const sign = minutes < 0 ? '-' : '+';
        const zone = [Math.floor(Math.abs(minutes) / 60), Math.abs(minutes) % 60]
          .map((n) => String(n).padStart(2, '0'))
          .join(':');
        const text = JSON.stringify(local.replace('Z', sign + zone));
        const { lower, upper } = file('timestamp', text, text);
        expect(compareBounds('timestamptz', lower!, value)).toBeLessThanOrEqual(0);
        expect(compareBounds('timestamptz', upper!, value)).toBeGreaterThanOrEqual(0);
      }),
    );
  });
});

describe('bounds of strings', () => {
  it('are their UTF-8, with and without escapes', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 200 }), (text) => {
        expect(Buffer.from(file('string', JSON.stringify(text), '""').lower!).toString()).toBe(text);
        const escaped = JSON.stringify(text).replace(
          /[^ -~]/g,
          (c) => `\\u${c.charCodeAt(0).toString(16).padStart(4, '0')}`,
        );
        expect(Buffer.from(file('string', '""', escaped).upper!).toString()).toBe(text);
      }),
    );
  });

  it('that end within a character are lower bounds only', () => {
    const { lower, upper } = file('string', '"a\\ud83d"', '"a\\ud83d"');
    expect(Buffer.compare(lower!, Buffer.from('a😀'))).toBe(-1);
    expect(upper).toBeUndefined();
  });

  it('of a column with a collation are left out, because they exclude equal strings', () => {
    expect(bounds('string', '"abc"', '"abc"', { __COLLATIONS: { a: 'spark.UTF8_LCASE' } })).toEqual(NONE);
    expect(bounds('string collate UTF8_LCASE', '"abc"')).toEqual(NONE);
  });
});
