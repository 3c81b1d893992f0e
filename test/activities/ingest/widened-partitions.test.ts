import { mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from '@jest/globals';
import fc from 'fast-check';
import type { PlanFile } from '../../../src/generated/reconciler/v1/plans.ts';
import {
  type Entry,
  type ListedManifest,
  manifest,
  manifestList,
  snapshot,
  tableMetadata,
} from '../../formats/iceberg/write-table.ts';
import { FolderTables, METADATA } from './folder-tables.ts';

/** An incremental run after a partition column was widened equals a first run, and a full rescan finds nothing to correct. */

let tables: FolderTables;
beforeAll(async () => {
  tables = await FolderTables.start();
});
afterAll(() => tables[Symbol.asyncDispose]());

const decimal = (size: number, precision: number) => ({
  type: 'fixed',
  name: `d${size}`,
  size,
  logicalType: 'decimal',
  precision,
  scale: 2,
});
const DATE = { type: 'int', logicalType: 'date' };
const days = (most: number) => fc.integer({ min: -most, max: most });

/** A big-endian decimal that fills its bytes. */
function unscaled(value: number, size: number): Buffer {
  const bytes = Buffer.alloc(size, value < 0 ? 0xff : 0);
  bytes.writeInt32BE(value, size - 4);
  return bytes;
}

interface Case {
  from: string;
  to: string;
  transform: string;
  /** The Avro type of the partition value before and after. */
  avro: [unknown, unknown];
  /** A value before and after, as Avro. */
  value: fc.Arbitrary<[unknown, unknown]>;
  /** What a reader sees. */
  type: string;
}

const same = <T>(value: fc.Arbitrary<T>) => value.map((one): [T, T] => [one, one]);
const ints = same(fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 }));
const floats = same(fc.float({ noNaN: false }));
const decimals = fc.integer({ min: -999_999_999, max: 999_999_999 }).map((n): [Buffer, Buffer] => {
  return [unscaled(n, 4), unscaled(n, 9)];
});
const DECIMALS: [unknown, unknown] = [decimal(4, 9), decimal(9, 20)];

const CASES: Case[] = [
  { from: 'int', to: 'long', transform: 'identity', avro: ['int', 'long'], value: ints, type: 'long' },
  { from: 'int', to: 'long', transform: 'truncate[10]', avro: ['int', 'long'], value: ints, type: 'long' },
  { from: 'int', to: 'long', transform: 'bucket[16]', avro: ['int', 'int'], value: ints, type: 'int' },
  { from: 'float', to: 'double', transform: 'identity', avro: ['float', 'double'], value: floats, type: 'double' },
  ...['identity', 'truncate[100]'].map((transform) => ({
    ...{ from: 'decimal(9, 2)', to: 'decimal(20, 2)', transform },
    ...{ avro: DECIMALS, value: decimals, type: 'decimal(20, 2)' },
  })),
  {
    ...{ from: 'decimal(9, 2)', to: 'decimal(20, 2)', transform: 'bucket[4]' },
    ...{ avro: ['int', 'int'] as [string, string], value: ints, type: 'int' },
  },
  {
    ...{ from: 'date', to: 'timestamp', transform: 'identity', type: 'timestamp' },
    avro: [DATE, { type: 'long', logicalType: 'timestamp-micros' }],
    // avsc writes numbers below 2 ** 52.
    value: days(50_000).map((n) => [n, n * 86_400_000_000]),
  },
  {
    ...{ from: 'date', to: 'timestamp_ns', transform: 'identity', type: 'timestamp_ns' },
    avro: [DATE, { type: 'long', logicalType: 'timestamp-nanos' }],
    value: days(50).map((n) => [n, n * 86_400_000_000_000]),
  },
  ...['year', 'month'].map((transform) => ({
    ...{ from: 'date', to: 'timestamp', transform, type: 'int' },
    ...{ avro: ['int', 'int'] as [string, string], value: same(days(1_000)) },
  })),
  // Writers differ in the Avro type of days.
  {
    ...{ from: 'date', to: 'timestamp', transform: 'day', type: 'date' },
    ...{ avro: ['int', DATE] as [unknown, unknown], value: same(days(100_000)) },
  },
];

/**
 * Writes the table before its column is widened. The other version has deletes for the files of this one.
 *
 * @returns writes that version
 */
