import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { boundText, compareBounds, promoteBound } from '../../src/stats/bounds.ts';
import { truthBounds } from './truth.ts';

const hex = (text: string): Uint8Array => Buffer.from(text, 'hex');
const int = (value: number): Uint8Array => {
  const bytes = Buffer.alloc(4);
  bytes.writeInt32LE(value);
  return bytes;
};
const long = (value: bigint): Uint8Array => {
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64LE(value);
  return bytes;
};
const float = (value: number): Uint8Array => {
  const bytes = Buffer.alloc(4);
  bytes.writeFloatLE(value);
  return bytes;
};
const double = (value: number): Uint8Array => {
  const bytes = Buffer.alloc(8);
  bytes.writeDoubleLE(value);
  return bytes;
};
/** Big-endian two's complement in `width` bytes. */
const decimal = (value: bigint, width: number): Uint8Array => {
  const digits = BigInt.asUintN(8 * width, value).toString(16);
  return hex(digits.padStart(2 * width, '0'));
};

const TYPES = [
  'boolean',
  'int',
  'long',
  'float',
  'double',
  'decimal(9, 2)',
  'date',
  'time',
  'timestamp',
  'timestamptz',
  'timestamp_ns',
  'timestamptz_ns',
  'string',
  'uuid',
  'fixed[4]',
  'binary',
  'unknown',
  'variant',
  'geometry(srid:4326)',
  'geography(srid:4326, karney)',
  'no such type',
];

/** Adds the zero seconds and fractions that Java omits. */
function withAllDigits(type: string, text: string): string {
  if (!type.startsWith('time')) return text;
  const [, clock = '', fraction = '', zone = ''] = /^(.*?)(?:\.(\d+))?(\+00:00)?$/.exec(text) ?? [];
  const withSeconds = /(^|T)\d\d:\d\d$/.test(clock) ? `${clock}:00` : clock;
  return `${withSeconds}.${fraction.padEnd(6, '0')}${zone}`;
}

