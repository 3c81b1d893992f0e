import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { boundText } from '../../../../src/stats/bounds.ts';
import { leafColumns } from '../../../../src/stats/leaf-columns.ts';
import { addOf, fileOf, schemaWith } from './logged-adds.ts';

const struct = (fields: Record<string, unknown>) => ({
  type: 'struct',
  fields: Object.entries(fields).map(([name, type]) => ({ name, type, nullable: true, metadata: {} })),
});

/** The columns that the statistics have, as text, by name. */
function read(types: Record<string, unknown>, stats: unknown, columnIds?: ReadonlySet<number>) {
  const schema = schemaWith(types);
  const leaves = new Map(leafColumns(schema.json).map((leaf) => [leaf.id, leaf]));
  const { recordCount, columns } = fileOf(addOf(stats), '/t/f', schema, columnIds);
  const found = columns.map(({ id, valueCount, nullCount, lower, upper }) => {
    const { name, type } = leaves.get(id)!;
    return [name, [valueCount, nullCount, lower && boundText(type, lower), upper && boundText(type, upper)]];
  });
  return { recordCount, columns: Object.fromEntries(found) };
}

describe('the statistics of a file', () => {
  const types = {
    a: 'integer',
    'a.b': 'string',
    s: struct({ 'x.y': 'long', z: struct({ w: 'date' }) }),
    l: { type: 'array', elementType: 'long', containsNull: true },
  };
  const stats = {
    numRecords: 3,
    minValues: { s: { 'x.y': 5, z: { w: '2024-01-31' } }, a: -1, 'a.b': 'é"', l: 1, unknown: { a: [1, { b: null }] } },
    maxValues: { a: 7, 'a.b': 'ü', s: { z: { w: '2024-02-01' }, 'x.y': 6 } },
    nullCount: { a: 0, 'a.b': 1, s: { 'x.y': 2, z: { w: 0 } }, l: 0 },
    other: ['ignored', -1.5e3, true],
  };
  const expected = {
    a: [3, 0, '-1', '7'],
    'a.b': [3, 1, 'é"', 'ü'],
    's.x.y': [3, 2, '5', '6'],
    's.z.w': [3, 0, '2024-01-31', '2024-02-01'],
  };

  it('are found by name, in any order and with white space', () => {
    expect(read(types, stats)).toEqual({ recordCount: 3, columns: expected });
    expect(read(types, JSON.stringify(stats, null, ' \t\r\n'))).toEqual({ recordCount: 3, columns: expected });
    const reversed = Object.fromEntries(Object.entries(stats).reverse());
    expect(read(types, reversed)).toEqual({ recordCount: 3, columns: expected });
  });

  it('are found if keys are escaped', () => {
    const text = JSON.stringify(stats).replaceAll('"a"', '"\\u0061"').replace('"numRecords"', '"\\u006eumRecords"');
    expect(read(types, text)).toEqual({ recordCount: 3, columns: expected });
  });

  it('are restricted to selected columns', () => {
    expect(Object.keys(read(types, stats, new Set([1, 4])).columns)).toEqual(['a', 's.x.y']);
  });

  it('are absent if the log has none', () => {
    expect(read(types, undefined)).toEqual({ recordCount: -1, columns: {} });
    expect(read(types, {})).toEqual({ recordCount: -1, columns: {} });
    expect(read(types, { numRecords: 3 })).toEqual({ recordCount: 3, columns: {} });
  });

  it('have no bounds of a column whose values are all null', () => {
    expect(
      read({ a: 'long' }, { numRecords: 2, minValues: { a: 1 }, maxValues: { a: 1 }, nullCount: { a: 2 } }).columns,
    ).toEqual({ a: [2, 2, undefined, undefined] });
  });

  it('are those of the last of equal keys, as JSON.parse reads them', () => {
    const text = '{"numRecords":1,"minValues":{"a":1,"a":null},"maxValues":{"a":1,"a":2},"nullCount":{"a":1,"a":0}}';
    expect(read({ a: 'long' }, text).columns).toEqual({ a: [1, 0, undefined, '2'] });
  });

  it('are left out if they contradict each other', () => {
    expect(read({ a: 'long' }, { numRecords: 2, nullCount: { a: 3 } }).columns).toEqual({});
    expect(read({ a: 'long' }, { numRecords: -2, nullCount: { a: -3 } })).toEqual({ recordCount: -1, columns: {} });
    expect(read({ a: 'long' }, { numRecords: 2.5, nullCount: { a: '1' } })).toEqual({ recordCount: -1, columns: {} });
  });

  it.each([
    ['a struct for a value', { numRecords: 1, minValues: { a: { b: 1 } }, maxValues: { a: [1] }, nullCount: { a: 0 } }],
    ['a value for a struct', { numRecords: 1, minValues: 1, maxValues: 'x', nullCount: { a: 0, s: 0 } }],
    ['text for a number', { numRecords: 1, minValues: { a: '1' }, maxValues: { a: true }, nullCount: { a: 0 } }],
  ])('leave out what has the wrong type: %s', (_, stats) => {
    expect(read({ a: 'long', s: struct({ b: 'long' }) }, stats)).toEqual({
      recordCount: 1,
      columns: { a: [1, 0, undefined, undefined] },
    });
  });
});

