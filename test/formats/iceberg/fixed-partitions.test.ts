import { expect, it } from '@jest/globals';
import fc from 'fast-check';
import { MemoryStore } from '../../connectors/memory-store.ts';
import { type Added, changesOf } from './fixtures.ts';
import { type Entry, manifest, openWritten, snapshot, tableMetadata } from './write-table.ts';

/**
 * Partition values of type `fixed`: Iceberg Java writes their length before them (apache/iceberg issue 17501), other writers do not, and the
 * manifest's Avro schema is the same.
 */

const SIZE = 3;
const FIXED = { type: 'fixed', name: 'fixed_3', size: SIZE };
const metadata = tableMetadata({
  schemas: [
    { type: 'struct', 'schema-id': 0, fields: [{ id: 1, name: 'c', required: false, type: `fixed[${SIZE}]` }] },
  ],
  'partition-specs': [
    { 'spec-id': 0, fields: [{ name: 'p', transform: 'identity', 'source-id': 1, 'field-id': 1000 }] },
  ],
  snapshots: [snapshot(1)],
});

interface File {
  value: Buffer | null;
  records: number;
}

/** A manifest, with the schema of `fixed` whatever the encoding is. */
function write(files: File[], { hasLength, blockSize }: { hasLength: boolean; blockSize: number }): Buffer {
  const entries = files.map(({ value, records }, i): Entry => ({ path: `f${i}`, partition: { p: value }, records }));
  const field = (type: unknown) => ({ name: 'p', type: ['null', type], default: null, 'field-id': 1000 });
  if (!hasLength) return manifest(entries, { blockSize, partition: [field(FIXED)] });
  const bytes = manifest(entries, { blockSize, partition: [field({ type: 'bytes', name: 'fixed_3', size: SIZE })] });
  return withFixedSchema(bytes);
}

/** Replaces the type in the header by one that has as many characters. */
function withFixedSchema(bytes: Buffer): Buffer {
  const [from, to] = ['"type":"bytes","name":"fixed_3"', '"type":"fixed","name":"fixed_3"'];
  const at = bytes.indexOf(from);
  expect(at).toBeGreaterThan(0);
  const changed = Buffer.from(bytes);
  changed.write(to, at, 'latin1');
  return changed;
}

async function read(bytes: Buffer): Promise<File[]> {
  const reader = await openWritten(new MemoryStore(), metadata, {
    1: [{ path: '/t/m', bytes, snapshot: 1, sequence: 1 }],
  });
  const added = (await changesOf(reader, 1n)) as Added[];
  return added.map(({ file: { partition, recordCount } }) => {
    const value = partition[0]?.value;
    return { value: value ? Buffer.from(value) : null, records: recordCount };
  });
}

// The last byte of a value that begins the next number is 0x80 or more: that number can be read with it, or without it.
const bytes = fc.uint8Array({ minLength: SIZE, maxLength: SIZE }).map((array) => Buffer.from(array));
const files = fc.array(fc.record({ value: fc.option(bytes), records: fc.integer({ min: 0, max: 100_000 }) }), {
  minLength: 1,
  maxLength: 5,
});
const layout = { blockSize: fc.constantFrom(1, 2, 100), files };

it('are read as Iceberg Java writes them, with their length', async () => {
  await fc.assert(
    fc.asyncProperty(fc.record(layout), async ({ blockSize, files }) => {
      expect(await read(write(files, { hasLength: true, blockSize }))).toEqual(files);
    }),
  );
});

it('are read as the Avro schema says, unless they begin with their length', async () => {
  const zigzag = SIZE * 2;
  await fc.assert(
    fc.asyncProperty(fc.record(layout), async ({ blockSize, files }) => {
      fc.pre(files.every(({ value }) => value?.[0] !== zigzag));
      expect(await read(write(files, { hasLength: false, blockSize }))).toEqual(files);
    }),
  );
});

it('are read if the first block has nothing but nulls', async () => {
  const value = Buffer.from([1, 2, 0x83]);
  const files = [null, null, value].map((value) => ({ value, records: 7 }));
  for (const hasLength of [true, false]) {
    expect(await read(write(files, { hasLength, blockSize: 2 }))).toEqual(files);
  }
});

it('of a wrong length are damage that names the manifest', async () => {
  const broken = withFixedSchema(
    manifest([{ path: 'a', partition: { p: Buffer.from([1]) } }], {
      partition: [
        { name: 'p', type: ['null', { type: 'bytes', name: 'fixed_3', size: SIZE }], default: null, 'field-id': 1000 },
      ],
    }),
  );
  await expect(read(broken)).rejects.toMatchObject({ code: 'DATA_LOSS', message: expect.stringContaining('/t/m') });
});
