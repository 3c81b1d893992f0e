import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import type { MetadataAction, ProtocolAction } from '../../../../src/formats/delta/actions.ts';
import { type DeltaSchema, DeltaSchemas } from '../../../../src/formats/delta/columns/delta-schema.ts';
import { leafColumns } from '../../../../src/stats/leaf-columns.ts';
import { loggedAdds, MADE, metadataOf, PROTOCOL } from './logged-adds.ts';

const field = (name: string, type: unknown = 'long', metadata: object = {}) => ({
  name,
  type,
  nullable: true,
  metadata,
});
const struct = (...fields: unknown[]) => ({ type: 'struct', fields });
const list = (elementType: unknown) => ({ type: 'array', elementType, containsNull: true });
const mapped = (name: string, id: number, physicalName: string, type: unknown = 'long', more: object = {}) =>
  field(name, type, { 'delta.columnMapping.id': id, 'delta.columnMapping.physicalName': physicalName, ...more });

const MAPPING: ProtocolAction = { minReaderVersion: 2, minWriterVersion: 5 };
const mappedMetadata = (fields: unknown[], rest: Partial<MetadataAction> = {}) =>
  metadataOf(fields, { configuration: { 'delta.columnMapping.mode': 'name' }, ...rest });

const idsIn = ({ json }: DeltaSchema) => Object.fromEntries(leafColumns(json).map(({ name, id }) => [name, id]));
const typesIn = ({ json }: DeltaSchema) => leafColumns(json).map(({ name, type }) => [name, type]);
/** What the next run knows from the catalog. */
const continued = (...schemas: DeltaSchema[]) =>
  new DeltaSchemas({ schemas: schemas.map(({ id, json }) => ({ id, json })), specs: schemas.map(({ spec }) => spec) });

describe('ids of columns without column mapping', () => {
  it('stay those of the names, whatever the order and whichever columns come and go', () => {
    const schemas = new DeltaSchemas();
    const first = schemas.schemaOf(
      metadataOf([field('a'), field('s', struct(field('x'))), field('l', list('long'))]),
      PROTOCOL,
    );
    expect(idsIn(first)).toEqual({ a: 1, 's.x': 3, 'l.element': 5 });
    const second = schemas.schemaOf(metadataOf([field('s', struct(field('new'), field('x'))), field('b')]), PROTOCOL);
    expect(idsIn(second)).toEqual({ 's.x': 3, 's.new': 6, b: 7 });
    expect(idsIn(schemas.schemaOf(metadataOf([field('a'), field('b')]), PROTOCOL))).toEqual({ a: 1, b: 7 });
  });

  it('are continued from the schemas of the catalog', () => {
    const first = new DeltaSchemas().schemaOf(
      metadataOf([field('a'), field('m', { type: 'map', keyType: 'string', valueType: struct(field('x')) })]),
      PROTOCOL,
    );
    expect(idsIn(first)).toEqual({ a: 1, 'm.key': 3, 'm.value.x': 5 });
    const next = continued(first).schemaOf(
      metadataOf([
        field('b'),
        field('m', { type: 'map', keyType: 'string', valueType: struct(field('x'), field('y')) }),
      ]),
      PROTOCOL,
    );
    expect(idsIn(next)).toEqual({ b: 6, 'm.key': 3, 'm.value.x': 5, 'm.value.y': 7 });
  });

  it('tell a name with a dot from a field of a struct', () => {
    const schema = new DeltaSchemas().schemaOf(metadataOf([field('a', struct(field('b'))), field('a.b')]), PROTOCOL);
    expect(leafColumns(schema.json).map(({ id }) => id)).toEqual([2, 3]);
    expect(continued(schema).schemaOf(metadataOf([field('a.b')]), PROTOCOL).columns).toMatchObject([{ id: 3 }]);
  });
});

