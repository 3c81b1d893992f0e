import { afterEach, beforeEach, describe, expect, it } from '@jest/globals';
import { displayWidth, shorten, wrap } from '../../../src/cli/io/display-width.ts';
import { bytes, count, duration, printable, time, word } from '../../../src/cli/io/format.ts';
import { withDefaults } from '../../../src/cli/io/json.ts';
import { interval, keyValue, list } from '../../../src/cli/io/options.ts';
import { TablePrinter } from '../../../src/cli/io/table-printer.ts';
import { ReconcileJob } from '../../../src/generated/reconciler/v1/jobs.ts';
import { ColumnStats } from '../../../src/generated/reconciler/v1/statistics.ts';
import { stubEnv, unstubAllEnvs } from '../../jest/stub-env.ts';

beforeEach(() => stubEnv('NO_COLOR', '1'));
afterEach(unstubAllEnvs);

describe('text', () => {
  it('shows amounts with units', () => {
    expect([0, 1023, 1536, 10_485_760, 5_368_709_120n].map(bytes)).toEqual([
      '0 B',
      '1023 B',
      '1.5 KiB',
      '10.0 MiB',
      '5.0 GiB',
    ]);
    expect([0n, 1_234_567, undefined].map(count)).toEqual(['0', '1,234,567', '-']);
    expect([0, 4_249, 83_000, 7_380_000].map(duration)).toEqual(['0.0s', '4.2s', '1m23s', '2h03m']);
    expect(time(new Date(Date.UTC(2026, 0, 2, 3, 4, 5, 678)))).toBe('2026-01-02T03:04:05Z');
    expect(word('CONNECTOR_KIND_ICEBERG', 'CONNECTOR_KIND_')).toBe('iceberg');
  });

  it('is shortened in the middle', () => {
    expect(shorten('s3://bucket/a/b/c/file.parquet', 20)).toBe('s3://b…/file.parquet');
    expect(shorten('short', 5)).toBe('short');
    expect(shorten('日本語日本語', 6)).toBe('…本語');
    expect(displayWidth(shorten('日本語日本語', 3))).toBeLessThanOrEqual(3);
  });

  it('keeps characters with combining marks, and emoji of several code points, whole', () => {
    expect(shorten('e\u0301a\u0301o\u0301u\u0301', 3)).toBe('…o\u0301u\u0301');
    expect(shorten('👩‍👩‍👧‍👦👩‍👩‍👧‍👦👩‍👩‍👧‍👦', 4)).toBe('…👩‍👩‍👧‍👦');
  });

  it('is wrapped between words, and after the punctuation of a longer word', () => {
    expect(wrap('one two three four', 9)).toEqual(['one two', 'three', 'four']);
    expect(wrap('see file:///warehouse/sales/orders/metadata now', 20)).toEqual([
      'see',
      'file:///warehouse/',
      'sales/orders/',
      'metadata now',
    ]);
    expect(wrap('it has 1,234,567.89 rows', 12)).toEqual(['it has', '1,234,567.89', 'rows']);
    expect(wrap('', 10)).toEqual(['']);
  });

  it('escapes control characters', () => {
    expect(printable('a\u001b[31mb\nc\u009b')).toBe('a\\x1b[31mb c\\x9b');
    expect(printable('a\u202eb\u2066c')).toBe('a\\u202eb\\u2066c');
  });

  it('shows times of any year', () => {
    expect(time(new Date(Date.UTC(275760, 0)))).toBe('+275760-01-01T00:00:00Z');
    expect(time(new Date(Number.NaN))).toBe('-');
  });
});

describe('TablePrinter', () => {
  const columns = [
    { title: 'PATH', value: (r: [string, number]) => r[0], min: 12 },
    { title: 'N', value: (r: [string, number]) => String(r[1]), align: 'right' as const },
  ];

  it('aligns numbers, and prints titles once', () => {
    const table = new TablePrinter(columns, {});
    expect(
      table.render([
        ['a', 1],
        ['bcd', 1_000],
      ]),
    ).toBe('PATH     N\na        1\nbcd   1000\n');
    expect(table.render([['e', 2]])).toBe('e        2\n');
    expect(table.render([])).toBe('');
  });

  it('shifts only the line of a longer cell on a later page', () => {
    const table = new TablePrinter(columns, {});
    table.render([['a', 1]]);
    expect(table.render([['longer', 2]])).toBe('longer  2\n');
  });

  it('shortens paths to the width of a terminal, and nothing in a pipe', () => {
    const rows: [string, number][] = [['/warehouse/namespace/table/data/file.parquet', 7]];
    const lines = new TablePrinter(columns, { isTTY: true, columns: 30 }).render(rows).trimEnd().split('\n');
    expect(lines.map((line) => line.length)).toEqual([30, 30]);
    expect(lines[1]).toMatch(/^\/.*….*file\.parquet +7$/);
    expect(new TablePrinter(columns, { columns: 30 }).render(rows)).toContain(rows[0]?.[0]);
  });

  it('counts wide characters as two', () => {
    expect(
      new TablePrinter(columns, {}).render([
        ['日本', 1],
        ['abcd', 2],
      ]),
    ).toBe('PATH  N\n日本  1\nabcd  2\n');
  });
});

describe('JSON', () => {
  const json = <T extends object>(type: { toJSON(m: T): unknown }, message: T) =>
    withDefaults(message, type.toJSON(message));

  it('contains zeros, and omits absent fields', () => {
    const job = json(
      ReconcileJob,
      ReconcileJob.create({ jobId: 'j', counters: { errors: 0n, tablesScanned: 9_007_199_254_740_993n } }),
    );
    expect(job).toMatchObject({
      jobId: 'j',
      message: '',
      full: false,
      counters: { errors: '0', tablesScanned: '9007199254740993' },
    });
    expect(job).not.toHaveProperty('startedAt');
  });

  it('omits absent statistics, and contains zeros of optional ones', () => {
    const stats = json(
      ColumnStats,
      ColumnStats.create({ columnId: 1, nullCount: 0n, lowerBound: Buffer.from([1, 255]) }),
    );
    expect(stats).toMatchObject({ nullCount: '0', lowerBound: 'Af8=', dropped: false });
    expect(stats).not.toHaveProperty('valueCount');
    expect(stats).not.toHaveProperty('ndv');
    const sketched = ColumnStats.create({ ndv: { exact: 0n, sketches: [{ type: 't', data: Buffer.from('x') }] } });
    expect(json(ColumnStats, sketched).ndv).toEqual({ exact: '0', sketches: [{ type: 't', data: 'eA==' }] });
  });
});

describe('option values', () => {
  it('are lists, with commas in quotes', () => {
    expect(list('a, b,"c,d".e', ['z'])).toEqual(['z', 'a', 'b', '"c,d".e']);
    expect(list('')).toEqual([]);
  });

  it('are intervals', () => {
    expect(['90', '90s', '15m', '6h', '1d', '0'].map(interval)).toEqual([90, 90, 900, 21_600, 86_400, 0]);
    expect(() => interval('-1')).toThrow('15m');
  });

  it('are key-value pairs', () => {
    expect(keyValue('a=b=c', { x: 'y' })).toEqual({ x: 'y', a: 'b=c' });
    expect(() => keyValue('=b')).toThrow('key=value');
  });
});
