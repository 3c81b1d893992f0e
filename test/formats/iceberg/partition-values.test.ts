import { describe, expect, it } from '@jest/globals';
import type { PartitionValue } from '../../../src/formats/table-reader.ts';
import { boundText } from '../../../src/stats/bounds.ts';
import { MemoryStore } from '../../connectors/memory-store.ts';
import { type Added, changesOf, inColumn } from './fixtures.ts';
import { manifest, openWritten, snapshot, tableMetadata } from './write-table.ts';

const fixed = (name: string, size: number, logicalType?: string, precision?: number, scale?: number) => ({
  ...{ type: 'fixed', name, size, logicalType, precision, scale },
});

/** Reads one file with one partition value. */
async function partition(
  column: string,
  transform: string,
  avro: unknown,
  value: unknown,
  sourceId = 1,
): Promise<PartitionValue | undefined> {
  const metadata = tableMetadata({
    'format-version': 3,
    schemas: [
      { type: 'struct', 'schema-id': 0, fields: [{ id: 1, name: 'c', required: false, type: 'int' }] },
      { type: 'struct', 'schema-id': 1, fields: [{ id: 1, name: 'c', required: false, type: column }] },
    ],
    'current-schema-id': 1,
    'partition-specs': [{ 'spec-id': 0, fields: [{ name: 'p', transform, 'source-id': sourceId, 'field-id': 1000 }] }],
    snapshots: [snapshot(1)],
  });
  const field = { name: 'p', type: ['null', avro], default: null, 'field-id': 1000 };
  const bytes = manifest([{ path: 'a', partition: { p: value } }], { partition: [field] });
  const reader = await openWritten(new MemoryStore(), metadata, {
    1: [{ path: '/t/m', bytes, snapshot: 1, sequence: 1 }],
  });
  const [file] = (await changesOf(reader, 1n)) as Added[];
  return file?.file.partition[0];
}

