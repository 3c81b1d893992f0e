import { createHash } from 'node:crypto';
import { describe, expect, it } from '@jest/globals';
import { NO_COLUMNS } from '../../../../src/formats/columns/packed-columns.ts';
import type { AddAction } from '../../../../src/formats/delta/actions.ts';
import { vectorFile } from '../../../../src/formats/delta/columns/content-file.ts';
import { boundText } from '../../../../src/stats/bounds.ts';
import { leafColumns } from '../../../../src/stats/leaf-columns.ts';
import { inTypeOfColumn } from '../../../../src/stats/partition-value.ts';
import { addOf, fileOf, schemaWith } from './logged-adds.ts';

describe('a data file', () => {
  const schema = schemaWith({ id: 'long', p: 'string' }, ['p']);

  it('has the path, size, partition and row ids of its add', () => {
    const add = addOf(
      { numRecords: 2, nullCount: { id: 1 } },
      { size: 123, baseRowId: 40, partitionValues: { p: 'ü' } },
    );
    expect(fileOf(add, '/t/a b', schema)).toMatchObject({
      path: '/t/a b',
      content: 'DATA',
      format: 'PARQUET',
      recordCount: 2,
      fileSizeInBytes: 123,
      specId: 0,
      schemaId: 0,
      partition: [{ fieldId: 1000, name: 'p', type: 'string', value: Buffer.from('ü') }],
      columns: [
        { id: 1, valueCount: 2, nullCount: 1 },
        { id: 2, valueCount: 2, nullCount: 0, lower: Buffer.from('ü'), upper: Buffer.from('ü') },
      ],
      firstRowId: 40,
    });
  });

  it('with deleted rows keeps bounds, and null counts only of none or all', () => {
    const many = schemaWith({ a: 'long', b: 'long', c: 'long' });
    const minValues = { a: 1, b: 1, c: 1 };
    const file = fileOf(
      addOf({ numRecords: 9, minValues, nullCount: { a: 0, b: 4, c: 9 }, tightBounds: false }),
      '/t/f',
      many,
    );
    expect(file.columns.map(({ nullCount, lower }) => [nullCount, lower?.[0]])).toEqual([
      [0, 1],
      [undefined, 1],
      [9, undefined],
    ]);
    const tight = fileOf(addOf({ numRecords: 9, nullCount: { b: 4 }, tightBounds: true }), '/t/f', many);
    expect(tight).toMatchObject({ columns: [{ nullCount: 4 }] });
  });

  it('of a checkpoint has the same statistics from the struct as from the text', () => {
    const types = {
      i: 'integer',
      l: 'long',
      d: 'double',
      f: 'float',
      n: 'decimal(10,2)',
      t: 'timestamp',
      z: 'timestamp_ntz',
      day: 'date',
      s: 'string',
      b: 'boolean',
    };
    const all = schemaWith({
      ...types,
      st: { type: 'struct', fields: [{ name: 'x', type: 'long', nullable: true, metadata: {} }] },
    });
    const micros = BigInt(Date.UTC(2024, 0, 31, 13, 1, 2, 3)) * 1000n;
    const nulls = Object.fromEntries([...Object.keys(types).map((name) => [name, 1n]), ['st', { x: 0n }]]);
    const values = (sign: 1 | -1) => ({
      parsed: {
        i: 7 * sign,
        l: 2n ** 60n * BigInt(sign),
        d: 0.1 * sign,
        f: Math.fround(0.1),
        n: `${sign * 1.25}`,
        t: micros,
        z: micros,
        day: 19753,
        s: 'é',
        b: true,
        st: { x: 5n },
      },
      text: `{"i":${7 * sign},"l":${2n ** 60n * BigInt(sign)},"d":${0.1 * sign},"f":0.1,"n":${sign * 1.25},"t":"2024-01-31T13:01:02.003Z","z":"2024-01-31T13:01:02.003","day":"2024-01-31","s":"é","b":true,"st":{"x":5}}`,
    });
    const [lower, upper] = [values(-1), values(1)];
    const counts = JSON.stringify(nulls, (_, value) => (typeof value === 'bigint' ? Number(value) : value));
    const fromText = fileOf(
      addOf(`{"numRecords":5,"minValues":${lower.text},"maxValues":${upper.text},"nullCount":${counts}}`),
      '/t/f',
      all,
    );
    const statsParsed = {
      numRecords: 5n,
      minValues: lower.parsed,
      maxValues: upper.parsed,
      nullCount: nulls,
      tightBounds: null,
    };
    expect(fileOf(addOf(undefined, { statsParsed }), '/t/f', all)).toEqual(fromText);
    expect(fromText.columns).toHaveLength(11);
    expect(fromText.columns.every((column) => column.lower && column.upper)).toBe(true);
  });

  it('of a checkpoint is read in the types of the schema, whichever types its struct has', () => {
    const later = schemaWith({ a: 'double', b: 'decimal(12,4)', c: 'timestamp_ntz', d: 'long' });
    const statsParsed = {
      numRecords: 1,
      minValues: { a: 7, b: '67.89', c: 19753, d: 3 },
      maxValues: { a: {}, b: new Uint8Array(1), c: 'x', d: 1.5 },
      nullCount: null,
    };
    const { columns } = fileOf(addOf(undefined, { statsParsed }), '/t/f', later);
    const types = leafColumns(later.json).map(({ type }) => type);
    expect(columns.map(({ lower }, index) => boundText(types[index]!, lower!))).toEqual([
      '7.0',
      '67.8900',
      '2024-01-31T00:00:00.000000',
      '3',
    ]);
    expect(columns.map(({ upper }) => upper)).toEqual([undefined, undefined, undefined, undefined]);
  });
});