describe('boundText', () => {
  it('equals the text of the engines for every bound of the fixtures', () => {
    const bounds = truthBounds();
    expect(bounds.length).toBeGreaterThan(600);
    const different = bounds.filter(
      ({ type, hex: bytes, text }) => boundText(type, hex(bytes)) !== withAllDigits(type, text),
    );
    expect(different).toEqual([]);
  });

  it.each([
    ['date', int(-719_528), '0000-01-01'],
    ['date', int(-719_529), '-0001-12-31'],
    ['date', int(2_932_897), '+10000-01-01'],
    ['date', int(2 ** 31 - 1), '+5881580-07-11'],
    ['date', int(-(2 ** 31)), '-5877641-06-23'],
    ['date', int(11_016), '2000-02-29'],
    ['time', long(0n), '00:00:00.000000'],
    ['time', long(86_399_999_999n), '23:59:59.999999'],
    ['timestamp', long(-1n), '1969-12-31T23:59:59.999999'],
    ['timestamptz', long(0n), '1970-01-01T00:00:00.000000+00:00'],
    ['timestamp_ns', long(1_510_871_468_000_001_001n), '2017-11-16T22:31:08.000001001'],
    ['timestamptz_ns', long(-1n), '1969-12-31T23:59:59.999999999+00:00'],
    ['timestamp', long(2n ** 63n - 1n), '+294247-01-10T04:00:54.775807'],
    ['timestamp', long(-(2n ** 63n)), '-290308-12-21T19:59:05.224192'],
    ['timestamp', int(19_723), '2024-01-01T00:00:00.000000'],
    ['timestamp_ns', int(19_723), '2024-01-01T00:00:00.000000000'],
    ['timestamp_ns', int(2_932_897), '+10000-01-01T00:00:00.000000000'],
    ['long', int(-7), '-7'],
    ['double', float(0.1), '0.1'],
    ['float', float(0.1), '0.1'],
    ['float', float(3.4028234663852886e38), '3.4028235e+38'],
    ['float', float(1.401298464324817e-45), '1e-45'],
    ['float', float(16_777_216), '16777216.0'],
    ['double', double(5e-324), '5e-324'],
    ['double', double(1e15), '1000000000000000.0'],
    ['double', double(1e16), '1e+16'],
    ['double', double(123456789012345680), '1.2345678901234568e+17'],
    ['double', double(0.0001), '0.0001'],
    ['double', double(0.00001), '1e-05'],
    ['double', double(-1234.5), '-1234.5'],
    ['double', double(-0), '-0.0'],
    ['double', double(Number.NaN), 'NaN'],
    ['double', double(Number.NEGATIVE_INFINITY), '-Infinity'],
    ['decimal(9, 2)', hex('00'), '0.00'],
    ['decimal(9, 2)', hex('ff'), '-0.01'],
    ['decimal(9,2)', hex('00000096'), '1.50'],
    ['decimal(4, 4)', hex('01'), '0.0001'],
    ['decimal(3, 0)', hex('80'), '-128'],
    ['string', hex('efbbbf61'), '\ufeffa'],
    ['string', hex(''), ''],
    ['uuid', hex('f79c3e09677c4bbda4793f349cb785e7'), 'f79c3e09-677c-4bbd-a479-3f349cb785e7'],
    ['binary', hex('00ff'), 'AP8='],
    ['fixed[4]', hex('00ff'), 'AP8='],
    ['variant', hex('01'), 'AQ=='],
    ['geometry', hex('01'), 'AQ=='],
    ['geography(OGC:CRS84, spherical)', hex('01'), 'AQ=='],
    ['boolean', hex('01'), 'true'],
  ])('%s %o is %s', (type, bytes, text) => {
    expect(boundText(type, bytes)).toBe(text);
  });

  it('has no text for malformed bytes', () => {
    for (const type of [
      'boolean',
      'int',
      'long',
      'float',
      'double',
      'date',
      'time',
      'timestamp',
      'timestamptz',
      'uuid',
    ]) {
      expect(boundText(type, hex('0102030405'))).toBeUndefined();
      expect(boundText(type, hex(''))).toBeUndefined();
    }
    expect(boundText('decimal(9, 2)', hex(''))).toBeUndefined();
    expect(boundText('decimal(9, 2)', new Uint8Array(1_000_000))).toBeUndefined();
    expect(boundText('time', long(86_400_000_000n))).toBeUndefined();
    expect(boundText('time', long(-1n))).toBeUndefined();
    expect(boundText('timestamptz', int(1))).toBeUndefined();
    expect(boundText('unknown', hex('00'))).toBeUndefined();
    expect(boundText('decimal(99999, 2)', hex('00'))).toBeUndefined();
  });

  it('parses to the same float', () => {
    fc.assert(fc.property(fc.double({ noNaN: true }), (x) => Object.is(Number(boundText('double', double(x))), x)));
    fc.assert(
      fc.property(fc.float({ noNaN: true }), (x) => Object.is(Math.fround(Number(boundText('float', float(x)))), x)),
    );
  });

  it('agrees with Date on every timestamp in the range of Date', () => {
    const range = {
      min: new Date('0000-01-01T00:00:00Z'),
      max: new Date('9999-12-31T23:59:59.999Z'),
      noInvalidDate: true,
    };
    fc.assert(
      fc.property(fc.date(range), (date) => {
        const text = boundText('timestamp', long(BigInt(date.getTime()) * 1000n));
        expect(`${text?.slice(0, 23)}Z`).toBe(date.toISOString());
      }),
    );
  });
});

