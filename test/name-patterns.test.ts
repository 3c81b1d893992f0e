import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { nameFilter } from '../src/name-patterns.ts';
import { formatName, parseName } from '../src/names.ts';

const none = { includeNamespaces: [], excludeNamespaces: [], includeTables: [], excludeTables: [] };
const table = (text: string) => {
  const path = parseName(text);
  return { namespace: path.slice(0, -1), name: path.at(-1) as string };
};
const includes = (patterns: Partial<typeof none> | Record<string, string[]>, text: string) =>
  nameFilter({ ...none, ...patterns }).includes(table(text));

describe('patterns', () => {
  it.each([
    ['sales.orders', 'sales.orders', true],
    ['sales.orders', 'sales.orders2', false],
    ['sales.orders_*', 'sales.orders_', true],
    ['sales.orders_*', 'sales.orders_2026', true],
    ['sales.orders_*', 'sales.eu.orders_2026', false],
    ['sales.*', 'sales.eu.orders', false],
    ['sales.**', 'sales.eu.orders', true],
    ['**.tmp_*', 'a.b.c.tmp_1', true],
    ['**.tmp_*', 'tmp_1', true],
    ['**.tmp_*', 'a.tmp_1.b', false],
    ['a.**.z', 'a.z', true],
    ['a.**.z', 'a.b.z.c.z', true],
    ['a.**.z', 'a.b.z.c', false],
    ['a.**.b.**.c', 'a.x.b.b.y.c', true],
    ['a.order?', 'a.orders', true],
    ['a.order?', 'a.order', false],
    ['a.?', 'a."😀"', true],
    ['a.*b*c', 'a.xbyybcbc', true],
    ['a.*b*c', 'a.xbyyb', false],
    ['a."b*"', 'a."b*"', true],
    ['a."b*"', 'a.bc', false],
    ['a.b\\*', 'a.bc', false],
    ['a.my\\ *', 'a."my orders"', true],
    ['a."**"', 'a.b.c', false],
    ['"a.b".*', '"a.b".c', true],
    ['"a.b".*', 'a.b.c', false],
    ['A.b', 'a.b', false],
    ['**', 'a.b.c', true],
  ])('%s matches %s: %s', (pattern, name, matches) => {
    expect(includes({ includeTables: [pattern] }, name)).toBe(matches);
    expect(includes({ excludeTables: [pattern] }, name)).toBe(!matches);
  });

  it('of a namespace also match the namespaces below it', () => {
    for (const name of ['sales.a', 'sales.eu.a', 'sales.eu.at.a']) {
      expect(includes({ includeNamespaces: ['sales'] }, name)).toBe(true);
      expect(includes({ excludeNamespaces: ['sales'] }, name)).toBe(false);
    }
    expect(includes({ includeNamespaces: ['sales'] }, 'sales2.a')).toBe(false);
    expect(includes({ includeNamespaces: ['*.eu'] }, 'sales.a')).toBe(false);
    expect(includes({ includeNamespaces: ['*.eu'] }, 'sales.eu.a')).toBe(true);
  });

  it('all apply, and an exclude wins', () => {
    const patterns = { includeNamespaces: ['a', 'b'], excludeNamespaces: ['a.tmp'], includeTables: ['**.x*'] };
    const all = { ...patterns, excludeTables: ['b.xx'] };
    expect(['a.x', 'a.y', 'a.tmp.x', 'b.x', 'b.xx', 'c.x'].filter((name) => includes(all, name))).toEqual([
      'a.x',
      'b.x',
    ]);
    expect(includes({}, 'anything')).toBe(true);
    expect(nameFilter(undefined).hasPatterns).toBe(false);
    expect(nameFilter({ ...none, excludeTables: ['a'] }).hasPatterns).toBe(true);
  });

  it('that are formatted names match only that name', () => {
    const segment = fc.string({
      unit: fc.constantFrom('*', '?', '.', '"', '\\', ' ', 'a'),
      minLength: 1,
      maxLength: 5,
    });
    const path = fc.array(segment, { minLength: 1, maxLength: 3 });
    fc.assert(
      fc.property(path, path, (one, other) => {
        const filter = nameFilter({ ...none, includeTables: [formatName(one)] });
        const toTable = (p: string[]) => ({ namespace: p.slice(0, -1), name: p.at(-1) as string });
        expect(filter.includes(toTable(one))).toBe(true);
        expect(filter.includes(toTable(other))).toBe(formatName(one) === formatName(other));
      }),
    );
  });

  it('match like regular expressions', () => {
    const unit = fc.constantFrom('a', 'b', '*', '?');
    fc.assert(
      fc.property(fc.string({ unit, minLength: 1, maxLength: 8 }), fc.stringMatching(/^[ab]{0,10}$/), (text, name) => {
        fc.pre(text !== '**');
        const regex = new RegExp(`^${text.replaceAll('*', '.*').replaceAll('?', '.')}$`);
        const filter = nameFilter({ ...none, includeTables: [text] });
        expect(filter.includes({ namespace: [], name })).toBe(regex.test(name));
      }),
      { numRuns: 2000 },
    );
  });

  it('match in time proportional to pattern length times name length', () => {
    const filter = nameFilter({ ...none, includeTables: [`a.${'*a'.repeat(200)}b`, `${'**.a.'.repeat(100)}b`] });
    expect(filter.includes({ namespace: ['a'], name: 'a'.repeat(5000) })).toBe(false);
    expect(filter.includes({ namespace: Array(100).fill('a'), name: 'a' })).toBe(false);
  });

  it.each<[Partial<typeof none> | Record<string, string[]>, string, boolean]>([
    [{}, 'a', true],
    [{ excludeNamespaces: ['a'] }, 'a', false],
    [{ excludeNamespaces: ['a'] }, 'a.b', false],
    [{ excludeNamespaces: ['a.b'] }, 'a', true],
    [{ excludeTables: ['a.**'] }, 'a.b', false],
    [{ excludeTables: ['a.*'] }, 'a', true],
    [{ includeNamespaces: ['b'] }, 'a', false],
    [{ includeNamespaces: ['a.b'] }, 'a', true],
    [{ includeNamespaces: ['a.b'] }, 'a.b.c', true],
    [{ includeNamespaces: ['**.b'] }, 'a', true],
    [{ includeTables: ['a.b'] }, 'a', true],
    [{ includeTables: ['a.b'] }, 'a.b', false],
    [{ includeTables: ['a.b'] }, 'c', false],
    [{ includeTables: ['a.**.x'] }, 'a.b.c', true],
  ])('%j: %s can contain included tables: %s', (patterns, namespace, expected) => {
    expect(nameFilter({ ...none, ...patterns }).mayContain(parseName(namespace))).toBe(expected);
  });

  it.each(['a..b', '"a', 'a b', ''])('reject %s', (text) => {
    expect(() => nameFilter({ ...none, includeTables: [text] })).toThrow(/pattern .* is invalid at position/);
  });
});
