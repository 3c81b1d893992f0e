import { describe, expect, it } from '@jest/globals';
import { differenceOf } from '../../../src/formats/iceberg/manifests/manifest-difference.ts';
import { type ManifestFile, readManifestList } from '../../../src/formats/iceberg/manifests/manifest-list.ts';
import { MetadataFiles } from '../../../src/formats/iceberg/metadata-files.ts';
import type { FileChange, FileChangeBatch } from '../../../src/formats/table-reader.ts';
import { MemoryStore } from '../../connectors/memory-store.ts';
import { unpackColumns } from '../columns/unpack-columns.ts';
import { type Added, changesOf } from './fixtures.ts';
import {
  type Entry,
  encoders,
  type ListedManifest,
  manifest,
  manifestList,
  openWritten,
  snapshot,
  tableMetadata,
} from './write-table.ts';

const file = (path: string, more: Partial<Entry> = {}): Entry => ({ path, ...more });

function listed(path: string, entries: readonly Entry[], more: Partial<ListedManifest> = {}): ListedManifest {
  const count = (status: number) => entries.filter((entry) => (entry.status ?? 1) === status).length;
  return { path, bytes: manifest(entries), counts: [count(1), count(0), count(2)], ...more };
}

const summarize = (changes: readonly FileChange[]) =>
  changes.map((change) => (change.kind === 'added' ? `+${change.file.path}` : `-${change.path}`)).sort();

const twoSnapshots = (more: Record<string, unknown> = {}) =>
  tableMetadata({
    snapshots: [snapshot(1), snapshot(2, { 'parent-snapshot-id': 1 })],
    'current-snapshot-id': 2,
    ...more,
  });

describe('changeRanges', () => {
  const counts = [3, 1, 4, 1, 5, 9, 2, 6];
  const manifests = counts.map((count, m) =>
    listed(
      `/t/m${m}`,
      Array.from({ length: count }, (_, i) => file(`${m}-${i}`)),
      { snapshot: 1, sequence: 1 },
    ),
  );
  const open = () => openWritten(new MemoryStore(), twoSnapshots(), { 1: manifests, 2: manifests });

  it.each([
    { size: 1, maxRanges: 64 },
    { size: 5, maxRanges: 64 },
    { size: 5, maxRanges: 3 },
    { size: 1, maxRanges: 1 },
    { size: 1000, maxRanges: 64 },
  ])('splits all changes into at most $maxRanges ranges of about $size', async ({ size, maxRanges }) => {
    const reader = await open();
    const ranges = await reader.changeRanges(1n, { size, maxRanges });
    expect(ranges!.length).toBeLessThanOrEqual(maxRanges);
    // The largest manifest is not split.
    expect(Math.max(...ranges!.map(({ changes }) => changes))).toBeLessThan(Math.max(size, 31 / maxRanges) + 9);
    const read: string[][] = [];
    for (const { from, to, changes } of ranges!) {
      const part = summarize(await changesOf(reader, 1n, { from, to }));
      expect(part.length).toBe(changes);
      read.push(part);
    }
    expect(read.flat().sort()).toEqual(summarize(await changesOf(reader, 1n)));
    expect(await reader.changeRanges(1n, { size, maxRanges })).toEqual(ranges);
  });

  it('returns none if only the difference of manifests shows the changes, and the new manifests if none was removed', async () => {
    const first = listed('/t/m1', [file('a'), file('b')], { snapshot: 1, sequence: 1 });
    const rest = listed('/t/m3', [file('b', { status: 0, snapshot_id: 1, sequence_number: 1 }), file('c')], {
      snapshot: 2,
      sequence: 2,
    });
    const replaced = await openWritten(new MemoryStore(), twoSnapshots(), { 1: [first], 2: [rest] });
    expect(await replaced.changeRanges(2n, { base: 1n, size: 1, maxRanges: 64 })).toBeUndefined();
    // The base is not the parent.
    const unrelated = tableMetadata({ snapshots: [snapshot(1), snapshot(2)], 'current-snapshot-id': 2 });
    const added = [1, 2].map((n) => listed(`/t/added${n}`, [file(`c${n}`)], { snapshot: 7, sequence: 2 }));
    const grown = await openWritten(new MemoryStore(), unrelated, { 1: [first], 2: [...added, first] });
    expect((await grown.changeRanges(2n, { base: 1n, size: 1, maxRanges: 64 }))?.length).toBe(2);
    expect(summarize(await changesOf(grown, 2n, { base: 1n }))).toEqual(['+c1', '+c2']);
    expect(summarize(await changesOf(grown, 2n, { base: 1n, from: 1, to: 2 }))).toEqual(['+c2']);
  });
});

