import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, describe, expect, it } from '@jest/globals';
import { openIcebergTable } from '../../../src/formats/iceberg/table-reader.ts';
import type { SnapshotDescriptor } from '../../../src/formats/table-reader.ts';
import { FileStore } from '../../../src/storage/file-store.ts';
import { countTurns } from '../../jest/count-turns.ts';
import { tableMetadata } from './write-table.ts';

/** Metadata that is too large to be parsed at once is read in parts: with the same values, and in bounded memory. */

const folder = mkdtempSync(join(tmpdir(), 'reconciler-large-'));
afterAll(() => rmSync(folder, { recursive: true }));

const MIB = 1024 * 1024;
const FIRST = 4_611_686_018_427_387_904n;
const idOf = (i: number) => FIRST + BigInt(i);
const SUMMARY = {
  'quote"d': 'a "b" \\ c \\',
  ümläut: '日本😀',
  long: '9223372036854775807',
  braces: '}]{[,:',
  ['__proto__']: 'p',
};
const PROPERTIES = Object.fromEntries(Array.from({ length: 5_000 }, (_, i) => [`key-${i}`, `${i}`.repeat(10)]));

let files = 0;
async function open(content: string | Buffer, end = '.metadata.json') {
  const metadataLocation = join(folder, `v${++files}${end}`);
  writeFileSync(metadataLocation, content);
  return openIcebergTable({ store: new FileStore(), metadataLocation, fingerprint: 'f' });
}
const failureOf = (content: string | Buffer) =>
  open(content).then(
    () => 'none',
    (error) => error,
  );

/** A table with a long history, of which JavaScript numbers could not hold the ids. */
function withHistory(count: number, space = ''): string {
  const snapshots = Array.from({ length: count }, (_, i) => ({
    'snapshot-id': `#${idOf(i)}#`,
    ...(i > 0 && { 'parent-snapshot-id': `#${idOf(i - 1)}#` }),
    'sequence-number': i,
    'timestamp-ms': 1_700_000_000_000 + i,
    'manifest-list': `s3://bucket/table/metadata/snap-${i}.avro`,
    summary: { operation: i % 2 ? 'overwrite' : 'append', ...SUMMARY, number: `${i}`, nothing: null },
  }));
  const refs = Object.fromEntries(
    snapshots.map((_, i) => [
      `tag ${i}`,
      { type: 'tag', 'snapshot-id': `#${idOf(i)}#`, 'max-ref-age-ms': '#9223372036854775807#' },
    ]),
  );
  const current = `#${idOf(count - 1)}#`;
  const metadata = tableMetadata({ snapshots, refs, properties: PROPERTIES, 'current-snapshot-id': current });
  return JSON.stringify(metadata, null, space).replaceAll(/"#(\d+)#"/g, '$1');
}

