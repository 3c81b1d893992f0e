import { describe, expect, it } from '@jest/globals';
import { changesOf } from './live-files.ts';
import { add, commit, MemoryTable, metadata, protocol } from './memory-table.ts';

const VECTORS = ['deletionVectors'];
const withVectors = () =>
  protocol({ minReaderVersion: 3, minWriterVersion: 7, readerFeatures: VECTORS, writerFeatures: VECTORS });

/** "ab^-aqEH.-t@S}K{vb[*k^" is the path of a vector in the protocol's text; "^Bg9^0rr910000000000iXQKl0rr91000f55c8Xg0@@D72lkbi5=-{L" its inline example. */
const GOOD = { storageType: 'u', pathOrInlineDv: 'ab^-aqEH.-t@S}K{vb[*k^', offset: 4, sizeInBytes: 40, cardinality: 6 };
const INLINE = '^Bg9^0rr910000000000iXQKl0rr91000f55c8Xg0@@D72lkbi5=-{L';

const table = (deletionVector: unknown) =>
  new MemoryTable()
    .put(commit(0), [withVectors(), metadata(), add('a')])
    .put(commit(1), [add('a', { deletionVector })])
    .put(commit(2), [add('b')]);

const damages: [what: string, more: object, message: RegExp][] = [
  ['of an unknown kind', { storageType: 'x' }, /has the storage type "x"/],
  ['without a kind', { storageType: undefined }, /storageType/],
  ['without a path', { pathOrInlineDv: undefined }, /pathOrInlineDv/],
  ['with a path that is too short', { pathOrInlineDv: 'ab' }, /not a UUID in Z85/],
  ['with a path that is not Z85', { pathOrInlineDv: '"~~~~~~~~~~~~~~~~~~~' }, /not a UUID in Z85/],
  ['with a negative size', { sizeInBytes: -1 }, /sizeInBytes/],
  ['with a size that is a text', { sizeInBytes: '40' }, /sizeInBytes/],
  ['with a negative offset', { offset: -4 }, /offset/],
  ['that deletes half a row', { cardinality: 0.5 }, /cardinality/],
  ['without a number of rows', { cardinality: undefined }, /cardinality/],
  [
    'inline, and too short',
    { storageType: 'i', pathOrInlineDv: INLINE.slice(0, 20), sizeInBytes: 40 },
    /should have 40 bytes/,
  ],
  [
    'inline, and longer than it says',
    { storageType: 'i', pathOrInlineDv: INLINE, sizeInBytes: 4 },
    /should have 4 bytes/,
  ],
  ['inline, and not Z85', { storageType: 'i', pathOrInlineDv: '~~~~~', sizeInBytes: 4 }, /is not Z85/],
];

describe('a deletion vector', () => {
  it('is read if nothing is wrong with it', async () => {
    await using reader = await table(GOOD).open();
    expect(await changesOf(reader, 1n, 0n)).toHaveLength(2);
    await using inline = await table({
      storageType: 'i',
      pathOrInlineDv: INLINE,
      sizeInBytes: 44,
      cardinality: 6,
    }).open();
    expect(await changesOf(inline, 1n, 0n)).toHaveLength(2);
  });

  it.each(damages)('%s makes its own version unreadable, by name', async (_, more, message) => {
    await using reader = await table({ ...GOOD, ...more }).open();
    expect(await changesOf(reader, 0n)).toHaveLength(1);
    await expect(changesOf(reader, 1n, 0n)).rejects.toMatchObject({
      code: 'DATA_LOSS',
      message: expect.stringMatching(message),
    });
    await expect(changesOf(reader, 1n, 0n)).rejects.toMatchObject({
      message: expect.stringMatching(/_delta_log\/00000000000000000001\.json|file:\/\/\/t\/a/),
    });
  });

  it('may be anything', async () => {
    const values = [
      null,
      7,
      'u',
      [],
      {},
      { storageType: {} },
      { ...GOOD, sizeInBytes: 1e300 },
      { ...GOOD, offset: 2 ** 53 },
    ];
    for (const value of values) {
      await using reader = await table(value).open();
      const read = changesOf(reader, 1n, 0n).then(
        () => 'read',
        (error) => error.code,
      );
      expect(['read', 'DATA_LOSS', 'FAILED_PRECONDITION']).toContain(await read);
    }
  });
});
