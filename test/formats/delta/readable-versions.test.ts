import { describe, expect, it } from '@jest/globals';
import { all, changesOf } from './live-files.ts';
import { add, commit, MemoryTable, metadata, protocol } from './memory-table.ts';

/** A table with an append per version, and no checkpoint. */
function appends(count: number): MemoryTable {
  const table = new MemoryTable();
  table.put(commit(0), [protocol(), metadata(), add('0')]);
  for (let version = 1; version < count; version++) table.put(commit(version), [add(String(version))]);
  return table;
}

const paths = async (table: MemoryTable, version: bigint) => {
  await using reader = await table.open();
  const changes = await changesOf(reader, version);
  return changes.map((change) => (change.kind === 'added' ? change.file.path : '')).sort();
};

const versionsOf = async (table: MemoryTable) => {
  await using reader = await table.open();
  return [...reader.history()].map(({ snapshotId }) => Number(snapshotId));
};

describe('the versions that can be read', () => {
  it('begin with 0 if every commit is there; siblings in the folder are no versions', async () => {
    const table = appends(3);
    const siblings = [
      '.00000000000000000002.json.crc',
      '00000000000000000009.crc',
      '00000000000000000003.json.tmp',
      '00000000000000000000.00000000000000000002.compacted.json',
      '00000000000000000004.checkpoint.parquet.tmp',
      '_staged_commits/00000000000000000003.4f1ab2c8-0000-4000-8000-000000000000.json',
      '_sidecars/00000000000000000009.checkpoint.parquet',
      '3.json',
      '99999999999999999999.json',
    ];
    for (const name of siblings) table.put(name, 'no json');
    expect(await versionsOf(table)).toEqual([0, 1, 2]);
    await using reader = await table.open();
    expect(reader.descriptor.currentSnapshotId).toBe(2n);
    expect([...reader.history()][1]).toEqual({
      snapshotId: 1n,
      parentSnapshotId: 0n,
      sequenceNumber: 1,
      manifestList: 'file:///t/_delta_log/00000000000000000001.json',
    });
  });

  it('are none if a commit is missing: the error names it', async () => {
    await expect(appends(5).remove(commit(3)).open()).rejects.toMatchObject({
      code: 'DATA_LOSS',
      message: expect.stringContaining(
        'version 3 is missing: there is no file:///t/_delta_log/00000000000000000003.json',
      ),
    });
    await expect(appends(2).remove(commit(0)).open()).rejects.toMatchObject({
      code: 'DATA_LOSS',
      message: expect.stringContaining('version 0 is missing'),
    });
    await expect(new MemoryTable().put('_last_checkpoint', '{"version":4}').open()).rejects.toMatchObject({
      code: 'DATA_LOSS',
      message: expect.stringContaining('file:///t/_delta_log has no commit'),
    });
  });

  it('begin with the oldest checkpoint that later commits follow, wherever there are gaps before it', async () => {
    // Checkpoints at 6 and 9, commits 6 to 10.
    expect(await versionsOf(MemoryTable.of('cleaned'))).toEqual([6, 7, 8, 9, 10]);
    // A cleanup may leave commits that are older than the checkpoint.
    expect(await versionsOf(MemoryTable.of('cleaned').put(commit(3), []))).toEqual([6, 7, 8, 9, 10]);
    // A checkpoint's own commit may be gone.
    expect(await versionsOf(MemoryTable.of('cleaned').remove(commit(6)))).toEqual([6, 7, 8, 9, 10]);
    expect(await versionsOf(MemoryTable.of('cleaned').remove(commit(7)))).toEqual([9, 10]);
  });

  it('end with a checkpoint whose commits are all gone', async () => {
    const table = MemoryTable.of('cleaned').remove(...[6, 7, 8, 9, 10].map(commit));
    expect(await versionsOf(table)).toEqual([9]);
    await using reader = await table.open();
    const [snapshot] = await all(reader.snapshots());
    expect(snapshot).toMatchObject({ snapshotId: 9n, operation: '', summary: {} });
    expect((await changesOf(reader, 9n)).filter(({ kind }) => kind === 'added').length).toBeGreaterThan(0);
  });

  it('do not depend on a checkpoint with missing parts', async () => {
    const whole = await paths(MemoryTable.of('small_pages'), 4n);
    for (const part of [1, 2]) {
      const name = `00000000000000000003.checkpoint.000000000${part}.0000000002.parquet`;
      const table = MemoryTable.of('small_pages').remove(name);
      expect(await paths(table, 4n)).toEqual(whole);
      await expect(table.remove(commit(1)).open()).rejects.toMatchObject({ code: 'DATA_LOSS' });
    }
  });

  it('do not depend on _last_checkpoint', async () => {
    const expected = await paths(MemoryTable.of('cleaned'), 10n);
    for (const hint of [
      '',
      '{',
      '{"version":',
      '{"version":99}',
      '{"version":3}',
      '{"version":6,"parts":1}',
      '[1]',
      '{"version":-1}',
    ]) {
      const table = MemoryTable.of('cleaned').put('_last_checkpoint', hint);
      expect(await paths(table, 10n)).toEqual(expected);
    }
    expect(await paths(MemoryTable.of('cleaned').remove('_last_checkpoint'), 10n)).toEqual(expected);
  });

  it('are described without a checksum file that is broken or belongs to no version', async () => {
    const table = MemoryTable.of('replaced');
    table.put('00000000000000000003.crc', '{"numFiles":').put('00000000000000000017.crc', '{}');
    expect(await versionsOf(table)).toEqual([0, 1, 2, 3]);
    await using reader = await table.open();
    expect(await reader.liveFileCounts(3n)).toBeUndefined();
    expect(await reader.liveFileCounts(1n)).toEqual({ dataFiles: 3, deleteFiles: 0 });
  });
});