describe('ids of columns with column mapping', () => {
  it('are those of the mapping, if it was on in the first version', () => {
    const schemas = new DeltaSchemas();
    const first = schemas.schemaOf(
      mappedMetadata([mapped('a', 7, 'col-1'), mapped('s', 3, 'col-2', struct(mapped('x', 9, 'col-3')))]),
      MAPPING,
    );
    expect(idsIn(first)).toEqual({ a: 7, 's.x': 9 });
    const renamed = schemas.schemaOf(mappedMetadata([mapped('b', 7, 'col-1'), mapped('a', 10, 'col-4')]), MAPPING);
    expect(idsIn(renamed)).toEqual({ b: 7, a: 10 });
    expect(idsIn(continued(first, renamed).schemaOf(mappedMetadata([mapped('c', 11, 'col-5')]), MAPPING))).toEqual({
      c: 11,
    });
  });

  it('of elements of lists leave the next ids to the mapping', () => {
    const schemas = new DeltaSchemas();
    const fields = [mapped('l', 1, 'col-1', list('long'))];
    expect(idsIn(schemas.schemaOf(mappedMetadata(fields), MAPPING))['l.element']).toBeGreaterThan(1_000_000);
    expect(idsIn(schemas.schemaOf(mappedMetadata([...fields, mapped('b', 2, 'col-2')]), MAPPING)).b).toBe(2);
  });

  it('of elements of lists are those that IcebergCompat gives', () => {
    const ids = { 'delta.columnMapping.nested.ids': { 'col-1.element': 2, 'col-1.element.element': 3 } };
    const schema = new DeltaSchemas().schemaOf(
      mappedMetadata([mapped('l', 1, 'col-1', list(list('long')), ids)]),
      MAPPING,
    );
    expect(idsIn(schema)).toEqual({ 'l.element.element': 3 });
  });

  it('stay what they were, if the mapping is switched on later', () => {
    const schemas = new DeltaSchemas();
    const first = schemas.schemaOf(metadataOf([field('z'), field('a'), field('b')]), PROTOCOL);
    const upgraded = [mapped('b', 1, 'b'), mapped('a', 2, 'a'), mapped('new', 3, 'col-9')];
    const second = schemas.schemaOf(mappedMetadata(upgraded), MAPPING);
    expect(idsIn(second)).toEqual({ b: 3, a: 2, new: 4 });
    expect(
      idsIn(continued(first, second).schemaOf(mappedMetadata([...upgraded, mapped('c', 1, 'col-x')]), MAPPING)),
    ).toEqual({ b: 3, a: 2, new: 4, c: 5 });
  });

  it('are not given twice, if the table was replaced by one whose mapping begins again', () => {
    const schemas = new DeltaSchemas();
    schemas.schemaOf(mappedMetadata([mapped('a', 1, 'col-1')]), MAPPING);
    const replaced = schemas.schemaOf(mappedMetadata([mapped('a', 1, 'col-2')]), MAPPING);
    expect(idsIn(replaced).a).not.toBe(1);
  });

  it('are honoured only if the protocol supports it', () => {
    const fields = [mapped('a', 7, 'col-1')];
    expect(new DeltaSchemas().schemaOf(mappedMetadata(fields), PROTOCOL)).toMatchObject({
      usesColumnMapping: false,
      columns: [{ id: 1, physicalName: 'a' }],
    });
    const features = { minReaderVersion: 3, minWriterVersion: 7, readerFeatures: ['columnMapping'] };
    expect(new DeltaSchemas().schemaOf(mappedMetadata(fields), features)).toMatchObject({
      usesColumnMapping: true,
      columns: [{ id: 7, physicalName: 'col-1' }],
    });
  });
});

