import { describe, expect, it } from '@jest/globals';
import avro from 'avsc';
import { parseTableMetadata } from '../../../src/formats/iceberg/table-metadata.ts';
import { leafColumns } from '../../../src/stats/leaf-columns.ts';
import { MemoryStore } from '../../connectors/memory-store.ts';
import { unpackColumns } from '../columns/unpack-columns.ts';
import { type Added, changesOf } from './fixtures.ts';
import { avroFile, entrySchema, manifest, openWritten, SCHEMA, snapshot, tableMetadata } from './write-table.ts';

/** What Iceberg Java reads, although the specification does not foresee it. */

const parse = (text: string) => parseTableMetadata(Buffer.from(text), '/t/metadata/v1.metadata.json');
const json = JSON.stringify(tableMetadata({ snapshots: [snapshot(1)] }));

describe('table metadata', () => {
  it.each([
    ['begins with a byte order mark', `\uFEFF${json}`],
    ['is followed by NULs', json + '\0'.repeat(100)],
    ['is followed by text', `${json}\n} "and" {more`],
    ['has both, and quotes', `\uFEFF${JSON.stringify(tableMetadata({ properties: { a: '}"{' } }))}\0`],
  ])('%s', (_, text) => {
    expect(parse(text).location).toBe('/t');
  });

  it.each([
    ['ends too early', json.slice(0, -1)],
    ['has no object', '\0\0'],
  ])('is broken if it %s', (_, text) => {
    expect(() => parse(text)).toThrow(/is broken: it is not JSON/);
  });

  it('may keep a branch or tag for ever', () => {
    const ref = (type: string) => `{"type":"${type}","snapshot-id":1,"max-ref-age-ms":9223372036854775807}`;
    const refs = `{"main":${ref('branch')},"t":${ref('tag')}}`;
    const text = json.replace('"properties"', `"refs":${refs},"properties"`);
    expect(parse(text).refs).toMatchObject([{ maxRefAgeMs: 2n ** 63n - 1n }, { maxRefAgeMs: 2n ** 63n - 1n }]);
  });

  it.each(['1700000000000000', '1700000000000000000', '9223372036854775807', '-1'])(
    'may state %s as the time of a commit',
    (time) => {
      const text = json.replaceAll(/"(last-updated-ms|timestamp-ms)":\d+/g, `"$1":${time}`);
      expect(parse(text)).toMatchObject({ lastUpdatedMs: Number(time), snapshots: [{ committedAtMs: Number(time) }] });
    },
  );

  it('is quoted in messages as it was written', () => {
    const text = json.replace('"format-version":2', '"format-version":9223372036854775807');
    expect(() => parse(text)).toThrow(/format-version should be an integer below 2\^53 but is 9223372036854775807\b/);
  });
});

it('names of types are read whatever their case', () => {
  const types = ['LONG', 'String', 'DECIMAL(9,2)', 'Fixed[4]', 'timestampTZ', 'Geometry(srid:4326)'];
  const fields = types.map((type, i) => ({ id: i, name: `c${i}`, required: false, type }));
  const read = leafColumns(JSON.stringify({ ...SCHEMA, fields })).map(({ type }) => type);
  expect(read).toEqual(['long', 'string', 'decimal(9, 2)', 'fixed[4]', 'timestamptz', 'Geometry(srid:4326)']);
});

async function filesOf(bytes: Buffer): Promise<Added['file'][]> {
  const metadata = tableMetadata({ snapshots: [snapshot(1)] });
  const reader = await openWritten(new MemoryStore(), metadata, {
    1: [{ path: '/t/m', bytes, snapshot: 1, sequence: 1 }],
  });
  return ((await changesOf(reader, 1n)) as Added[]).map(({ file }) => file);
}

describe('a manifest', () => {
  type Json = { type: unknown; items?: unknown; fields?: Json[]; name?: string };

  /** The schema in which everything that can be null may be. */
  function nullableSchema(): object {
    const schema = structuredClone(entrySchema()) as Json;
    const nullable = (type: unknown) => (Array.isArray(type) ? type : ['null', type]);
    const dataFile = schema.fields!.find(({ name }) => name === 'data_file')!;
    for (const field of (dataFile.type as Json).fields!) {
      const array = Array.isArray(field.type) ? (field.type[1] as Json) : undefined;
      const pair = array?.items as Json | undefined;
      if (pair?.fields) {
        pair.fields[1]!.type = nullable(pair.fields[1]!.type);
        array!.items = nullable(pair);
      }
      if (field.name === 'partition') field.type = nullable(field.type);
    }
    dataFile.type = nullable(dataFile.type);
    return schema;
  }

  it('may have nullable records, pairs, values and bounds', async () => {
    const counts = [{ key: 1, value: 5 }];
    const bytes = manifest([{ path: 'a', more: { value_counts: counts } }]);
    const records = [];
    for await (const record of decoded(bytes)) records.push(record);
    const [entry] = records as { data_file: Record<string, unknown> }[];
    entry!.data_file.value_counts = [null, { key: 2, value: null }, ...counts];
    entry!.data_file.lower_bounds = [{ key: 1, value: Buffer.of(7) }, { key: 2, value: null }, null];
    entry!.data_file.partition = null;
    const [file] = await filesOf(avroFile(nullableSchema(), [entry]));
    expect(file).toMatchObject({ path: 'a', recordCount: 10, partition: [] });
    expect(unpackColumns(file!.columns)).toMatchObject([{ id: 1, valueCount: 5, lower: new Uint8Array([7]) }]);
  });

  it('may have a file whose records nobody counted', async () => {
    expect(await filesOf(manifest([{ path: 'a', records: -1 }]))).toMatchObject([{ recordCount: -1 }]);
    await expect(filesOf(manifest([{ path: 'a', records: -2 }]))).rejects.toThrow(/has -2 records/);
  });

  it('that is encrypted is not supported, and not broken', async () => {
    const encrypted = filesOf(Buffer.from('AGS1 and more'));
    await expect(encrypted).rejects.toMatchObject({
      code: 'UNIMPLEMENTED',
      message: 'manifest /t/m cannot be read: it is encrypted, and encrypted tables are not supported',
    });
  });
});

async function* decoded(bytes: Buffer): AsyncGenerator<unknown> {
  const decoder = new avro.streams.BlockDecoder();
  decoder.end(bytes);
  yield* decoder;
}
