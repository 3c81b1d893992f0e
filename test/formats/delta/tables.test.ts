import { readdirSync, readFileSync } from 'node:fs';
import { describe, expect, it } from '@jest/globals';
import type { TableReader } from '../../../src/formats/table-reader.ts';
import { unpackColumns } from '../columns/unpack-columns.ts';
import { fixture, openFixture } from './fixtures.ts';
import { apply, changesOf, type LiveFile } from './live-files.ts';

interface Version {
  version: number;
  operation: string | null;
  /** By decoded path below the table, or by URI. */
  files: Record<string, { size: number; rows?: number | null; deleted?: number }>;
}

interface Truth {
  table: string;
  doc: string;
  id?: string;
  error?: string;
  corrupted?: string;
  columns?: [string, string][];
  versions: Version[];
}

const truths = readdirSync(fixture('truth'))
  .sort()
  .map((file) => JSON.parse(readFileSync(fixture(`truth/${file}`), 'utf8')) as Truth);

describe('what engines say of each version of a Delta table', () => {
  for (const truth of truths.filter(({ error, corrupted }) => !error && !corrupted)) {
    it(`${truth.table}: ${truth.doc}`, async () => {
      await using reader = await openFixture(truth.table);
      const first = Number(reader.versions.first);
      const versions = truth.versions.map(({ version }) => version);
      expect(Number(reader.versions.last)).toBe(Math.max(...versions));
      expect(first).toBeLessThanOrEqual(Math.min(...versions));

      const operations = new Map<number, string>();
      for await (const snapshot of reader.snapshots()) {
        operations.set(Number(snapshot.snapshotId), snapshot.operation);
        expect(snapshot.schema?.id).toBe(snapshot.schemaId);
      }
      const start = apply(new Map(), await changesOf(reader, reader.versions.first));
      let before = start;
      for (let version = first; version <= Number(reader.versions.last); version++) {
        const expected = truth.versions.find((known) => known.version === version);
        const id = BigInt(version);
        const whole = apply(new Map(), await changesOf(reader, id));
        // From the version before, and from the oldest one.
        const step = version === first ? start : apply(before, await changesOf(reader, id, id - 1n));
        const far = version === first ? start : apply(start, await changesOf(reader, id, reader.versions.first));
        before = step;
        if (expected === undefined) continue;
        expect({ version, operation: operations.get(version) }).toEqual({
          version,
          operation: expected.operation ?? '',
        });
        for (const live of [whole, step, far]) expect(filesOf(reader, live)).toEqual(expectedFiles(expected));
        const counts = await reader.liveFileCounts(id);
        if (counts) expect(counts).toEqual(countsOf(whole));
      }
    });
  }

  it('are read from checkpoints whose statistics are structs, across row groups and pages', async () => {
    await using reader = await openFixture('small_pages');
    const changes = await changesOf(reader, 3n);
    const bounds = changes.flatMap((change) =>
      change.kind === 'added' ? [unpackColumns(change.file.columns).length] : [],
    );
    // Of id, s.a and s.b; the two columns of the partition are derived.
    expect(bounds.length).toBe(40);
    expect(Math.min(...bounds)).toBeGreaterThanOrEqual(3);
    const own: string[] = [];
    for (const version of [1n, 2n]) {
      for (const change of await changesOf(reader, version, version - 1n)) {
        if (change.kind === 'added') own.push(statistics(change.file));
      }
    }
    // The same statistics are in the JSON of the commits.
    const fromCheckpoint = changes.map((change) => (change.kind === 'added' ? statistics(change.file) : ''));
    for (const text of fromCheckpoint) expect(own).toContain(text);
  });

  it('are read from JSON and structs in one checkpoint', async () => {
    await using reader = await openFixture('mixed_statistics');
    expect(reader.descriptor).toMatchObject({ uuid: '8d1c0f0e-0000-4000-8000-000000000000', currentSnapshotId: 0n });
    expect(reader.descriptor.properties).toMatchObject({ 'delta.checkpointInterval': '7' });
    expect(await reader.liveFileCounts(0n)).toEqual({ dataFiles: 4, deleteFiles: 0 });
    const found = (await changesOf(reader, 0n)).map((change) => {
      if (change.kind !== 'added') throw new Error('a removal');
      const { path, recordCount, columns, partition } = change.file;
      const id = unpackColumns(columns).find((column) => column.valueCount !== undefined && column.lower?.length === 8);
      const bound = (bytes: Uint8Array | undefined) => bytes && Buffer.from(bytes).readBigInt64LE();
      const value = partition[0]?.value;
      return [
        path.split('/').at(-1),
        value && Buffer.from(value).toString(),
        recordCount,
        id?.nullCount,
        bound(id?.lower),
        bound(id?.upper),
      ];
    });
    expect(found).toEqual([
      ['text', 'a', 5, 0, 1n, 9n],
      ['struct', undefined, 6, 1, -(2n ** 62n), 2n ** 62n],
      ['both', '', 7, 0, 2n, 3n],
      ['none', 'ü', -1, undefined, undefined, undefined],
    ]);
  });
});

const statistics = ({
  path,
  recordCount,
  columns,
  partition,
}: {
  path: string;
  recordCount: number;
  columns: Uint8Array;
  partition: unknown;
}) => JSON.stringify([path, recordCount, unpackColumns(columns), partition]);

/** Name, size and live rows of each data file; rows are `undefined` if the log does not know them. */
function filesOf({ descriptor }: TableReader, live: ReadonlyMap<string, LiveFile>): Record<string, unknown> {
  const root = `${descriptor.location}/`;
  const deleted = new Map<string, number>();
  for (const { isVector, referencedDataFile = '', recordCount } of live.values()) {
    if (isVector) deleted.set(referencedDataFile, recordCount);
  }
  const files = [...live.values()].filter(({ isVector }) => !isVector);
  return Object.fromEntries(
    files.map(({ path, fileSizeInBytes, recordCount }) => [
      path.startsWith(root) ? path.slice(root.length) : path,
      {
        size: fileSizeInBytes,
        deleted: deleted.get(path) ?? 0,
        ...(recordCount >= 0 && { rows: recordCount - (deleted.get(path) ?? 0) }),
      },
    ]),
  );
}

function expectedFiles({ files }: Version): Record<string, unknown> {
  return Object.fromEntries(
    Object.entries(files).map(([name, { size, rows, deleted }]) => [
      name.replace(/^file:\/+/, 'file:///'),
      expect.objectContaining({
        size,
        // A scan finds no row of a file whose rows are all deleted.
        ...(rows !== undefined && { rows: rows ?? 0 }),
        ...(rows === undefined && { deleted: deleted ?? 0 }),
      }),
    ]),
  );
}

function countsOf(live: ReadonlyMap<string, LiveFile>) {
  const vectors = [...live.values()].filter(({ isVector }) => isVector).length;
  return { dataFiles: live.size - vectors, deleteFiles: vectors };
}