describe('schema ids', () => {
  const [a, b] = [metadataOf([field('a')]), metadataOf([field('b')])];

  it('are equal for equal schemas, in this run and the next', () => {
    const schemas = new DeltaSchemas();
    const found = [a, b, a].map((metadata) => schemas.schemaOf(metadata, PROTOCOL));
    expect(found.map(({ id }) => id)).toEqual([0, 1, 0]);
    expect(found.map(({ json }) => JSON.parse(json)['schema-id'])).toEqual([0, 1, 0]);
    const next = continued(found[0]!, found[1]!);
    expect([b, a, metadataOf([])].map((metadata) => next.schemaOf(metadata, PROTOCOL).id)).toEqual([1, 0, 2]);
  });

  it('do not change with what an identity column has reached', () => {
    const schemas = new DeltaSchemas();
    const at = (value: number) =>
      metadataOf([field('a', 'long', { 'delta.identity.start': 1, 'delta.identity.highWaterMark': value })]);
    expect([at(1), at(2)].map((metadata) => schemas.schemaOf(metadata, PROTOCOL).id)).toEqual([0, 0]);
  });

  it('of a repeated metadata action have the same object', () => {
    const schemas = new DeltaSchemas();
    expect(schemas.schemaOf({ ...a, description: 'new' }, PROTOCOL)).toBe(schemas.schemaOf(a, PROTOCOL));
  });
});

describe('partition specs', () => {
  const columns = [field('a'), field('b'), field('c')];
  const partitionedBy = (...partitionColumns: string[]) => metadataOf(columns, { partitionColumns });

  it('are numbered by their list of columns, in this run and the next', () => {
    const schemas = new DeltaSchemas();
    const found = [partitionedBy(), partitionedBy('b'), partitionedBy('b', 'c'), partitionedBy('b')].map((m) =>
      schemas.schemaOf(m, PROTOCOL),
    );
    expect(found.map(({ spec }) => spec.specId)).toEqual([0, 1, 2, 1]);
    expect(found[2]!.spec.fields).toEqual([
      { fieldId: 1000, name: 'b', transform: 'identity', sourceIds: [2] },
      { fieldId: 1001, name: 'c', transform: 'identity', sourceIds: [3] },
    ]);
    const next = continued(...found);
    expect(next.schemaOf(partitionedBy('b', 'c'), PROTOCOL).spec).toEqual(found[2]!.spec);
    expect(next.schemaOf(partitionedBy('a', 'c'), PROTOCOL).spec).toMatchObject({
      specId: 3,
      fields: [{ fieldId: 1002 }, { fieldId: 1001 }],
    });
  });

  it('stay the same if a column is renamed, and have its new name', () => {
    const schemas = new DeltaSchemas();
    const named = (name: string) =>
      schemas.schemaOf(mappedMetadata([mapped(name, 4, 'col-1')], { partitionColumns: [name] }), MAPPING).spec;
    expect(named('part')).toMatchObject({ specId: 0, fields: [{ fieldId: 1000, name: 'part' }] });
    expect(named('region')).toMatchObject({ specId: 0, fields: [{ fieldId: 1000, name: 'region' }] });
  });

  it('find a column whose name differs in case', () => {
    expect(new DeltaSchemas().schemaOf(partitionedBy('B'), PROTOCOL).spec.fields).toMatchObject([{ sourceIds: [2] }]);
  });
});

