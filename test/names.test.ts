import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { CodedError } from '../src/errors.ts';
import { formatName, parseName } from '../src/names.ts';

const segment = fc.oneof(
  fc.string({ unit: 'binary' }),
  fc.string({ unit: 'grapheme' }),
  fc.string({ unit: fc.constantFrom('.', '"', "'", '\\', ' ', 'a') }),
);

describe('names', () => {
  it.each([
    ['main.fx.orders', ['main', 'fx', 'orders']],
    ['main."fx.eu".orders', ['main', 'fx.eu', 'orders']],
    [`main.'fx "eu"'.orders`, ['main', 'fx "eu"', 'orders']],
    ['main."a\\"b\\\\c"', ['main', 'a"b\\c']],
    ['a\\.b.c', ['a.b', 'c']],
    ['größe.テーブル', ['größe', 'テーブル']],
    ['""', ['']],
    ["'it\\'s'.b", ["it's", 'b']],
    ['a-b_c', ['a-b_c']],
  ])('parses %s', (text, parts) => {
    expect(parseName(text)).toEqual(parts);
  });

  it.each([
    [['main', 'fx', 'orders-1'], 'main.fx.orders-1'],
    [['a.b', '', 'c d', 'e"f\\'], '"a.b".""."c d"."e\\"f\\\\"'],
  ])('formats %j', (parts, text) => {
    expect(formatName(parts)).toBe(text);
  });

  it.each([
    ['', 1, 'empty segment'],
    ['a..b', 3, 'empty segment'],
    ['a.', 3, 'empty segment'],
    ['.a', 1, 'empty segment'],
    ['a."b', 3, 'not closed'],
    ['a.\'b"', 3, 'not closed'],
    ['"a"b', 4, 'expected a dot'],
    ['a"b"', 2, 'quote the whole segment'],
    ['a b', 2, 'space'],
    ['a\\', 2, 'backslash'],
    ['"a\\', 3, 'backslash'],
  ])('rejects %j at position %i: %s', (text, position, problem) => {
    const error = (() => {
      try {
        parseName(text);
      } catch (e) {
        return e;
      }
    })();
    expect(error).toBeInstanceOf(CodedError);
    expect(error).toMatchObject({ code: 'INVALID_ARGUMENT' });
    expect((error as Error).message).toContain(`position ${position}`);
    expect((error as Error).message).toContain(problem);
  });

  it('shortens a long name in the error', () => {
    expect(() => parseName(`${'x'.repeat(1_000)} y`)).toThrow(
      `name '${'x'.repeat(199)}…' is invalid at position 1001: a space outside quotes`,
    );
  });

  it('parses any formatted segments to the same segments', () => {
    fc.assert(
      fc.property(fc.array(segment, { minLength: 1 }), (parts) => {
        expect(parseName(formatName(parts))).toEqual(parts);
      }),
    );
  });

  it('fails only with INVALID_ARGUMENT', () => {
    fc.assert(
      fc.property(segment, (text) => {
        try {
          expect(formatName(parseName(text)).length).toBeGreaterThan(0);
        } catch (error) {
          expect(error).toMatchObject({ code: 'INVALID_ARGUMENT' });
        }
      }),
    );
  });
});
