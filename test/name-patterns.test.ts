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

  it.each<[Partial<typeof none> | Record<string, string[]>, string, boolean, boolean]>([
    [{}, 'a', true, true],
    [{ includeNamespaces: ['b'] }, 'a', false, false],
    [{ includeNamespaces: ['a.b'] }, 'a', false, true],
    [{ includeNamespaces: ['a.b'] }, 'a.b', true, true],
    [{ includeNamespaces: ['a.b'] }, 'a.b.c', true, true],
    [{ includeNamespaces: ['**.b'] }, 'a', false, true],
    [{ includeNamespaces: ['?.b'] }, 'aa', false, false],
    [{ includeTables: ['a.b'] }, 'a', true, false],
    [{ includeTables: ['a.b'] }, 'a.b', false, false],
    [{ includeTables: ['a.b'] }, 'c', false, false],
    [{ includeTables: ['a.b.c'] }, 'a', false, true],
    [{ includeTables: ['a.**.x'] }, 'a.b.c', true, true],
    [{ includeTables: ['**.x'] }, 'a', true, true],
    [{ includeNamespaces: ['a'], includeTables: ['a.b.*'] }, 'a', false, true],
    [{ includeNamespaces: ['a'], includeTables: ['b.*'] }, 'a', false, false],
    [{ excludeNamespaces: ['a'] }, 'a', false, false],
    [{ excludeNamespaces: ['a'] }, 'a.b', false, false],
    [{ excludeNamespaces: ['a.b'] }, 'a', true, true],
    [{ excludeNamespaces: ['a.*'] }, 'a', true, false],
    [{ excludeNamespaces: ['a.*.*'] }, 'a', true, true],
    [{ excludeNamespaces: ['**.b'] }, 'a', true, true],
    [{ excludeNamespaces: ['**.b'] }, 'a.b', false, false],
    [{ excludeTables: ['a.**'] }, 'a', false, false],
    [{ excludeTables: ['a.**'] }, 'a.b', false, false],
    [{ excludeTables: ['a.*'] }, 'a', false, true],
    [{ excludeTables: ['a.b*'] }, 'a', true, true],
    [{ excludeTables: ['a.?'] }, 'a', true, true],
    [{ excludeTables: ['a.*.*'] }, 'a', true, true],
    [{ excludeTables: ['a.*.**'] }, 'a', false, false],
    [{ excludeTables: ['a.**.*'] }, 'a', false, false],
    [{ excludeTables: ['a.*.*.**'] }, 'a', true, false],
    [{ excludeTables: ['**.tmp_*'] }, 'a', true, true],
    [{ includeNamespaces: ['a'], excludeNamespaces: ['a.tmp'] }, 'a.tmp', false, false],
  ])(
    '%j: of %s, something directly in it can be included: %s; something below: %s',
    (patterns, namespace, within, below) => {
      const filter = nameFilter({ ...none, ...patterns });
      expect([filter.mayTakeIn(parseName(namespace)), filter.mayTakeBelow(parseName(namespace))]).toEqual([
        within,
        below,
      ]);
    },
  );

  it('can include no table of which they rule out the namespace, or one above it', () => {
    const segment = fc.constantFrom('a', 'b', '*', '?', 'a*', '**');
    const pattern = fc.array(segment, { minLength: 1, maxLength: 4 }).map((parts) => parts.join('.'));
    const patterns = fc.record({
      ...{
        includeNamespaces: fc.array(pattern, { maxLength: 2 }),
        excludeNamespaces: fc.array(pattern, { maxLength: 2 }),
      },
      ...{ includeTables: fc.array(pattern, { maxLength: 2 }), excludeTables: fc.array(pattern, { maxLength: 2 }) },
    });
    const path = fc.array(fc.constantFrom('a', 'b', 'ab', 'c'), { minLength: 1, maxLength: 5 });
    let included = 0;
    fc.assert(
      fc.property(patterns, path, (some, name) => {
        const filter = nameFilter(some);
        const namespace = name.slice(0, -1);
        if (!filter.includes({ namespace, name: name.at(-1) as string })) return;
        included += 1;
        expect(filter.mayTakeIn(namespace)).toBe(true);
        for (let depth = 0; depth < namespace.length; depth++)
          expect(filter.mayTakeBelow(namespace.slice(0, depth))).toBe(true);
      }),
      { numRuns: 5000 },
    );
    expect(included).toBeGreaterThan(100);
  });

  it.each(['a..b', '"a', 'a b', ''])('reject %s', (text) => {
    expect(() => nameFilter({ ...none, includeTables: [text] })).toThrow(/pattern .* is invalid at position/);
  });
});
