import { cpSync, mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from '@jest/globals';
import type { DeltaTableReader } from '../../../src/formats/delta/delta-table-reader.ts';
import { openDeltaTable } from '../../../src/formats/delta/delta-table-reader.ts';
import { deltaFingerprint } from '../../../src/formats/delta/log/delta-log.ts';
import { LogStore } from '../../../src/formats/delta/log/log-store.ts';
import { RememberedStates } from '../../../src/formats/delta/state/remembered-states.ts';
import type { KnownTable } from '../../../src/formats/table-reader.ts';
import { FileStore } from '../../../src/storage/file-store.ts';
import { newUsage } from '../../../src/storage/usage.ts';
import { all } from './live-files.ts';
import { add, commit, MemoryTable, metadata, protocol } from './memory-table.ts';

const SAMPLES = join(import.meta.dirname, '../../../samples/lakehouse');
const work = mkdtempSync(join(tmpdir(), 'delta-requests-'));
afterAll(() => rmSync(work, { recursive: true }));

/** A copy of a sample table without the versions after one. */
function sampleUpTo(name: string, version: number): { folder: string; complete(): void } {
  const folder = join(mkdtempSync(join(work, 'table-')), 'table');
  const isNewer = (path: string) => Number(/(\d{20})\.[^/]*$/.exec(path)?.[1] ?? 0) > version;
  cpSync(join(SAMPLES, name), folder, { recursive: true, filter: (path) => !isNewer(path) });
  return {
    folder,
    complete: () =>
      cpSync(join(SAMPLES, name), folder, {
        recursive: true,
        filter: (path) => path === join(SAMPLES, name) || /_delta_log/.test(path),
        force: false,
      }),
  };
}

const knownFrom = ({ descriptor }: DeltaTableReader): KnownTable => ({
  uuid: descriptor.uuid,
  fingerprint: descriptor.fingerprint,
  committedAtMs: 1,
  schemas: descriptor.schemas,
  partitionSpecs: descriptor.partitionSpecs,
});

/** What a job does with a table: looks whether it has changed, opens it, and reads each version since one. */
async function ingest(folder: string, since: number, known?: KnownTable, remembered = new RememberedStates()) {
  const usage = newUsage();
  const store = new FileStore({ usage });
  const location = `file://${folder}`;
  await deltaFingerprint({ store: new LogStore(store), location, known: known?.fingerprint });
  await using reader = await openDeltaTable({ store, location, tableName: 't', known, remembered });
  const ids = new Set([...reader.history()].map(({ snapshotId }) => snapshotId).filter((id) => id >= since));
  for await (const { snapshotId } of reader.snapshots(ids)) {
    const base = snapshotId === reader.versions.first ? undefined : snapshotId - 1n;
    await reader.changeRanges(snapshotId, { base, size: 50_000, maxRanges: 64 });
    await reader.liveFileCounts(snapshotId);
    await all(reader.fileChanges(snapshotId, { base }));
  }
  return { known: knownFrom(reader), ...usage };
}

describe('requests of a Delta table on a file system', () => {
  it('are two listings for the first run, and two for each version', async () => {
    const { folder } = sampleUpTo('nyc/weather_daily', 4);
    // Each commit is read, and has its time looked up, once. The fingerprint's listing needs the newest time, too, and looks for a checkpoint.
    expect(await ingest(folder, 0)).toMatchObject({ requests: 2 * 5 + 4 });
  });

  it('are the same with a checkpoint, which is read once', async () => {
    const { folder } = sampleUpTo('science/penguins_raw', 5);
    const log = join(folder, '_delta_log');
    const sizes = [0, 1, 2, 3, 4, 5].map((version) => statSync(join(log, commit(version))).size);
    const checkpoint = statSync(join(log, '00000000000000000005.checkpoint.parquet')).size;
    const hint = statSync(join(log, '_last_checkpoint')).size;
    const { requests, bytes } = await ingest(folder, 0);
    expect(requests).toBe(2 * 6 + 4 + 2);
    expect(bytes).toBe(sizes.reduce((sum, size) => sum + size) + checkpoint + hint);
  });

  it('are those of the new commits only in the next run', async () => {
    const { folder, complete } = sampleUpTo('nyc/weather_daily', 3);
    const remembered = new RememberedStates();
    const { known } = await ingest(folder, 0, undefined, remembered);
    complete();
    const { size } = statSync(join(folder, '_delta_log', commit(4)));
    const next = await ingest(folder, 4, known, remembered);
    // Two listings, the new commit, and the times of both: the known commit shows that the log is the same.
    expect(next).toMatchObject({ requests: 2 + 1 + 3, bytes: size });
    // A process that has not read the table before reads the line with its metadata.
    const elsewhere = await ingest(folder, 4, known);
    expect(elsewhere.requests).toBe(next.requests + 1);
    expect(elsewhere.bytes).toBeLessThan(size + statSync(join(folder, '_delta_log', commit(0))).size);
  });
});

describe('requests of a long log', () => {
  it('do not grow with it', async () => {
    const table = new MemoryTable().put(commit(0), [protocol(), metadata(), add('0')]);
    // Far behind the metadata, and long enough that it is not listed as a whole.
    for (let version = 1; version < 600; version++) table.put(commit(version), [add(String(version))]);
    await using before = await table.open();
    table.put(commit(600), [add('600')]);
    table.store.reads = [];
    const stats: string[] = [];
    const listed: (string | undefined)[] = [];
    const { store } = table;
    const counting = {
      read: store.read.bind(store),
      stat: (path: string) => {
        stats.push(path.slice(-commit(0).length));
        return store.stat(path);
      },
      list: (folder: string, options?: { after?: string }) => {
        listed.push(options?.after);
        return store.list(folder, options);
      },
    };
    const known = knownFrom(before);
    await using reader = await openDeltaTable({ store: counting, location: 'file:///t', tableName: 'lake.t', known });
    for await (const { snapshotId } of reader.snapshots(new Set([600n]))) {
      expect(await reader.liveFileCounts(snapshotId)).toBeUndefined();
      await all(reader.fileChanges(snapshotId, { base: 599n }));
    }
    // One listing from the known version on, the new commit, and the line with the metadata.
    expect(listed).toEqual([commit(599).slice(0, 20)]);
    expect(table.reads).toEqual([commit(600), commit(0)]);
    // The oldest commit is still there: nothing was cleaned up.
    expect(stats.sort()).toEqual([commit(0), commit(599), commit(600)]);
    expect(reader.versions).toEqual({ first: 0n, last: 600n });
  });

  it('do not grow with it in the next slice of a first run either', async () => {
    const table = new MemoryTable().put(commit(0), [protocol(), metadata(), add('0')]);
    for (let version = 1; version < 200; version++) table.put(commit(version), [add(String(version))]);
    const remembered = new RememberedStates();
    await using _ = await table.open({ remembered });
    table.store.reads = [];
    await using reader = await table.open({ remembered, known: { ...knownFrom(_), fingerprint: '' } });
    const snapshots = await all(reader.snapshots(new Set([150n])));
    expect(snapshots.map(({ schemaId }) => schemaId)).toEqual([0]);
    expect(table.reads).toEqual([commit(199), commit(150)]);
  });

  it('find what was cleaned up', async () => {
    const table = new MemoryTable().put(commit(0), [protocol(), metadata(), add('0')]);
    for (let version = 1; version < 600; version++) table.put(commit(version), [add(String(version))]);
    await using before = await table.open();
    const checkpoint = [protocol(), metadata(), ...Array.from({ length: 501 }, (_, file) => add(String(file)))];
    table.put('00000000000000000500.checkpoint.80a083e8-7026-4e79-81be-64bd76c43a11.json', checkpoint);
    for (let version = 0; version < 500; version++) table.remove(commit(version));
    table.put(commit(600), [add('600')]);
    await using reader = await table.open({ known: knownFrom(before) });
    expect(reader.versions).toEqual({ first: 500n, last: 600n });
    expect(reader.descriptor.uuid).toBe(before.descriptor.uuid);
  });
});