function write(location: string, { from, to, transform, avro }: Case, [before, after]: [unknown, unknown]): () => void {
  const metadataFolder = join(location, 'metadata');
  mkdirSync(metadataFolder, { recursive: true });
  const put = (name: string, content: Buffer | string) => writeFileSync(join(metadataFolder, name), content);
  const listed = (version: 1 | 2, content: 0 | 1, entries: Entry[]): ListedManifest => {
    const field = { name: 'p', type: ['null', avro[version - 1]], default: null, 'field-id': 1000 };
    const bytes = manifest(entries, { partition: [field] });
    const name = `m${version}-${content}.avro`;
    put(name, bytes);
    return { path: join(metadataFolder, name), bytes, snapshot: version, sequence: version, content };
  };
  const schema = (id: number, type: string) => ({
    ...{ type: 'struct', 'schema-id': id },
    fields: [{ id: 1, name: 'c', required: false, type }],
  });
  const snapshotOf = (version: number) =>
    snapshot(version, {
      ...{ 'manifest-list': join(metadataFolder, `snap-${version}.avro`), 'schema-id': version - 1 },
      ...(version > 1 && { 'parent-snapshot-id': version - 1, summary: { operation: 'overwrite' } }),
    });
  const putVersion = (version: number, manifests: readonly ListedManifest[]) => {
    put(`snap-${version}.avro`, manifestList(manifests));
    const metadata = tableMetadata({
      ...{ location, 'format-version': 3, 'next-row-id': 0, 'last-sequence-number': version },
      ...{ snapshots: [1, 2].slice(0, version).map(snapshotOf), 'current-snapshot-id': version },
      ...{ schemas: [schema(0, from), schema(1, to)].slice(0, version), 'current-schema-id': version - 1 },
      'partition-specs': [{ 'spec-id': 0, fields: [{ name: 'p', transform, 'source-id': 1, 'field-id': 1000 }] }],
      'last-partition-id': 1000,
    });
    put(`v${version}.metadata.json`, JSON.stringify(metadata));
  };
  const [a, none] = [before, null].map((p, i) => ({ path: `${location}/${i === 0 ? 'a' : 'null'}`, partition: { p } }));
  const old = listed(1, 0, [a!, none!]);
  putVersion(1, [old]);
  return () => {
    const data = listed(2, 0, [{ path: `${location}/b`, partition: { p: after } }]);
    const deletes = listed(2, 1, [
      { path: `${location}/equality`, content: 2, partition: { p: after }, more: { equality_ids: [1] } },
      { path: `${location}/position`, content: 1, partition: { p: after } },
    ]);
    putVersion(2, [old, data, deletes]);
  };
}

const nameOf = (path = '') => path.slice(path.lastIndexOf('/') + 1);

/** The file's name, its partition, and the names of its deletes. */
function summary({ file, deleteFiles }: PlanFile) {
  const [value] = file!.partition;
  return [nameOf(file!.filePath), value, deleteFiles.map(({ filePath }) => nameOf(filePath)).sort()] as const;
}

/** The plans of both snapshots. */
async function plansOf({ plan }: Pick<Awaited<ReturnType<FolderTables['connect']>>, 'plan'>) {
  const sorted = async (id: bigint) => (await plan(id)).map(summary).sort(([a], [b]) => (a! < b! ? -1 : 1));
  return [await sorted(1n), await sorted(2n)];
}

it.each(CASES)('$transform of $from, then $to', async (one) => {
  await fc.assert(
    fc.asyncProperty(one.value, async (value) => {
      const warehouse = tables.warehouse();
      const widen = write(join(warehouse, METADATA, '..'), one, value);
      const incremental = await tables.connect(warehouse);
      await incremental.ingest();
      widen();
      expect(await incremental.ingest()).toMatchObject({ changed: true, counts: { snapshotsIngested: 1 } });
      const first = await tables.connect(warehouse);
      await first.ingest();
      const plans = await plansOf(first);
      expect(plans[1]).toMatchObject([
        ['a', { type: one.type }, ['equality', 'position']],
        ['b', { type: one.type }, ['position']],
        ['null', { type: one.type, value: undefined }, []],
      ]);
      expect(await plansOf(incremental)).toEqual(plans);
      expect(await incremental.ingest(true)).toMatchObject({ changed: false });
      expect(await plansOf(incremental)).toEqual(plans);
    }),
    { numRuns: 8 },
  );
});

it('values have the type of their column before the first ingest of their table has ended', async () => {
  const warehouse = tables.warehouse();
  const location = join(warehouse, METADATA, '..');
  write(location, { ...CASES.find(({ from }) => from === 'date')!, to: 'date', avro: [DATE, DATE] }, [5, 5])();
  // The second snapshot may not be read, so that the ingest ends in between.
  const metadata = join(warehouse, METADATA, 'v2.metadata.json');
  const elsewhere = readFileSync(metadata, 'utf8').replace(/[^"]*(?=\/snap-2\.avro)/, '/elsewhere');
  writeFileSync(metadata, elsewhere);
  const { ingest, plan } = await tables.connect(warehouse);
  await expect(ingest()).rejects.toThrow('/elsewhere/snap-2.avro');
  const first = (await plan(1n)).map(({ file }) => file!).find(({ filePath }) => nameOf(filePath) === 'a')!;
  expect(first.partition).toMatchObject([{ type: 'date', text: '1970-01-06' }]);
});

it('a void field of float, then double, has nothing to correct', async () => {
  const warehouse = tables.warehouse();
  const [one] = CASES.filter(({ from }) => from === 'float') as [Case];
  const widen = write(join(warehouse, METADATA, '..'), { ...one, transform: 'void' }, [null, null]);
  const incremental = await tables.connect(warehouse);
  await incremental.ingest();
  widen();
  await incremental.ingest();
  const plans = await plansOf(incremental);
  expect(plans[1]!.map(([, value]) => value!.type)).toEqual(['double', 'double', 'double']);
  expect(await incremental.ingest(true)).toMatchObject({ changed: false });
  expect(await plansOf(incremental)).toEqual(plans);
});
