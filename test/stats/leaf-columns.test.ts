import { describe, expect, it } from '@jest/globals';
import fc from 'fast-check';
import { CodedError } from '../../src/errors.ts';
import { type LeafColumn, leafColumns, selectColumns } from '../../src/stats/leaf-columns.ts';

const schema = JSON.stringify({
  type: 'struct',
  'schema-id': 3,
  fields: [
    { id: 1, name: 'id', required: true, type: 'long' },
    {
      id: 2,
      name: 'point',
      required: false,
      type: {
        type: 'struct',
        fields: [
          { id: 3, name: 'x', required: true, type: 'double' },
          { id: 4, name: 'y', required: false, type: 'decimal(9,2)' },
        ],
      },
    },
    {
      id: 5,
      name: 'tags',
      required: false,
      type: {
        type: 'list',
        'element-id': 6,
        'element-required': true,
        element: { type: 'struct', fields: [{ id: 7, name: 'k', required: false, type: 'string' }] },
      },
    },
    {
      id: 8,
      name: 'props',
      required: false,
      type: { type: 'map', 'key-id': 9, key: 'string', 'value-id': 10, 'value-required': false, value: 'timestamp_ns' },
    },
    { id: 11, name: 'dotted.name', required: false, type: 'variant' },
    { id: 12, name: '#1', required: false, type: 'geometry(srid:4326)' },
    { id: 13, name: 'place', required: false, type: 'geography(OGC:CRS84, karney)' },
    { id: 14, name: 'nothing', required: false, type: 'unknown' },
    { id: 15, name: 'void', required: false, type: { type: 'struct', fields: [] } },
  ],
});

function failure(action: () => unknown): CodedError {
  try {
    action();
  } catch (error) {
    expect(error).toBeInstanceOf(CodedError);
    return error as CodedError;
  }
  throw new Error('it did not fail');
}

describe('leafColumns', () => {
  it('descends into structs, lists and maps', () => {
    expect(leafColumns(schema)).toEqual([
      { id: 1, name: 'id', type: 'long', required: true },
      { id: 3, name: 'point.x', type: 'double', required: true },
      { id: 4, name: 'point.y', type: 'decimal(9, 2)', required: false },
      { id: 7, name: 'tags.element.k', type: 'string', required: false },
      { id: 9, name: 'props.key', type: 'string', required: true },
      { id: 10, name: 'props.value', type: 'timestamp_ns', required: false },
      { id: 11, name: 'dotted.name', type: 'variant', required: false },
      { id: 12, name: '#1', type: 'geometry(srid:4326)', required: false },
      { id: 13, name: 'place', type: 'geography(OGC:CRS84, karney)', required: false },
      { id: 14, name: 'nothing', type: 'unknown', required: false },
    ]);
  });

  it.each([
    ['nonsense', 'not JSON'],
    ['{}', 'a struct with fields'],
    ['[]', 'a struct with fields'],
    ['{"type":"struct","fields":[7]}', 'a field with a name'],
    ['{"type":"struct","fields":[{"id":"1","name":"a","type":"int"}]}', 'an integer field id'],
    ['{"type":"struct","fields":[{"id":1,"name":"a"}]}', 'a type'],
    ['{"type":"struct","fields":[{"id":1,"name":"a","type":{"type":"set"}}]}', 'struct, list, map'],
    ['{"type":"struct","fields":[{"id":1,"name":"a","type":"int"},{"id":1,"name":"b","type":"int"}]}', 'of its own'],
  ])('%s is DATA_LOSS', (json, part) => {
    const error = failure(() => leafColumns(json));
    expect(error.code).toBe('DATA_LOSS');
    expect(error.message).toContain(part);
  });

  it('limits the nesting', () => {
    let type = '"int"';
    for (let id = 2; id < 5_000; id++) type = `{"type":"list","element-id":${id},"element":${type}}`;
    const error = failure(() => leafColumns(`{"type":"struct","fields":[{"id":1,"name":"deep","type":${type}}]}`));
    expect(error.code).toBe('DATA_LOSS');
    expect(error.message.length).toBeLessThan(1_000);
  });

  it('fails only with CodedErrors', () => {
    fc.assert(
      fc.property(fc.json(), (json) => {
        try {
          leafColumns(json);
        } catch (error) {
          expect(error).toBeInstanceOf(CodedError);
        }
      }),
    );
  });
});

describe('selectColumns', () => {
  const names = (...selectors: string[]) => selectColumns(schema, selectors).map((column: LeafColumn) => column.name);

  it('accepts names, paths and ids, and returns the order of the schema', () => {
    expect(names('props.value', 'id')).toEqual(['id', 'props.value']);
    expect(names('#4', 'point.y')).toEqual(['point.y']);
    expect(names('dotted.name')).toEqual(['dotted.name']);
  });

  it('selects the leaves of a struct, list or map', () => {
    expect(names('point')).toEqual(['point.x', 'point.y']);
    expect(names('#2')).toEqual(['point.x', 'point.y']);
    expect(names('tags')).toEqual(['tags.element.k']);
    expect(names('props')).toEqual(['props.key', 'props.value']);
    expect(names('void')).toEqual([]);
  });

  it('selects all leaves without a selector', () => {
    expect(names()).toHaveLength(10);
  });

  it('finds a name before an id', () => {
    expect(names('#1')).toEqual(['#1']);
  });

  it.each(['#99', 'nope', 'point.z', 'ID', '', '#', 'point.'])('%j is INVALID_ARGUMENT', (selector) => {
    const error = failure(() => selectColumns(schema, ['id', selector]));
    expect(error.code).toBe('INVALID_ARGUMENT');
    expect(error.message).toContain(JSON.stringify(selector));
    expect(error.message).toContain('point.x (#3)');
  });
});