describe('a partition value', () => {
  const read = (type: string, text: string | null | undefined) => {
    const schema = schemaWith({ p: type, x: 'long' }, ['p']);
    const partitionValues = (text === undefined ? {} : { p: text }) as AddAction['partitionValues'];
    const { partition, columns } = fileOf(addOf({ numRecords: 3 }, { partitionValues }), '/t/f', schema);
    const { type: own } = leafColumns(schema.json)[0]!;
    const [{ type: widest, value }] = partition as [(typeof partition)[number]];
    return { text: value && boundText(own, inTypeOfColumn({ type: widest, value }, own)), column: columns[0] };
  };

  // As Spark shows it: the text is cast to the new type.
  it('of a float column that becomes a double is that of the text, and no bound', () => {
    const schema = schemaWith({ p: 'float', x: 'long' }, ['p']);
    const { partition, columns } = fileOf(
      addOf({ numRecords: 3 }, { partitionValues: { p: '1.6666666' } }),
      '/t/f',
      schema,
    );
    const [{ type, value }] = partition as [(typeof partition)[number]];
    const shown = (as: string) => value && boundText(as, inTypeOfColumn({ type, value }, as));
    expect([shown('float'), shown('double')]).toEqual(['1.6666666', '1.6666666']);
    expect(columns[0]).toEqual({ id: 1, valueCount: 3, nullCount: 0 });
  });

  it.each([
    ['byte', '-5', '-5'],
    ['integer', '+7', '7'],
    ['long', '9223372036854775807', '9223372036854775807'],
    ['double', '-0.0', '-0.0'],
    ['double', '1.0E-5', '1e-05'],
    ['float', '3.4', '3.4'],
    ['double', 'NaN', 'NaN'],
    ['double', '-Infinity', '-Infinity'],
    ['boolean', 'true', 'true'],
    ['decimal(10,2)', '1.5', '1.50'],
    ['decimal(38,2)', '-123456789012345678901234567890123456.78', '-123456789012345678901234567890123456.78'],
    ['decimal(10,2)', '1E+3', '1000.00'],
    ['date', '2021-09-08', '2021-09-08'],
    ['timestamp', '2021-09-08 11:11:11', '2021-09-08T11:11:11.000000+00:00'],
    ['timestamp', '2024-01-01T10:00:00.000000Z', '2024-01-01T10:00:00.000000+00:00'],
    ['timestamp_ntz', '2021-09-08 11:11:11.123456', '2021-09-08T11:11:11.123456'],
    ['string', ' a ', ' a '],
    ['string', 'null', 'null'],
    ['string', '', ''],
    ['binary', '\\u0001\\u00FF', Buffer.of(1, 255).toString('base64')],
    ['binary', 'a\u0001', Buffer.of(97, 1).toString('base64')],
    ['integer', '', undefined],
    ['string', null, undefined],
    ['string', undefined, undefined],
    ['string', '__HIVE_DEFAULT_PARTITION__', undefined],
  ])('%s %j', (type, text, expected) => {
    expect(read(type, text).text).toBe(expected);
  });

  it('gives the statistics of its column', () => {
    expect(read('long', '5').column).toMatchObject({
      valueCount: 3,
      nullCount: 0,
      lower: Uint8Array.of(5, 0, 0, 0, 0, 0, 0, 0),
    });
    expect(read('long', null).column).toMatchObject({
      valueCount: 3,
      nullCount: 3,
      lower: undefined,
      upper: undefined,
    });
    expect(read('double', 'NaN').column).toMatchObject({ nullCount: 0, lower: undefined, upper: undefined });
    // Readers differ in whether these are null.
    expect(read('string', '').column).toBeUndefined();
    expect(read('string', '__HIVE_DEFAULT_PARTITION__').column).toBeUndefined();
  });

  it.each([
    ['integer', 'x'],
    ['integer', '2147483648'],
    ['date', '2021-02-30'],
    ['timestamp', 'now'],
    ['decimal(4,2)', '1.234'],
    ['boolean', 'maybe'],
    ['double', '0x10'],
  ])('that is none of its type (%s %s) is a named error', (type, text) => {
    const message = expect.stringMatching(/^file \/t\/f has the partition value ".*" in column "p", which is no /);
    expect(() => read(type, text)).toThrow(expect.objectContaining({ code: 'DATA_LOSS', message }));
  });

  it('is found by the physical name only', () => {
    const schema = schemaWith({ toString: 'string' }, ['toString']);
    expect(fileOf(addOf(undefined), '/t/f', schema).partition).toEqual([
      { fieldId: 1000, name: 'toString', type: 'string' },
    ]);
  });
});

