import { describe, expect, it } from '@jest/globals';
import { apply, changesOf, type LiveFile } from './live-files.ts';
import { add, commit, MemoryTable, metadata, protocol, remove } from './memory-table.ts';

const LARGE = 20_000;
const adds = (prefix: string, more: object = {}) =>
  Array.from({ length: LARGE }, (_, file) => add(`${prefix}-${file}`, more));
const removes = (prefix: string) => Array.from({ length: LARGE }, (_, file) => remove(`${prefix}-${file}`));

/** The version's files, one commit after the other. */
async function liveFiles(table: MemoryTable, version: number): Promise<number> {
  await using reader = await table.open();
  let live = new Map<string, LiveFile>();
  for (let at = 0; at <= version; at++) {
    live = apply(live, await changesOf(reader, BigInt(at), at === 0 ? undefined : BigInt(at - 1)));
  }
  return live.size;
}

describe('numbers of live files without checksum files', () => {
  it('are those of the lines if the commit is large', async () => {
    const table = new MemoryTable()
      .put(commit(0), [protocol(), metadata(), ...adds('a')])
      .put(commit(1), [add('few')])
      .put(commit(2), [...adds('b'), ...removes('a').slice(0, 7)])
      .put(commit(3), [...removes('a').slice(7), ...adds('c')]);
    await using reader = await table.open();
    expect(await reader.liveFileCounts(1n)).toBeUndefined();
    for (const version of [0, 2, 3]) {
      const dataFiles = await liveFiles(table, version);
      expect(await reader.liveFileCounts(BigInt(version))).toEqual({ dataFiles, deleteFiles: 0 });
    }
  });

  it('are not known if live files may be added again, or have deletion vectors', async () => {
    const first = [protocol(), metadata(), ...adds('a')];
    const again = new MemoryTable().put(commit(0), first).put(commit(1), adds('a', { dataChange: false }));
    await using reader = await again.put(commit(2), adds('b')).open();
    expect(await reader.liveFileCounts(0n)).toEqual({ dataFiles: LARGE, deleteFiles: 0 });
    expect(await reader.liveFileCounts(1n)).toBeUndefined();
    expect(await reader.liveFileCounts(2n)).toBeUndefined();
    const features = { readerFeatures: ['deletionVectors'], writerFeatures: ['deletionVectors'] };
    const vectors = protocol({ minReaderVersion: 3, minWriterVersion: 7, ...features });
    await using other = await new MemoryTable().put(commit(0), [vectors, ...first.slice(1)]).open();
    expect(await other.liveFileCounts(0n)).toBeUndefined();
  });

  it('continue those of a checkpoint', async () => {
    const checkpoint = 'checkpoint.80a083e8-7026-4e79-81be-64bd76c43a11.json';
    const table = new MemoryTable()
      .put(commit(3), [])
      .put(commit(3).replace('json', 'crc'), [
        { numFiles: 7, ...metadata(), metadata: metadata().metaData, ...protocol() },
      ])
      .put(commit(3).replace('json', checkpoint), [protocol(), metadata()])
      .put(commit(4), [remove('x')])
      .put(commit(5), adds('b'));
    await using reader = await table.open();
    expect(await reader.liveFileCounts(5n)).toEqual({ dataFiles: 6 + LARGE, deleteFiles: 0 });
  });
});