describe('fileChanges', () => {
  const first = listed('/t/m1', [file('a'), file('b')], { snapshot: 1, sequence: 1 });

  it('reads only the manifests that the snapshot wrote', async () => {
    const store = new MemoryStore();
    const second = listed('/t/m2', [file('c')], { snapshot: 2, sequence: 2 });
    const reader = await openWritten(store, twoSnapshots(), { 1: [first], 2: [second, first] });
    store.reads = [];
    expect(summarize(await changesOf(reader, 2n, { base: 1n }))).toEqual(['+c']);
    expect(store.reads).not.toContain('/t/m1');
    expect(summarize(await changesOf(reader, 2n))).toEqual(['+a', '+b', '+c']);
  });

  it("trusts tombstones in the snapshot's own manifests, whatever snapshot they name", async () => {
    const gone = listed('/t/m2', [file('a', { status: 2, snapshot_id: 1, sequence_number: 1 })], {
      snapshot: 2,
      sequence: 2,
    });
    const rest = listed('/t/m3', [file('b', { status: 0, snapshot_id: 1, sequence_number: 1 })], {
      snapshot: 2,
      sequence: 2,
    });
    const reader = await openWritten(new MemoryStore(), twoSnapshots(), { 1: [first], 2: [gone, rest] });
    expect(summarize(await changesOf(reader, 2n, { base: 1n }))).toEqual(['-a']);
  });

  it('uses the difference of manifests if tombstones are missing', async () => {
    const rest = listed('/t/m3', [file('b', { status: 0, snapshot_id: 1, sequence_number: 1 }), file('c')], {
      snapshot: 2,
      sequence: 2,
    });
    const reader = await openWritten(new MemoryStore(), twoSnapshots(), { 1: [first], 2: [rest] });
    expect(summarize(await changesOf(reader, 2n, { base: 1n }))).toEqual(['+c', '-a']);
    expect(summarize(await changesOf(reader, 1n, { base: 2n }))).toEqual(['+a', '-c']);
  });

  it('reads version 1 manifests without snapshot ids, and returns no counts', async () => {
    const old = { ...first, counts: undefined, snapshot: null };
    const unknown: ListedManifest = {
      path: '/t/m2',
      bytes: manifest([file('a', { status: 2, snapshot_id: 2 }), file('b', { status: 0, snapshot_id: 1 })]),
    };
    const reader = await openWritten(new MemoryStore(), twoSnapshots({ 'format-version': 1 }), {
      1: [old],
      2: [unknown],
    });
    expect(await reader.liveFileCounts(2n)).toBeUndefined();
    const changes = await changesOf(reader, 2n, { base: 1n });
    // The old manifest does not say which snapshot added b, so it may be another b.
    expect(summarize(changes)).toEqual(['+b', '-a', '-b']);
    expect(changes).toContainEqual({ kind: 'removed', path: 'b' });
    const [live] = (await changesOf(reader, 2n)) as Added[];
    expect(live).toMatchObject({ sequenceNumber: 0, fileSequenceNumber: 0, addedSnapshotId: 1n });
  });

  it("selects the snapshot's entries from a manifest without a snapshot id", async () => {
    const anonymous = listed('/t/m2', [file('c', { snapshot_id: 2 }), file('b', { snapshot_id: 1 })], {
      snapshot: null,
    });
    const reader = await openWritten(new MemoryStore(), twoSnapshots({ 'format-version': 1 }), {
      1: [listed('/t/m1', [file('a'), file('b')], { snapshot: 1 })],
      2: [anonymous],
    });
    expect(summarize(await changesOf(reader, 2n, { base: 1n }))).toEqual(['+c']);
  });

  it('reads version 1 snapshots that list their manifests themselves', async () => {
    const store = new MemoryStore();
    const inline = { 'manifest-list': undefined, 'sequence-number': undefined };
    const metadata = tableMetadata({
      'format-version': 1,
      'table-uuid': undefined,
      schemas: undefined,
      schema: { type: 'struct', fields: [{ id: 1, name: 'id', required: true, type: 'int' }] },
      'current-schema-id': undefined,
      'partition-specs': undefined,
      'partition-spec': [{ name: 'id_bucket', transform: 'bucket[4]', 'source-id': 1 }],
      'default-spec-id': undefined,
      snapshots: [
        snapshot(1, { ...inline, manifests: ['/t/m1'] }),
        snapshot(2, { ...inline, 'parent-snapshot-id': 1, manifests: ['/t/m1', '/t/m2'] }),
      ],
      'current-snapshot-id': 2,
    });
    const partition = [{ name: 'id_bucket', type: ['null', 'int'], default: null, 'field-id': 1000 }];
    const write = (path: string, bucket: number | null) =>
      manifest([file(path, { snapshot_id: 1, partition: { id_bucket: bucket } })], {
        partition,
        metadata: { 'partition-spec-id': '0' },
      });
    store.objects.set('/t/m1', write('a', 3));
    store.objects.set('/t/m2', write('b', null));
    const reader = await openWritten(store, metadata, {});
    expect(reader.descriptor).toMatchObject({ uuid: '/t', currentSchemaId: 0, defaultSpecId: 0 });
    expect(summarize(await changesOf(reader, 2n, { base: 1n }))).toEqual(['+b']);
    expect(await reader.liveFileCounts(2n)).toBeUndefined();
    const [a, b] = (await changesOf(reader, 2n)) as Added[];
    expect(a?.file.partition).toEqual([
      { fieldId: 1000, name: 'id_bucket', type: 'int', value: Buffer.from([3, 0, 0, 0]) },
    ]);
    expect(b?.file.partition).toEqual([{ fieldId: 1000, name: 'id_bucket', type: 'int' }]);
  });

  it('continues from a position, manifest by manifest', async () => {
    const names = Array.from({ length: 600 }, (_, index) => `f${index}`);
    const manifests = [0, 1, 2].map((part) =>
      listed(
        `/t/m${part}`,
        names.slice(part * 200, part * 200 + (part === 1 ? 400 : 200)).map((path) => file(`${part}-${path}`)),
        { snapshot: 1, sequence: 1 },
      ),
    );
    const reader = await openWritten(new MemoryStore(), tableMetadata({ snapshots: [snapshot(1)] }), { 1: manifests });
    const batches: FileChangeBatch[] = [];
    for await (const batch of reader.fileChanges(1n)) batches.push(batch);
    expect(batches.map((batch) => batch.position)).toEqual([1, undefined, 2, 3]);
    const all = batches.flatMap((batch) => summarize(batch.changes));
    expect(all).toHaveLength(800);
    const rest = summarize(await changesOf(reader, 1n, { from: 2 }));
    expect(rest).toEqual(summarize(batches[3]!.changes));
    expect(await changesOf(reader, 1n, { from: 3 })).toEqual([]);
  });

  it('gives files their first row ids at the first commit after an upgrade to version 3', async () => {
    const old = listed('/t/m1', [file('a'), file('b')], { snapshot: 1, sequence: 1 });
    const own = listed('/t/m2', [file('c')], { snapshot: 2, sequence: 2, firstRowId: 20 });
    const reader = await openWritten(new MemoryStore(), twoSnapshots({ 'format-version': 3 }), {
      1: [old],
      2: [{ ...old, firstRowId: 0 }, own],
    });
    const changes = await changesOf(reader, 2n, { base: 1n });
    expect(summarize(changes)).toEqual(['+a', '+b', '+c', '-a', '-b']);
    const ids = changes.flatMap((change) => (change.kind === 'added' ? [change.file.firstRowId] : []));
    expect(ids.sort()).toEqual([0, 10, 20]);
  });

  it('compares what a rewritten manifest kept if its spec has a field of a dropped column', async () => {
    const own = listed('/t/m2', [file('a', { status: 0, snapshot_id: 1, sequence_number: 1, records: 7 })], {
      snapshot: 2,
      sequence: 2,
    });
    const lists = { 1: [listed('/t/m1', [file('a')], { snapshot: 1, sequence: 1 })], 2: [own] };
    const changesWith = async (sourceId: number) => {
      const specs = [
        { 'spec-id': 0, fields: [{ 'field-id': 1000, name: 'p', transform: 'identity', 'source-id': sourceId }] },
      ];
      const reader = await openWritten(new MemoryStore(), twoSnapshots({ 'partition-specs': specs }), lists);
      return summarize(await changesOf(reader, 2n, { base: 1n }));
    };
    expect(await changesWith(1)).toEqual([]);
    expect(await changesWith(99)).toEqual(['+a', '-a']);
  });

  it('computes the difference in several passes if many files were removed, with the same result', async () => {
    const store = new MemoryStore();
    const before = Array.from({ length: 100 }, (_, index) => file(`f${index}`));
    const after = Array.from({ length: 100 }, (_, index) =>
      file(`f${index + 50}`, { status: 0, snapshot_id: 1, sequence_number: 1 }),
    );
    const dv = (offset: number, more: Partial<Entry> = {}) =>
      file('p', { content: 1, more: { content_offset: offset }, ...more });
    const lists: [ListedManifest[], ListedManifest[]] = [
      [
        listed('/t/a', before, { snapshot: 1, sequence: 1 }),
        listed('/t/c', [dv(4), dv(60)], { content: 1, snapshot: 1, sequence: 1 }),
      ],
      [
        listed('/t/b', after, { snapshot: 2, sequence: 2 }),
        listed('/t/d', [dv(60, { status: 0, snapshot_id: 1, sequence_number: 1 }), dv(90)], {
          content: 1,
          snapshot: 2,
          sequence: 2,
        }),
      ],
    ];
    const manifests: ManifestFile[][] = [];
    for (const list of lists) {
      for (const { path, bytes } of list) store.objects.set(path, bytes);
      const bytes = manifestList(list);
      manifests.push(await readManifestList(async (start, end) => bytes.subarray(start, end)));
    }
    const context = {
      files: new MetadataFiles(store),
      specs: [{ specId: 0, fields: [] }],
      columnTypes: new Map(),
      lossySpecs: new Set<number>(),
    };
    const passes = async (maxKeys: number) => {
      const changes: FileChange[] = [];
      const base = { snapshotId: 1n, manifests: manifests[0]! };
      const request = { snapshotId: 2n, manifests: manifests[1]! };
      for await (const batch of differenceOf(base, request, context, maxKeys)) changes.push(...batch.changes);
      return changes
        .map((change) =>
          change.kind === 'added'
            ? `+${change.file.path}@${change.file.contentOffset}`
            : `-${change.path}@${change.contentOffset}`,
        )
        .sort();
    };
    const once = await passes(1_000);
    expect(once).toHaveLength(102);
    expect(once).toContain('-p@4');
    expect(once).toContain('+p@90');
    expect(once).not.toContain('+p@60');
    expect(await passes(7)).toEqual(once);
  });

  it.each(Object.keys(encoders))('reads manifests written with the codec %s', async (codec) => {
    const entries = Array.from({ length: 450 }, (_, index) => file(`some/path/of/a/file-${index}`));
    const bytes = manifest(entries, { codec, blockSize: 200 });
    const reader = await openWritten(new MemoryStore(), tableMetadata({ snapshots: [snapshot(1)] }), {
      1: [{ path: '/t/m', bytes, snapshot: 1, sequence: 1 }],
    });
    const changes = (await changesOf(reader, 1n)) as Added[];
    expect(changes.map((change) => change.file.path)).toEqual(entries.map((entry) => entry.path));
  });

  it('inherits row ids if the manifest has a first row id', async () => {
    const rows = [
      file('a', { records: 5 }),
      file('b', { records: 7, more: { first_row_id: 1_000 } }),
      file('c'),
      file('d'),
    ];
    const metadata = tableMetadata({ 'format-version': 3, snapshots: [snapshot(1)] });
    const ids = async (firstRowId?: number) => {
      const reader = await openWritten(new MemoryStore(), metadata, {
        1: [{ path: '/t/m', bytes: manifest(rows), snapshot: 1, sequence: 1, firstRowId }],
      });
      return ((await changesOf(reader, 1n)) as Added[]).map((change) => change.file.firstRowId);
    };
    expect(await ids(100)).toEqual([100, 1_000, 105, 115]);
    expect(await ids()).toEqual([undefined, undefined, undefined, undefined]);
  });

  it('reads metric maps in any order, selects columns, and treats negative counts as unknown', async () => {
    const pairs = (values: [number, unknown][]) => values.map(([key, value]) => ({ key, value }));
    const more = {
      column_sizes: pairs([
        [2, 20],
        [9, 90],
      ]),
      value_counts: pairs([
        [9, 9],
        [1, -1],
        [2, 2],
        [5, 5],
      ]),
      null_value_counts: pairs([
        [1, 0],
        [2, 1],
      ]),
      lower_bounds: pairs([
        [5, Buffer.from('e')],
        [2_147_483_546, Buffer.from('x')],
      ]),
      upper_bounds: pairs([[2_147_483_540, Buffer.from('y')]]),
    };
    const reader = await openWritten(new MemoryStore(), tableMetadata({ snapshots: [snapshot(1)] }), {
      1: [listed('/t/m', [file('a', { more }), file('b', { more })], { snapshot: 1, sequence: 1 })],
    });
    const columns = [
      { id: 1, nullCount: 0 },
      { id: 2, sizeInBytes: 20, valueCount: 2, nullCount: 1 },
      { id: 5, valueCount: 5, lower: new Uint8Array(Buffer.from('e')) },
      { id: 9, sizeInBytes: 90, valueCount: 9 },
      // Row lineage is a column of data files; `file_path` is a column of delete files only.
      { id: 2_147_483_540, upper: new Uint8Array(Buffer.from('y')) },
    ];
    const all = (await changesOf(reader, 1n)) as Added[];
    expect(all.map((change) => unpackColumns(change.file.columns))).toEqual([columns, columns]);
    const some = (await changesOf(reader, 1n, { columnIds: new Set([5, 9, 77]) })) as Added[];
    expect(unpackColumns(some[0]!.file.columns)).toEqual(columns.slice(2, 4));
  });

  it('reads each manifest once along a history', async () => {
    const store = new MemoryStore();
    const manifests = Array.from({ length: 20 }, (_, index) =>
      listed(
        `/t/m${index + 1}`,
        Array.from({ length: 100 }, (__, at) => file(`${index}/${at}`)),
        { snapshot: index + 1, sequence: index + 1 },
      ),
    );
    const ids = manifests.map((_, index) => index + 1);
    const snapshots = ids.map((id) => snapshot(id, id > 1 ? { 'parent-snapshot-id': id - 1 } : {}));
    const lists = Object.fromEntries(ids.map((id) => [id, manifests.slice(0, id).reverse()]));
    const reader = await openWritten(store, tableMetadata({ snapshots, 'current-snapshot-id': 20 }), lists);
    let base: bigint | undefined;
    for await (const { snapshotId } of reader.snapshots()) {
      expect(await changesOf(reader, snapshotId, { base })).toHaveLength(100);
      await reader.liveFileCounts(snapshotId);
      base = snapshotId;
    }
    expect(store.reads).toHaveLength(new Set(store.reads).size);
    const bytes = [...store.objects.values()].reduce((sum, object) => sum + object.length, 0);
    expect(reader.bytesRead).toBe(bytes);
  });

  it('stops when it is aborted', async () => {
    const reader = await openWritten(new MemoryStore(), tableMetadata({ snapshots: [snapshot(1)] }), { 1: [first] });
    await expect(changesOf(reader, 1n, { signal: AbortSignal.abort(new Error('stopped')) })).rejects.toThrow('stopped');
  });

  it.each([
    ['a missing snapshot', {}, 'NOT_FOUND', /no snapshot 7/],
    ['an unknown status', { status: 7 as 1 }, 'DATA_LOSS', /manifest \/t\/m is broken: an entry has the status 7/],
    ['an unknown content', { content: 5 }, 'DATA_LOSS', /content 5/],
    ['a negative record count', { records: -2 }, 'DATA_LOSS', /-2 records/],
    ['an old file without sequence number', { status: 0 as const }, 'DATA_LOSS', /no sequence number/],
  ])('fails for %s', async (_, entry, code, message) => {
    const reader = await openWritten(new MemoryStore(), tableMetadata({ snapshots: [snapshot(1)] }), {
      1: [listed('/t/m', [file('a', entry)], { snapshot: 1, sequence: 1, counts: [1, 1, 1] })],
    });
    const id = code === 'NOT_FOUND' ? 7n : 1n;
    await expect(changesOf(reader, id)).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
  });

  describe('a manifest that is shorter than its list says', () => {
    const shorter = async (files: string[], counts?: readonly [number, number, number]) => {
      const whole = listed('/t/m', [file('a'), file('b')], { snapshot: 1, sequence: 1, counts });
      const store = new MemoryStore();
      const long = { ...whole, bytes: Buffer.concat([whole.bytes, Buffer.alloc(1_000)]) };
      const reader = await openWritten(store, tableMetadata({ snapshots: [snapshot(1)] }), { 1: [long] });
      store.objects.set('/t/m', manifest(files.map((path) => file(path))));
      return changesOf(reader, 1n);
    };

    it.each<[string, readonly [number, number, number] | undefined]>([
      ['has fewer entries', [2, 0, 0]],
      ['has entries that nobody counted', undefined],
    ])('is truncated between two blocks if it %s', async (_, counts) => {
      await expect(shorter(['a'], counts)).rejects.toMatchObject({ code: 'DATA_LOSS', message: /truncated/ });
    });

    it('is whole if it has all entries that the list counts', async () => {
      expect(await shorter(['a', 'b'], [2, 0, 0])).toHaveLength(2);
    });
  });
});