describe('a deletion vector', () => {
  const schema = schemaWith({ p: 'long' }, ['p']);
  const vector = {
    storageType: 'u',
    pathOrInlineDv: 'ab^-aqEH.-t@S}K{vb[*k^',
    offset: 4,
    sizeInBytes: 40,
    cardinality: 6,
  } as const;

  it('in a file is identified by its path and offset', () => {
    const add = addOf(undefined, { deletionVector: vector, partitionValues: { p: '1' } });
    expect(vectorFile(add, '/t/f', schema, '/t/v.bin')).toEqual({
      path: '/t/v.bin',
      content: 'POSITION_DELETES',
      format: 'DELTA_DV',
      recordCount: 6,
      fileSizeInBytes: 48,
      specId: 0,
      partition: [{ fieldId: 1000, name: 'p', type: 'long', value: Buffer.of(1, 0, 0, 0, 0, 0, 0, 0) }],
      columns: NO_COLUMNS,
      referencedDataFile: '/t/f',
      contentOffset: 4,
      contentSizeInBytes: 48,
    });
    const { offset: _, ...withoutOffset } = vector;
    expect(
      vectorFile(addOf(undefined, { deletionVector: withoutOffset }), '/t/f', schema, '/t/v.bin'),
    ).not.toHaveProperty('contentOffset');
  });

  // The example of the Delta protocol, "Deletion Vector Descriptor Schema": rows 3, 4, 7, 11, 18 and 29.
  const inline = {
    storageType: 'i',
    pathOrInlineDv: '^Bg9^0rr910000000000iXQKl0rr91000f55c8Xg0@@D72lkbi5=-{L',
    sizeInBytes: 44,
    cardinality: 6,
  } as const;

  it('inline has its contents, and the path of its data file', () => {
    const { pathOrInlineDv } = inline;
    const file = vectorFile(addOf(undefined, { deletionVector: inline }), '/t/f', schema);
    expect(file).toMatchObject({
      path: `/t/f#dv=${createHash('sha256').update(pathOrInlineDv).digest('hex').slice(0, 16)}`,
      referencedDataFile: '/t/f',
      recordCount: 6,
      fileSizeInBytes: 44,
    });
    expect(file.contentOffset).toBeUndefined();
    // The magic number of "Deletion Vector Format", and the rows as 16-bit integers at the end of the bitmap.
    expect(Buffer.from(file.inlineContent!).readInt32LE()).toBe(1681511377);
    const rows = Buffer.from(file.inlineContent!.subarray(-12));
    expect([0, 2, 4, 6, 8, 10].map((at) => rows.readUInt16LE(at))).toEqual([3, 4, 7, 11, 18, 29]);
  });

  it.each([
    ['too short', { ...inline, sizeInBytes: 45 }],
    ['too long', { ...inline, sizeInBytes: 40 }],
    ['not Z85', { ...inline, pathOrInlineDv: inline.pathOrInlineDv.replace('^', '~') }],
    ['cut', { ...inline, pathOrInlineDv: inline.pathOrInlineDv.slice(1) }],
    ['too large for 32 bits', { ...inline, pathOrInlineDv: '#'.repeat(55) }],
  ])('inline that is %s is a named error', (_, deletionVector) => {
    const message = expect.stringMatching(/^the inline deletion vector of file \/t\/f is broken/);
    const read = () => vectorFile(addOf(undefined, { deletionVector }), '/t/f', schema);
    expect(read).toThrow(expect.objectContaining({ code: 'DATA_LOSS', message }));
  });
});