describe('a catalog-managed table', () => {
  const feature = {
    minReaderVersion: 3,
    minWriterVersion: 7,
    readerFeatures: ['catalogManaged'],
    writerFeatures: ['catalogManaged'],
  };
  const staged = '00000000000000000002.7c0c2a3e-1f40-4f0e-9a6b-4cf1e0f6a111.json';
  const table = () =>
    new MemoryTable()
      .put(commit(0), [protocol(feature), metadata(), add('0')])
      .put(commit(1), [add('1')])
      .put(`_staged_commits/${staged}`, [add('2')])
      // Published, but not ratified; and a staged commit that the catalog does not name.
      .put(commit(3), [add('3')])
      .put('00000000000000000003.checkpoint.parquet', 'of a version that does not count')
      .put('_staged_commits/00000000000000000001.00000000-0000-4000-8000-000000000000.json', [add('lost')]);
  const commits = {
    latestVersion: 2,
    commits: [{ version: 2, fileName: staged, size: 80, modifiedMs: 1_700_000_000_000 }],
  };

  it('has the versions that its catalog names', async () => {
    await using reader = await table().open({ commits });
    expect([...reader.history()].map(({ snapshotId }) => snapshotId)).toEqual([0n, 1n, 2n]);
    expect((await changesOf(reader, 2n)).map((change) => change.kind === 'added' && change.file.path).sort()).toEqual([
      'file:///t/0',
      'file:///t/1',
      'file:///t/2',
    ]);
    expect([...reader.history()][2]?.manifestList).toBe('file:///t/_delta_log/00000000000000000002.json');
  });

  it('is not read by its folder alone', async () => {
    const published = table().remove(commit(3), '00000000000000000003.checkpoint.parquet');
    await expect(published.open()).rejects.toMatchObject({
      code: 'UNIMPLEMENTED',
      message: expect.stringContaining('table lake.t is managed by its catalog (catalogManaged)'),
    });
  });

  it('lacks a version that its catalog names and that is nowhere', async () => {
    await expect(table().open({ commits: { latestVersion: 5, commits: [] } })).rejects.toMatchObject({
      code: 'DATA_LOSS',
      message: expect.stringContaining('version 5 is missing'),
    });
  });
});
