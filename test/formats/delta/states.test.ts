import { describe, expect, it } from '@jest/globals';
import { all, changesOf } from './live-files.ts';
import { add, commit, MemoryTable, metadata, protocol } from './memory-table.ts';

const withFeatures = (...features: string[]) =>
  protocol({ minReaderVersion: 3, minWriterVersion: 7, readerFeatures: features, writerFeatures: features });

describe('the protocol of a table', () => {
  it('may have any feature that does not change how metadata is read', async () => {
    const features = [
      'columnMapping',
      'deletionVectors',
      'timestampNtz',
      'v2Checkpoint',
      'typeWidening',
      'variantType-preview',
      'vacuumProtocolCheck',
    ];
    await using reader = await new MemoryTable().put(commit(0), [withFeatures(...features), metadata()]).open();
    expect(reader.descriptor.formatVersion).toBe(3);
    expect(reader.descriptor.properties).toMatchObject({
      'delta.minReaderVersion': '3',
      'delta.feature.timestampNtz': 'supported',
    });
  });

  it('is refused with the name of an unknown feature and of the table', async () => {
    const refused = (table: MemoryTable) => expect(table.open()).rejects;
    await refused(
      new MemoryTable().put(commit(0), [withFeatures('redirectReaderWriter-preview'), metadata()]),
    ).toMatchObject({
      code: 'UNIMPLEMENTED',
      message: 'table lake.t needs the reader feature "redirectReaderWriter-preview", which is not supported',
    });
    await refused(new MemoryTable().put(commit(0), [protocol({ minReaderVersion: 4 }), metadata()])).toMatchObject({
      code: 'UNIMPLEMENTED',
      message: expect.stringContaining("table lake.t needs a reader of Delta's protocol version 4"),
    });
    await refused(
      new MemoryTable().put(commit(0), [protocol(), metadata({ format: { provider: 'orc' } })]),
    ).toMatchObject({
      code: 'UNIMPLEMENTED',
      message: expect.stringContaining('format orc'),
    });
  });

  it('may be one that only older versions can be read with, or only newer ones', async () => {
    const table = new MemoryTable()
      .put(commit(0), [withFeatures('unknown'), metadata(), add('0')])
      .put(commit(1), [protocol({ minWriterVersion: 5 }), add('1')]);
    await using reader = await table.open();
    const snapshots = await all(reader.snapshots());
    expect(snapshots.map(({ schema }) => schema !== undefined)).toEqual([false, true]);
    await expect(changesOf(reader, 0n)).rejects.toMatchObject({ code: 'UNIMPLEMENTED' });
    expect(await changesOf(reader, 1n)).toHaveLength(2);
    await expect(table.put(commit(2), [withFeatures('unknown')]).open()).rejects.toMatchObject({
      code: 'UNIMPLEMENTED',
    });
  });

  it('has to be somewhere, like the metadata', async () => {
    await expect(new MemoryTable().put(commit(0), [metadata(), add('a')]).open()).rejects.toMatchObject({
      code: 'DATA_LOSS',
      message: expect.stringContaining('table lake.t has no protocol at version 0'),
    });
    await expect(new MemoryTable().put(commit(0), [protocol(), add('a')]).open()).rejects.toMatchObject({
      code: 'DATA_LOSS',
      message: expect.stringContaining('table lake.t has no metaData at version 0'),
    });
    // A checkpoint without it, although the commits before have it: Spark refuses that table, too.
    await expect(
      MemoryTable.of('deltalog-state-reconstruction-from-checkpoint-missing-protocol').open(),
    ).rejects.toMatchObject({
      code: 'DATA_LOSS',
      message: expect.stringContaining('00000000000000000010.checkpoint.parquet should have it'),
    });
  });
});

