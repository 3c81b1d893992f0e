import { describe, expect, it } from '@jest/globals';
import type { DeltaTableReader } from '../../../src/formats/delta/delta-table-reader.ts';
import { deltaFingerprint } from '../../../src/formats/delta/log/delta-log.ts';
import { LogStore } from '../../../src/formats/delta/log/log-store.ts';
import type { KnownTable } from '../../../src/formats/table-reader.ts';
import { all, changesOf } from './live-files.ts';
import { add, commit, MemoryTable, metadata, protocol } from './memory-table.ts';

const known = ({ descriptor }: DeltaTableReader): KnownTable => ({
  uuid: descriptor.uuid,
  fingerprint: descriptor.fingerprint,
  schemas: descriptor.schemas,
  partitionSpecs: descriptor.partitionSpecs,
});

function appends(count: number): MemoryTable {
  const table = new MemoryTable();
  table.put(commit(0), [protocol(), metadata(), add('0')]);
  for (let version = 1; version < count; version++) table.put(commit(version), [add(String(version))]);
  return table;
}

describe('a table that the catalog has already', () => {
  it('is read from the known version on', async () => {
    const table = MemoryTable.of('v2_sidecars').remove(commit(8), commit(9));
    for (const version of [8, 9]) table.remove(commit(version).replace('json', 'crc'));
    table.remove('00000000000000000008.checkpoint.241ae9cb-d95d-43e9-a2cc-bc856ea4c20e.parquet');
    await using before = await table.open();
    expect(before.descriptor.currentSnapshotId).toBe(7n);

    const now = MemoryTable.of('v2_sidecars');
    await using reader = await now.open({ known: known(before) });
    const ids = new Set([8n, 9n]);
    const snapshots = await all(reader.snapshots(ids));
    for (const { snapshotId } of snapshots) await changesOf(reader, snapshotId, snapshotId - 1n);
    // Each new commit once, and checksum files instead of the checkpoint.
    expect(now.reads.filter((name) => name.endsWith('.json')).sort()).toEqual([commit(8), commit(9)]);
    expect(now.reads.filter((name) => name.endsWith('.parquet'))).toEqual([]);
    expect([...reader.history()].length).toBe(10);
    expect(snapshots.map(({ schemaId }) => schemaId)).toEqual([0, 0]);
  });

  it('keeps its uuid if it was replaced in the same log', async () => {
    const table = MemoryTable.of('replaced');
    const first = MemoryTable.of('replaced').remove(commit(2), commit(3));
    first.remove(commit(2).replace('json', 'crc'), commit(3).replace('json', 'crc'));
    await using before = await first.open();
    await using after = await table.open({ known: known(before) });
    expect(before.descriptor.uuid).toBe('0a7e2e47-1675-4493-8a04-98e9c7c8f0b7');
    expect(after.descriptor.uuid).toBe(before.descriptor.uuid);
    await using unknown = await table.open();
    expect(unknown.descriptor.uuid).toBe('0e8ea1c0-2fe8-4f44-89d4-5317a0125d46');
    // Other columns, and another spec.
    expect(after.descriptor.currentSchemaId).toBe(1);
    expect(after.descriptor.defaultSpecId).not.toBe(before.descriptor.defaultSpecId);
    expect(after.descriptor.partitionSpecs[0]).toEqual(before.descriptor.partitionSpecs[0]);
    expect(after.descriptor.partitionSpecs.map(({ specId }) => specId)).toEqual([0, 1]);
  });

  it('is another table if it was made anew at the same place', async () => {
    await using before = await appends(3).open();
    for (const versions of [1, 3, 5]) {
      const anew = appends(versions).put(commit(0), [protocol(), metadata({ id: 'other' }), add('x')]);
      for (let version = 1; version < versions; version++) anew.put(commit(version), [add(`other-${version}`)]);
      await using reader = await anew.open({ known: known(before) });
      expect(reader.descriptor.uuid).toBe('other');
      expect(reader.descriptor.fingerprint).not.toBe(before.descriptor.fingerprint);
      expect(reader.versions).toEqual({ first: 0n, last: BigInt(versions - 1) });
    }
  });

  it('loses versions that are cleaned up', async () => {
    const table = MemoryTable.of('cleaned');
    await using before = await table.open();
    for (const version of [6, 7, 8]) table.remove(commit(version), commit(version).replace('json', 'crc'));
    table.remove('00000000000000000006.checkpoint.parquet').put(commit(11), [add('new')]);
    await using reader = await table.open({ known: known(before) });
    expect(reader.versions).toEqual({ first: 9n, last: 11n });
    await expect(changesOf(reader, 8n)).rejects.toMatchObject({
      code: 'NOT_FOUND',
      message: expect.stringContaining('has no version 8: it has versions 9 to 11'),
    });
  });

  it('finds checkpoints and commits before the known version if they are needed', async () => {
    const table = MemoryTable.of('cleaned');
    await using before = await table.open();
    await using reader = await table.open({ known: known(before) });
    const all = await changesOf(before, 8n);
    expect((await changesOf(reader, 8n)).length).toBe(all.length);
    expect(await changesOf(reader, 8n, 7n)).toEqual(await changesOf(before, 8n, 7n));
  });

  it('needs none of its older commits, even without checkpoints and checksum files', async () => {
    const table = appends(30).put(commit(11), [metadata({ configuration: { 'delta.x': 'y' } })]);
    await using before = await table.open();
    table.put(commit(30), [add('30')]).put(commit(31), [add('31')]);
    table.store.reads = [];
    await using reader = await table.open({ known: known(before) });
    expect(new Set(table.reads)).toEqual(new Set([commit(0), commit(11), commit(30), commit(31)]));
    expect(reader.descriptor.properties['delta.x']).toBe('y');
    // It is the same if it is read as a whole.
    await using whole = await table.open();
    expect(reader.descriptor).toEqual(whole.descriptor);
    // A new protocol counts, and the next reader finds it.
    table.put(commit(32), [protocol({ minWriterVersion: 5 })]);
    await using upgraded = await table.open({ known: known(reader) });
    expect(upgraded.descriptor.properties).toMatchObject({ 'delta.minWriterVersion': '5', 'delta.x': 'y' });
    table.put(commit(33), [add('33')]);
    table.store.reads = [];
    await using next = await table.open({ known: known(upgraded) });
    expect(new Set(table.reads)).toEqual(new Set([commit(11), commit(32), commit(33)]));
    expect(next.descriptor.properties).toEqual(upgraded.descriptor.properties);
  });

  it('has a fingerprint that changes with its newest commit, at the cost of a listing', async () => {
    const table = appends(4);
    const read = (fingerprint?: string) =>
      deltaFingerprint({ store: new LogStore(table.store), location: 'file:///t', known: fingerprint });
    await using reader = await table.open();
    const first = reader.descriptor.fingerprint;
    expect(await read(first)).toBe(first);
    expect(first.startsWith(await read())).toBe(true);
    table.put(commit(3), [add('rewritten with another size')]);
    const second = await read(first);
    expect(second).not.toBe(first);
    table.put(commit(4), [add('4')]);
    expect(await read(second)).not.toBe(second);
    // Made anew with fewer versions.
    table.remove(commit(4), commit(3), commit(2));
    expect(await read(second)).toMatch(/^1:/);
  });
});
