import { describe, expect, it } from '@jest/globals';
import type { FileChange, TableReader } from '../../../src/formats/table-reader.ts';
import { apply, changesOf } from './live-files.ts';
import { add, commit, MemoryTable, metadata, protocol, remove } from './memory-table.ts';

const vector = (pathOrInlineDv: string, offset?: number) => ({
  deletionVector: {
    storageType: 'u',
    pathOrInlineDv,
    ...(offset !== undefined && { offset }),
    sizeInBytes: 34,
    cardinality: 2,
  },
});
const [one, two] = [vector('^-aqEH.-t@S}K{vb[*k^', 1), vector('^-aqEH.-t@S}K{vb[*k^', 50)];
const bin = 'file:///t/deletion_vector_d2c639aa-8816-431a-aaf6-d3fe2512ff61.bin';

const start = () =>
  new MemoryTable().put(commit(0), [
    protocol({
      minReaderVersion: 3,
      minWriterVersion: 7,
      readerFeatures: ['deletionVectors'],
      writerFeatures: ['deletionVectors'],
    }),
    metadata(),
    add('a'),
    add('b'),
  ]);

const short = (change: FileChange) =>
  change.kind === 'added'
    ? `+${change.file.path.replace('file:///t/', '')}@${change.file.contentOffset ?? ''} v${change.sequenceNumber}`
    : `-${change.path.replace('file:///t/', '')}@${change.contentOffset ?? ''}`;

const live = async (table: MemoryTable, version: number, base?: number) => {
  await using reader = await table.open();
  const from = base === undefined ? undefined : BigInt(base);
  const before = from === undefined ? new Map() : apply(new Map(), await changesOf(reader, from));
  const files = apply(before, await changesOf(reader, BigInt(version), from));
  return [...files.values()]
    .map(({ path, contentOffset }) => `${path.replace('file:///t/', '')}@${contentOffset ?? ''}`)
    .sort();
};