describe('the text of statistics', () => {
  const types = { a: 'long', b: 'string', s: struct({ c: 'double' }) };
  const json = fc.json({ maxDepth: 5 });
  const stats = fc.record(
    { numRecords: json, minValues: json, maxValues: json, nullCount: json, tightBounds: json },
    { requiredKeys: [] },
  );
  const texts = stats.map((parts) => `{${Object.entries(parts).map(([key, value]) => `"${key}" : ${value}`)}}`);
  const damaged = fc.tuple(
    texts,
    fc.nat(),
    fc.nat({ max: 3 }),
    fc.constantFrom('', '"', '{', '}', ',', ':', '\\', '0', '-', '.', 'e', ' ', '\u0001', 'é'),
  );
  const isObject = (text: string) => {
    try {
      const value = JSON.parse(text);
      return typeof value === 'object' && value !== null && !Array.isArray(value);
    } catch {
      return false;
    }
  };

  it('is read if and only if JSON.parse reads it', () => {
    const WITH_ROWS = '{"numRecords":1,';
    fc.assert(
      fc.property(damaged, ([text, at, cut, put]) => {
        const place = at % (text.length + 1);
        const broken = text.slice(0, place) + put + text.slice(place + cut);
        if (!broken.startsWith('{') || broken.includes('numRecords')) return;
        const counted = WITH_ROWS + (broken === '{}' ? '"x":1}' : broken.slice(1));
        expect(read(types, counted).recordCount).toBe(isObject(counted) ? 1 : -1);
      }),
      { numRuns: 3000 },
    );
  });

  it.each([
    '',
    ' ',
    'null',
    '1',
    '[]',
    '"{}"',
    '{',
    '{"numRecords":1',
    '{"numRecords":1}}',
    '{"numRecords":1} x',
    '{"numRecords":1,}',
    '{"numRecords":01}',
    '{"numRecords":1,"x":"\t"}',
    '{"numRecords":1,"x":"\\q"}',
  ])('that is no JSON object leaves everything out: %j', (text) => {
    expect(read(types, text)).toEqual({ recordCount: -1, columns: {} });
  });

  it('that nests too deeply leaves everything out', () => {
    for (const [open, close] of [
      ['[', ']'],
      ['{"a":', '}'],
    ]) {
      const text = `{"numRecords":1,"x":${open!.repeat(100_000)}1${close!.repeat(100_000)}}`;
      expect(read(types, text).recordCount).toBe(-1);
    }
  });

  it('of millions of characters is read without the bounds that nobody can use', () => {
    const long = 'x'.repeat(5 * 1024 * 1024);
    expect(
      read(types, { numRecords: 2, minValues: { a: 1, b: long }, maxValues: { b: long }, nullCount: { b: 0 } }),
    ).toEqual({
      recordCount: 2,
      columns: { a: [2, undefined, '1', undefined], b: [2, 0, undefined, undefined] },
    });
    expect(read(types, `{"numRecords":2,"x":"${'x'.repeat(17 * 1024 * 1024)}"}`).recordCount).toBe(-1);
    // The next file is not affected.
    expect(read(types, { numRecords: 1, minValues: { b: 'x' } }).columns).toEqual({
      b: [1, undefined, 'x', undefined],
    });
  });
});