describe('the state of a version', () => {
  it('comes from the newest commits before it, in any order within them', async () => {
    const column = (name: string) => ({
      schemaString: JSON.stringify({ type: 'struct', fields: [{ name, type: 'long', nullable: true, metadata: {} }] }),
    });
    const table = new MemoryTable()
      .put(commit(0), [add('0'), metadata(column('a')), protocol()])
      .put(commit(1), [add('1')])
      .put(commit(2), [add('2'), metadata({ ...column('b'), configuration: { 'delta.x': 'y' } })])
      .put(commit(3), [add('3')]);
    await using reader = await table.open();
    expect(reader.descriptor.properties['delta.x']).toBe('y');
    const names = (await all(reader.snapshots())).map(({ schema }) => JSON.parse(schema?.json ?? '').fields[0].name);
    expect(names).toEqual(['a', 'a', 'b', 'b']);
    // One at a time, without those before.
    for (const [version, name] of ['a', 'a', 'b', 'b'].entries()) {
      await using other = await table.open();
      const [snapshot] = await all(other.snapshots(new Set([BigInt(version)])));
      expect([version, JSON.parse(snapshot?.schema?.json ?? '').fields[0].name]).toEqual([version, name]);
    }
  });

  it('has the newest configuration of each metadata domain', async () => {
    const states = async (version: number) => {
      const names = Array.from({ length: 9 - version }, (_, index) => commit(9 - index));
      const table = MemoryTable.of('v2_sidecars').remove(...names, ...names.map((name) => name.replace('json', 'crc')));
      if (version < 8) table.remove('00000000000000000008.checkpoint.241ae9cb-d95d-43e9-a2cc-bc856ea4c20e.parquet');
      // Without the checksum file, the checkpoint and the commits count.
      await using withChecksum = await table.open();
      table.remove(`${String(version).padStart(20, '0')}.crc`);
      await using reader = await table.open();
      expect(reader.descriptor.properties).toEqual(withChecksum.descriptor.properties);
      return reader.descriptor.properties;
    };
    const clustering = (columns: string[][]) =>
      JSON.stringify({ clusteringColumns: columns, domainName: 'delta.clustering' });
    expect((await states(9))['delta.clustering']).toBe(clustering([]));
    expect((await states(8))['delta.clustering']).toBe(clustering([['g']]));
    expect((await states(6))['delta.clustering']).toBe(clustering([['id']]));
    expect((await states(6))['delta.rowTracking']).toContain('rowIdHighWaterMark');
    const removed = new MemoryTable()
      .put(commit(0), [
        withFeatures('domainMetadata'),
        metadata(),
        { domainMetadata: { domain: 'd', configuration: '{}', removed: false } },
      ])
      .put(commit(1), [{ domainMetadata: { domain: 'd', configuration: '{}', removed: true } }]);
    await expect(removed.open()).rejects.toMatchObject({ code: 'UNIMPLEMENTED' });
    const feature = { minReaderVersion: 1, minWriterVersion: 7, writerFeatures: ['domainMetadata'] };
    removed.put(commit(0), [
      protocol(feature),
      metadata(),
      { domainMetadata: { domain: 'd', configuration: '{}', removed: false } },
    ]);
    await using reader = await removed.open();
    expect(reader.descriptor.properties).not.toHaveProperty('d');
  });
});

describe('the time of a version', () => {
  it('is in its commit once that is switched on, and the time of the file before', async () => {
    await using reader = await MemoryTable.of('in_commit_times').open();
    const times = (await all(reader.snapshots())).map(({ committedAtMs }) => committedAtMs);
    // The time of every file in memory is 1; versions are at least a millisecond apart.
    expect(times).toEqual([1, 2, 1796055909722, 1796055910215, 1796055910530]);
  });

  it('is in the checksum file if the commit was cleaned up', async () => {
    const features = withFeatures('v2Checkpoint');
    const table = metadata({ configuration: { 'delta.enableInCommitTimestamps': 'true' } });
    const checkpoint = '00000000000000000001.checkpoint.0b1e0d0e-0000-4000-8000-000000000000.json';
    await using reader = await new MemoryTable()
      .put(checkpoint, [{ checkpointMetadata: { version: 1 } }, features, table, add('a')])
      .put('00000000000000000001.crc', [
        {
          ...features,
          metadata: table.metaData,
          domainMetadata: [],
          numFiles: 1,
          inCommitTimestampOpt: 1_796_055_900_000,
        },
      ])
      .put(commit(2), [{ commitInfo: { inCommitTimestamp: 1_796_055_905_000 } }, add('b')])
      .open();
    const times = (await all(reader.snapshots())).map(({ committedAtMs }) => committedAtMs);
    expect(times).toEqual([1_796_055_900_000, 1_796_055_905_000]);
  });

  it('continues the times that are stored', async () => {
    const table = new MemoryTable().put(commit(0), [protocol(), metadata()]);
    for (let version = 1; version < 4; version++) table.put(commit(version), [add(String(version))]);
    await using before = await table.open();
    const { uuid, fingerprint, schemas, partitionSpecs } = before.descriptor;
    table.put(commit(4), [add('4')]);
    const known = { uuid, fingerprint, schemas, partitionSpecs, committedAtMs: 1000 };
    await using reader = await table.open({ known });
    const [snapshot] = await all(reader.snapshots(new Set([4n])));
    expect(snapshot?.committedAtMs).toBe(1001);
    await using other = await table.open();
    expect((await all(other.snapshots(new Set([4n]))))[0]?.committedAtMs).toBe(5);
  });
});