describe('partition values', () => {
  it.each([
    ['long', 'bucket[16]', 'int', 7, 'int', '7'],
    ['date', 'year', 'int', 54, 'int', '54'],
    ['timestamp', 'month', 'int', -1, 'int', '-1'],
    ['timestamptz', 'hour', 'int', 473_000, 'int', '473000'],
    ['timestamptz', 'day', { type: 'int', logicalType: 'date' }, 19_723, 'date', '2024-01-01'],
    ['timestamp', 'day', 'int', -1, 'date', '1969-12-31'],
    ['string', 'truncate[3]', 'string', 'abc', 'string', 'abc'],
    ['int', 'truncate[10]', 'int', -10, 'int', '-10'],
    ['int', 'identity', 'int', 2_147_483_647, 'int', '2147483647'],
    ['long', 'identity', 'long', -(2 ** 52), 'long', String(-(2 ** 52))],
    // The value was written before the column was widened.
    ['long', 'identity', 'int', 5, 'long', '5'],
    ['double', 'identity', 'float', 0.5, 'double', '0.5'],
    ['double', 'identity', 'double', -0, 'double', '-0.0'],
    ['float', 'identity', 'float', 1.5, 'float', '1.5'],
    ['boolean', 'identity', 'boolean', true, 'boolean', 'true'],
    ['date', 'identity', 'int', 0, 'date', '1970-01-01'],
    ['time', 'identity', 'long', 1, 'time', '00:00:00.000001'],
    ['timestamp', 'identity', 'long', -1, 'timestamp', '1969-12-31T23:59:59.999999'],
    ['timestamptz_ns', 'identity', 'long', 1, 'timestamptz_ns', '1970-01-01T00:00:00.000000001+00:00'],
    ['decimal(9, 2)', 'identity', fixed('d', 4), Buffer.from([0xff, 0xff, 0xff, 0x9c]), 'decimal(9, 2)', '-1.00'],
    ['decimal(9, 2)', 'truncate[50]', 'bytes', Buffer.from([0, 0, 0x64]), 'decimal(9, 2)', '1.00'],
    ['binary', 'identity', 'bytes', Buffer.from([0, 255]), 'binary', 'AP8='],
    ['fixed[2]', 'identity', fixed('f', 2), Buffer.from([0, 255]), 'fixed[2]', 'AP8='],
    [
      'uuid',
      'identity',
      fixed('u', 16, 'uuid'),
      Buffer.from('f79c3e09677c4bbda4793f349cb785e7', 'hex'),
      'uuid',
      'f79c3e09-677c-4bbd-a479-3f349cb785e7',
    ],
    [
      'uuid',
      'identity',
      { type: 'string', logicalType: 'uuid' },
      'f79c3e09-677c-4bbd-a479-3f349cb785e7',
      'uuid',
      'f79c3e09-677c-4bbd-a479-3f349cb785e7',
    ],
    ['string', 'futuristic[1]', 'long', 12, 'long', '12'],
  ])('%s with transform %s, as Avro %j, has the type %s', async (column, transform, avro, value, type, text) => {
    const found = await partition(column, transform, avro, value);
    expect(found).toMatchObject({ fieldId: 1000, name: 'p' });
    const seen = inColumn(found!, type);
    expect(seen.type).toBe(type);
    expect(boundText(type, seen.value!)).toBe(text);
  });

  it.each<[unknown, unknown, string, string]>([
    [{ type: 'int', logicalType: 'date' }, 20_000, 'date', '2024-10-04'],
    [fixed('d', 4, 'decimal', 9, 2), Buffer.from([0, 0, 1, 0]), 'decimal(9, 2)', '2.56'],
    [{ type: 'bytes', logicalType: 'decimal', precision: 3 }, Buffer.from([7]), 'decimal(3, 0)', '7'],
    [{ type: 'long', logicalType: 'timestamp-micros' }, 1, 'timestamp', '1970-01-01T00:00:00.000001'],
    [
      { type: 'long', logicalType: 'timestamp-micros', 'adjust-to-utc': true },
      1,
      'timestamptz',
      '1970-01-01T00:00:00.000001+00:00',
    ],
    [{ type: 'long', logicalType: 'timestamp-nanos' }, 1, 'timestamp_ns', '1970-01-01T00:00:00.000000001'],
    [fixed('f', 2), Buffer.from([1, 2]), 'fixed[2]', 'AQI='],
    [{ type: 'string', logicalType: 'nonsense' }, 'x', 'string', 'x'],
  ])('of a column that no schema has has the type in the manifest: %j', async (avro, value, type, text) => {
    const found = await partition('int', 'identity', avro, value, 9);
    expect(found).toMatchObject({ type });
    expect(boundText(type, found!.value!)).toBe(text);
  });

  it('has no value for null', async () => {
    expect(await partition('string', 'void', 'string', null)).toEqual({ fieldId: 1000, name: 'p', type: 'string' });
  });

  it('encodes decimals in the fewest bytes', async () => {
    const found = await partition('decimal(9, 2)', 'identity', fixed('d', 4), Buffer.from([0, 0, 0, 0x80]));
    expect(found?.value).toEqual(Buffer.from([0, 0x80]));
  });

  it.each([
    ['an int beyond 32 bits', 'int', 'bucket[2]', 'long', 2 ** 40, /exceeds 32 bits/],
    ['an invalid UUID', 'uuid', 'identity', 'string', 'nonsense', /not a UUID/],
    [
      'a nested value',
      'string',
      'identity',
      { type: 'array', items: 'int' },
      [1],
      /field p \(1000\): its type is array/,
    ],
  ])('fails for %s', async (_, column, transform, avro, value, message) => {
    await expect(partition(column, transform, avro, value)).rejects.toMatchObject({
      code: 'DATA_LOSS',
      message: expect.stringMatching(message),
    });
  });

  it('fails for a spec that the table does not have', async () => {
    const bytes = manifest([{ path: 'a' }]);
    const reader = await openWritten(new MemoryStore(), tableMetadata({ snapshots: [snapshot(1)] }), {
      1: [{ path: '/t/m', bytes, snapshot: 1, sequence: 1, specId: 4 }],
    });
    await expect(changesOf(reader, 1n)).rejects.toMatchObject({ message: expect.stringMatching(/partition spec 4/) });
  });
});