describe('the schema’s JSON', () => {
  it('has Iceberg’s types', () => {
    const types = [
      'boolean',
      'byte',
      'short',
      'integer',
      'long',
      'float',
      'double',
      'decimal(10,2)',
      'string',
      'varchar(5)',
      'char(2)',
      'string collate UNICODE',
      'binary',
      'date',
      'timestamp',
      'timestamp_ntz',
      'variant',
      'void',
    ];
    const schema = new DeltaSchemas().schemaOf(metadataOf(types.map((type) => field(type, type))), PROTOCOL);
    expect(typesIn(schema).map(([, type]) => type)).toEqual([
      'boolean',
      'int',
      'int',
      'int',
      'long',
      'float',
      'double',
      'decimal(10, 2)',
      'string',
      'string',
      'string',
      'string',
      'binary',
      'date',
      'timestamptz',
      'timestamp',
      'variant',
      'unknown',
    ]);
  });

  it('keeps the names of types that Iceberg does not have, so that the table can be read', () => {
    const fields = [
      field('a', 'interval day to second'),
      field('b', 'geometry(OGC:CRS84)'),
      field('c', { type: 'future', of: 1 }),
    ];
    const schema = new DeltaSchemas().schemaOf(metadataOf(fields), PROTOCOL);
    expect(typesIn(schema)).toEqual([
      ['a', 'interval day to second'],
      ['b', 'geometry(OGC:CRS84)'],
      ['c', 'future'],
    ]);
  });

  it('has docs, whether a field is required, physical names, and the metadata of generated columns', () => {
    const fields = [
      {
        ...field('a', 'long', { comment: 'The key', 'delta.generationExpression': 'b + 1', other: 1 }),
        nullable: false,
      },
      field('l', { ...list('long'), containsNull: false }),
    ];
    expect(JSON.parse(new DeltaSchemas().schemaOf(metadataOf(fields), PROTOCOL).json).fields).toEqual([
      {
        id: 1,
        name: 'a',
        required: true,
        type: 'long',
        doc: 'The key',
        'physical-name': 'a',
        metadata: { 'delta.generationExpression': 'b + 1' },
      },
      {
        id: 2,
        name: 'l',
        required: false,
        type: { type: 'list', 'element-id': 3, 'element-required': true, element: 'long' },
        'physical-name': 'l',
      },
    ]);
  });

  it('of a table of Spark can be continued from', () => {
    const [first, second] = loggedAdds(join(MADE, 'spark_type_widening'));
    expect(idsIn(second!.schema)).toEqual(idsIn(first!.schema));
    expect([first!.schema.id, second!.schema.id]).toEqual([0, 1]);
  });

  it('may be missing', () => {
    expect(typesIn(new DeltaSchemas().schemaOf({ ...metadataOf([]), schemaString: '' }, PROTOCOL))).toEqual([]);
  });
});

describe('a broken schema', () => {
  const deep = (levels: number): unknown =>
    levels === 0 ? 'long' : levels % 2 ? list(deep(levels - 1)) : struct(field('x', deep(levels - 1)));

  it.each([
    ['no JSON', { ...metadataOf([]), schemaString: '{"type":' }, 'DATA_LOSS', /schema is not JSON/],
    ['no struct', { ...metadataOf([]), schemaString: '[1]' }, 'DATA_LOSS', /the table should have a struct/],
    ['a field without a name', metadataOf([{ type: 'long' }]), 'DATA_LOSS', /a field with a name/],
    [
      'a field without a type',
      metadataOf([field('s', struct({ name: 'x' }))]),
      'DATA_LOSS',
      /column "s\.x" should have a type/,
    ],
    [
      'an array without an element',
      metadataOf([field('l', { type: 'array' })]),
      'DATA_LOSS',
      /column "l" should have a type/,
    ],
    ['too many levels', metadataOf([field('d', deep(1000))]), 'DATA_LOSS', /at most 200 levels/],
    [
      'a partition column that does not exist',
      metadataOf([field('a')], { partitionColumns: ['b'] }),
      'DATA_LOSS',
      /column "b"/,
    ],
    [
      'a partition column that is a struct',
      metadataOf([field('a', struct())], { partitionColumns: ['a'] }),
      'DATA_LOSS',
      /column "a"/,
    ],
    [
      'a mapping without an id',
      mappedMetadata([field('a')]),
      'DATA_LOSS',
      /column "a" should have delta\.columnMapping\.physicalName/,
    ],
    [
      'another mapping',
      metadataOf([], { configuration: { 'delta.columnMapping.mode': 'x' } }),
      'UNIMPLEMENTED',
      /columnMapping\.mode is "x"/,
    ],
  ])('with %s is a named error', (_, metadata, code, message) => {
    const read = () => new DeltaSchemas().schemaOf(metadata as MetadataAction, MAPPING);
    expect(read).toThrow(expect.objectContaining({ code, message: expect.stringMatching(message) }));
  });
});