describe('compareBounds', () => {
  const type = fc.constantFrom(...TYPES);
  const bytes = fc.uint8Array({ maxLength: 17 });

  it('is a total order for any bytes', () => {
    fc.assert(
      fc.property(type, bytes, bytes, bytes, (name, a, b, c) => {
        expect(compareBounds(name, a, a)).toBe(0);
        expect(Math.sign(compareBounds(name, a, b))).toBe(-Math.sign(compareBounds(name, b, a)) + 0);
        if (compareBounds(name, a, b) <= 0 && compareBounds(name, b, c) <= 0) {
          expect(compareBounds(name, a, c)).toBeLessThanOrEqual(0);
        }
      }),
      { numRuns: 2_000 },
    );
  });

  it('compares by value, whatever the width', () => {
    expect(compareBounds('long', int(-1), long(-1n))).toBe(0);
    expect(compareBounds('long', int(5), long(2n ** 40n))).toBeLessThan(0);
    expect(compareBounds('double', float(1.5), double(1.5))).toBe(0);
    expect(compareBounds('timestamp', int(1), long(86_400_000_000n))).toBe(0);
    expect(compareBounds('timestamp_ns', int(1), long(86_400_000_000_001n))).toBeLessThan(0);
    expect(compareBounds('decimal(9, 2)', hex('ff'), hex('00'))).toBeLessThan(0);
    expect(compareBounds('decimal(9, 2)', hex('00000001'), hex('01'))).toBe(0);
  });

  it('sorts zeros, infinities and NaN', () => {
    const order = [Number.NEGATIVE_INFINITY, -1, -0, 0, 1, Number.POSITIVE_INFINITY, Number.NaN];
    for (const [i, x] of order.entries()) {
      for (const [j, y] of order.entries()) {
        expect(Math.sign(compareBounds('double', double(x), double(y)))).toBe(Math.sign(i - j));
        expect(Math.sign(compareBounds('float', float(x), float(y)))).toBe(Math.sign(i - j));
      }
    }
  });

  it('sorts strings by code points, not by UTF-16 units', () => {
    expect(compareBounds('string', Buffer.from('\uffee'), Buffer.from('😀'))).toBeLessThan(0);
    expect(compareBounds('string', Buffer.from('a'), Buffer.from('ab'))).toBeLessThan(0);
    expect(compareBounds('binary', hex('7f'), hex('80'))).toBeLessThan(0);
    expect(compareBounds('uuid', decimal(1n, 16), decimal(2n ** 127n, 16))).toBeLessThan(0);
  });

  it('sorts malformed bounds before all valid ones', () => {
    expect(compareBounds('long', hex('ff'), long(-(2n ** 63n)))).toBeLessThan(0);
    expect(compareBounds('double', double(Number.NEGATIVE_INFINITY), hex(''))).toBeGreaterThan(0);
    expect(compareBounds('int', hex('01'), hex('02'))).toBeLessThan(0);
  });

  it('agrees with numbers', () => {
    fc.assert(
      fc.property(
        fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
        fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
        (x, y) => {
          const sign = x < y ? -1 : x > y ? 1 : 0;
          expect(compareBounds('long', long(x), long(y))).toBe(sign);
          expect(compareBounds('decimal(38, 0)', decimal(x, 9), decimal(y, 16))).toBe(sign);
        },
      ),
    );
  });
});

describe('promoteBound', () => {
  it.each([
    ['long', int(-3), long(-3n)],
    ['double', float(0.5), double(0.5)],
    ['timestamp', int(-1), long(-86_400_000_000n)],
    ['timestamp_ns', int(1), long(86_400_000_000_000n)],
    ['decimal(12, 2)', hex('0000ff'), hex('00ff')],
    ['decimal(12, 2)', hex('ffff80'), hex('80')],
    ['decimal(12, 2)', hex('0000'), hex('00')],
  ])('%s %o becomes %o', (type, from, to) => {
    expect(Buffer.from(promoteBound(type, from))).toEqual(to);
  });

  it('leaves a date unchanged if it is out of the range of timestamp_ns', () => {
    expect(promoteBound('timestamp_ns', int(2_932_897))).toEqual(int(2_932_897));
  });

  it('keeps the value and is idempotent', () => {
    fc.assert(
      fc.property(fc.constantFrom(...TYPES), fc.uint8Array({ maxLength: 17 }), (type, bytes) => {
        const promoted = promoteBound(type, bytes);
        expect(promoteBound(type, promoted)).toEqual(promoted);
        expect(compareBounds(type, bytes, promoted)).toBe(0);
        if (type !== 'double') expect(boundText(type, promoted)).toBe(boundText(type, bytes));
      }),
      { numRuns: 2_000 },
    );
  });
});