describe('changes of a version', () => {
  it('are those of its commit, whatever the order of its actions', async () => {
    const expected = ['a@', 'b@', `${bin.replace('file:///t/', '')}@1`].sort();
    for (const actions of [
      [add('a', one), remove('a')],
      [remove('a'), add('a', one)],
    ]) {
      const table = start().put(commit(1), actions);
      expect(await live(table, 1)).toEqual(expected);
      expect(await live(table, 1, 0)).toEqual(expected);
    }
    await using reader = await start()
      .put(commit(1), [add('a', one), remove('a')])
      .open();
    expect(await changesOf(reader, 1n, 0n)).toMatchObject([
      { kind: 'added', replacesLive: true, file: { path: 'file:///t/a', content: 'DATA' }, addedSnapshotId: 1n },
      { kind: 'added', file: { path: bin, contentOffset: 1, format: 'DELTA_DV', referencedDataFile: 'file:///t/a' } },
      { kind: 'removed', path: 'file:///t/a', ifVector: 'none' },
    ]);
  });

  it('keep a file that a commit removes and adds', async () => {
    for (const actions of [
      [add('a'), remove('a')],
      [remove('a'), add('a')],
    ]) {
      const table = start()
        .put(commit(1), actions)
        .put(commit(2), [remove('b')]);
      for (const base of [undefined, 0]) expect(await live(table, 1, base)).toEqual(['a@', 'b@']);
      for (const base of [undefined, 1, 0]) expect(await live(table, 2, base)).toEqual(['a@']);
    }
  });

  it('replace a vector with another one of the same file', async () => {
    const table = start()
      .put(commit(1), [add('a', one), remove('a')])
      .put(commit(2), [remove('a', one), add('a', two)]);
    const expected = ['a@', 'b@', `${bin.replace('file:///t/', '')}@50`].sort();
    for (const base of [undefined, 1, 0]) expect(await live(table, 2, base)).toEqual(expected);
    await using reader = await table.open();
    const removed = (await changesOf(reader, 2n, 1n)).filter(({ kind }) => kind === 'removed');
    expect(removed).toEqual([
      { kind: 'removed', path: 'file:///t/a', ifVector: { path: bin, contentOffset: 1 } },
      { kind: 'removed', path: bin, contentOffset: 1 },
    ]);
  });

  it('leave a file that is removed with another vector than it has', async () => {
    const table = start()
      .put(commit(1), [add('a', one), remove('a')])
      .put(commit(2), [remove('a'), remove('a', two), remove('b', two)]);
    const expected = ['a@', 'b@', `${bin.replace('file:///t/', '')}@1`].sort();
    for (const base of [undefined, 1, 0]) expect(await live(table, 2, base)).toEqual(expected);
    table.put(commit(3), [remove('a', one)]);
    for (const base of [undefined, 2, 1, 0]) expect(await live(table, 3, base)).toEqual(['b@']);
  });

  it('bring removed files back, and add live ones again', async () => {
    const table = start()
      .put(commit(1), [remove('a')])
      .put(commit(2), [add('a'), add('b', { stats: '{"numRecords":4}' })]);
    for (const base of [undefined, 1, 0]) expect(await live(table, 2, base)).toEqual(['a@', 'b@']);
    await using reader = await table.open();
    expect((await changesOf(reader, 2n, 1n)).map(short)).toEqual(['+a@ v2', '+b@ v2']);
    expect((await changesOf(reader, 2n, 0n)).map(short)).toEqual(['+a@ v2', '+b@ v2']);
    expect((await changesOf(reader, 1n)).map(short)).toEqual(['+b@ v0']);
  });

  it('name one file whatever its spelling', async () => {
    const table = start()
      .put(commit(1), [remove('file:/t/a'), remove('/t/b'), add('c%20d')])
      .put(commit(2), [remove('c d')]);
    expect(await live(table, 1)).toEqual(['c d@']);
    expect(await live(table, 2, 0)).toEqual([]);
    expect(await live(table, 2)).toEqual([]);
  });

  it('of files in a checkpoint have no known time', async () => {
    await using reader = await MemoryTable.of('cleaned').open();
    const changes = (await changesOf(reader, 10n)).filter((change) => change.kind === 'added');
    expect(changes.filter(({ isUpperBound }) => isUpperBound).map(({ sequenceNumber }) => sequenceNumber)).toEqual(
      changes.filter(({ addedSnapshotId }) => addedSnapshotId === 9n).map(() => 9),
    );
    expect(changes.filter(({ isUpperBound }) => !isUpperBound).map(({ sequenceNumber }) => sequenceNumber)).toEqual([
      10,
    ]);
  });
});

describe('ranges of changes', () => {
  const inRanges = async (reader: TableReader, version: bigint, base: bigint | undefined, size: number) => {
    const ranges = await reader.changeRanges?.(version, { base, size, maxRanges: 5 });
    const changes: FileChange[] = [];
    for (const { from, to } of ranges ?? []) {
      for await (const batch of reader.fileChanges(version, { base, from, to })) changes.push(...batch.changes);
    }
    return { ranges: ranges?.length, changes: changes.map(short).sort() };
  };

  it('make up the whole: row groups and parts of a checkpoint, or lines of a commit', async () => {
    await using reader = await MemoryTable.of('small_pages').open();
    for (const [version, base, most] of [
      [3n, undefined, 5],
      [4n, undefined, 5],
      [1n, 0n, 5],
      [0n, undefined, 1],
    ] as const) {
      const whole = (await changesOf(reader, version, base)).map(short).sort();
      const { ranges, changes } = await inRanges(reader, version, base, 6);
      expect(changes).toEqual(whole);
      expect(ranges).toBe(most);
      expect((await inRanges(reader, version, base, 1000)).ranges).toBe(1);
    }
  });

  it('can be continued at each position', async () => {
    await using reader = await MemoryTable.of('small_pages').open();
    for (const [version, base] of [
      [3n, undefined],
      [4n, undefined],
      [2n, 1n],
    ] as const) {
      const whole = (await changesOf(reader, version, base)).map(short);
      let before: FileChange[] = [];
      for await (const { changes, position } of reader.fileChanges(version, { base })) {
        before = [...before, ...changes];
        if (position === undefined) continue;
        const rest: FileChange[] = [];
        for await (const batch of reader.fileChanges(version, { base, from: position })) rest.push(...batch.changes);
        expect([...before, ...rest].map(short)).toEqual(whole);
      }
    }
  });
});