describe('large metadata', () => {
  it.each<[string, number, (json: string) => string | Buffer, string]>([
    ['of half a MiB', 1_200, (json) => json, ''],
    ['of several MiB', 20_000, (json) => json, ''],
    ['with white space', 3_000, (json) => json, '\t'],
    ['with a byte order mark, and something behind its end', 3_000, (json) => `\ufeff ${json}\n} {"x"`, ''],
    ['that is compressed', 20_000, (json) => gzipSync(json), ''],
  ])('%s has the same values', async (_, count, encode, space) => {
    await using reader = await open(encode(withHistory(count, space)), '.gz.metadata.json');
    const { refs, properties, currentSnapshotId } = reader.descriptor;
    expect(currentSnapshotId).toBe(idOf(count - 1));
    expect(properties).toEqual(PROPERTIES);
    expect(refs).toHaveLength(count);
    expect(refs[7]).toEqual({ name: 'tag 7', type: 'tag', snapshotId: idOf(7), maxRefAgeMs: 2n ** 63n - 1n });
    expect(reader.history().map(({ snapshotId }) => snapshotId)).toEqual(
      Array.from({ length: count }, (_, i) => idOf(i)),
    );
    let snapshot: SnapshotDescriptor | undefined;
    for await (const one of reader.snapshots(new Set([idOf(7)]))) snapshot = one;
    expect(snapshot).toMatchObject({
      parentSnapshotId: idOf(6),
      committedAtMs: 1_700_000_000_007,
      operation: 'overwrite',
      manifestList: 's3://bucket/table/metadata/snap-7.avro',
    });
    expect(Object.entries(snapshot!.summary)).toEqual(Object.entries({ ...SUMMARY, number: '7' }));
  });

  it('is read in turns with other work', async () => {
    const json = withHistory(40_000);
    expect(json.length).toBeGreaterThan(12 * MIB);
    expect(await countTurns(async () => (await open(json))[Symbol.asyncDispose]())).toBeGreaterThan(4);
  });

  it.each<[string, (json: string) => string, RegExp]>([
    [
      'a comma',
      (json) => json.replace('},{"snapshot-id":4611686018427387905', '}{"snapshot-id":4611686018427387905'),
      /should be a comma/,
    ],
    ['a colon', (json) => json.replace('"snapshots":', '"snapshots"'), /should be a colon/],
    ['a key', (json) => json.replace('"snapshots":', 'snapshots:'), /should be a key/],
    ['a value', (json) => json.replace('"last-column-id":2', '"last-column-id":'), /should be a value|is not JSON/],
    ['a valid escape in a key', (json) => json.replace('"last-column-id"', '"last-\\x"'), /should be a key/],
    ['a valid text', (json) => json.replace('"location":"', '"location":"\n'), /location, from byte \d+, is not\)/],
    ['the end', (json) => json.slice(0, -1), /it ends within an object, array or string/],
    [
      'the end of a text',
      (json) => json.slice(0, json.lastIndexOf('"tag') + 3),
      /it ends within an object, array or string/,
    ],
    ['everything but zeros', (json) => '\0'.repeat(json.length), /does not begin with an object/],
  ])('that lacks %s is DATA_LOSS', async (_, damage, message) => {
    const whole = withHistory(2_000);
    const damaged = damage(whole);
    expect(damaged).not.toBe(whole);
    expect(await failureOf(damaged)).toMatchObject({
      code: 'DATA_LOSS',
      message: expect.stringMatching(new RegExp(`^table metadata ${folder}.* is broken: .*${message.source}`)),
    });
  });

  const some = (count: number, item: (i: number) => string) => Array.from({ length: count }, (_, i) => item(i)).join();
  const withField = (name: string, json: string) =>
    JSON.stringify(tableMetadata({ [name]: 'HERE' })).replace('"HERE"', () => json);

  it.each<[string, string, string, string]>([
    [
      'arrays in arrays',
      withField('x', '['.repeat(3 * MIB)),
      'DATA_LOSS',
      'is broken: it nests 3,145,729 levels deep; at most 200 are read. Restore',
    ],
    [
      'objects in objects',
      withField('x', `${'{"a":'.repeat(MIB)}1${'}'.repeat(MIB)}`),
      'DATA_LOSS',
      'it nests 1,048,577 levels deep',
    ],
    [
      'a deep schema',
      withField(
        'schemas',
        `[${'{"type":"struct","fields":[{"id":1,"name":"a","type":'.repeat(10_000)}"long"${'}]}'.repeat(10_000)}]`,
      ),
      'DATA_LOSS',
      'it nests 30,002 levels deep',
    ],
    [
      'too many snapshots',
      withField('snapshots', `[${some(250_001, (i) => `{"snapshot-id":${i},"timestamp-ms":1,"manifest-list":"a"}`)}]`),
      'FAILED_PRECONDITION',
      'is too large: snapshots has more than 250,000 entries, which is the limit. Expire snapshots, and remove',
    ],
    [
      'too many properties',
      withField('properties', `{${some(250_001, (i) => `"k${i}":"v"`)}}`),
      'FAILED_PRECONDITION',
      'properties has more than 250,000 entries',
    ],
    [
      'a very large part',
      withField('refs', `{"a":{"type":"tag","snapshot-id":1,"x":"${'x'.repeat(33 * MIB)}"}}`),
      'FAILED_PRECONDITION',
      'refs has 33.0 MiB, at most 32.0 MiB are read',
    ],
    [
      'a very long text',
      withField('location', `"${'x'.repeat(17 * MIB)}"`),
      'FAILED_PRECONDITION',
      'location has 17.0 MiB, at most 16.0 MiB are read',
    ],
    [
      'a very long key',
      withField('x', `1,"${'k'.repeat(MIB)}":1`),
      'FAILED_PRECONDITION',
      'has 1048578 bytes, at most 65536 are read',
    ],
    [
      'a very large summary',
      withField(
        'snapshots',
        `[{"snapshot-id":1,"timestamp-ms":1,"manifest-list":"a","summary":{${some(17, (i) => `"k${i}":"${'é'.repeat(MIB / 2)}"`)}}}]`,
      ),
      'FAILED_PRECONDITION',
      "a snapshot's summary has 17.0 MiB, at most 16.0 MiB are read",
    ],
    [
      'a schema with too many values',
      withField(
        'schemas',
        `[{"type":"struct","schema-id":0,"fields":[],"x":[${some(300_000, (i) => `{"a${i}":1}`)}]}]`,
      ),
      'FAILED_PRECONDITION',
      'schemas[0] has 600,0',
    ],
    [
      'too many fields',
      withField('x', `1,${some(30_000, (i) => `"k${i}":"v"`)}`),
      'FAILED_PRECONDITION',
      'the document has more than 10,000 fields',
    ],
    [
      'too many manifests',
      withField(
        'snapshots',
        `[${some(60, (j) => `{"snapshot-id":${j},"timestamp-ms":1,"manifests":[${some(9_000, (i) => `"m${i}"`)}]}`)}]`,
      ),
      'FAILED_PRECONDITION',
      'snapshots list more than 500,000 manifests',
    ],
    [
      'a number in place of its history',
      withField('snapshots', `[${some(300_000, () => '1')}]`),
      'DATA_LOSS',
      'snapshots[0] should be an object but is 1',
    ],
  ])('with %s is refused by name', async (_, content, code, message) => {
    expect(await failureOf(content)).toMatchObject({ code, message: expect.stringContaining(message) });
  });

  it.each([
    ['numbers', `[${some(2 * MIB, () => '1')}]`],
    ['objects', `[${some(MIB, () => '{}')}]`],
    ['objects of different shapes', `[${some(300_000, (i) => `{"a${i}":1}`)}]`],
    ['text', `"${'x'.repeat(20 * MIB)}"`],
  ])('may have any number of %s in a field that is not read', async (_, json) => {
    await using reader = await open(withField('x', json));
    expect(reader.descriptor.location).toBe('/t');
  });

  it('is open in a limited number of tables at once', async () => {
    // 15 MiB and some bytes each, so that six of them have room.
    const json = withField('x', `"${'x'.repeat(15 * MIB)}"`);
    const metadataLocation = join(folder, 'many.metadata.json');
    writeFileSync(metadataLocation, json);
    let opened = 0;
    const opening = Array.from({ length: 7 }, async () => {
      const reader = await openIcebergTable({ store: new FileStore(), metadataLocation, fingerprint: 'f' });
      opened++;
      return reader;
    });
    const first = await Promise.race(opening);
    await Promise.race([Promise.all(opening), new Promise((resolve) => setTimeout(resolve, 2_000))]);
    expect(opened).toBeLessThan(7);
    await first[Symbol.asyncDispose]();
    for (const reader of await Promise.all(opening)) await reader[Symbol.asyncDispose]();
    expect(opened).toBe(7);
  });
});
