import { afterAll, beforeAll, describe, expect, it } from '@jest/globals';
import type { Entry } from '../../formats/iceberg/write-table.ts';
import { FolderHistory, type WrittenSnapshot } from './folder-history.ts';
import { FolderTables } from './folder-tables.ts';

// What each snapshot holds is what Iceberg Java's planFiles returned for tables of the same shape (issue 14: dup_expired, dup_two_commits,
// readded_same_path).

let tables: FolderTables;
beforeAll(async () => {
  tables = await FolderTables.start();
});
afterAll(() => tables[Symbol.asyncDispose]());

const kept = (path: string, by: number, more: Partial<Entry> = {}): Entry => ({
  path,
  status: 0,
  snapshot_id: by,
  sequence_number: by,
  file_sequence_number: by,
  ...more,
});
const gone = (path: string, by: number): Entry => ({ ...kept(path, by), status: 2 });

interface Case {
  /** Manifests by name: the snapshot that wrote them, and their entries. */
  manifests: Record<string, [number, Entry[]]>;
  /** The names of each snapshot's manifests. */
  lists: string[][];
  /** Path, record count and sequence number of each snapshot's files. */
  files: string[][];
}

const cases: Record<string, Case> = {
  'removed and added again in one commit': {
    manifests: { m1: [1, [{ path: 'a' }]], m2: [2, [gone('a', 1)]], m3: [2, [{ path: 'a', records: 12 }]] },
    lists: [['m1'], ['m2', 'm3']],
    files: [['a 10 1'], ['a 12 2']],
  },
  'removed and added again, without a tombstone': {
    manifests: {
      m1: [1, [{ path: 'a' }, { path: 'b' }]],
      m2: [2, [kept('b', 1), { path: 'a', records: 12 }]],
    },
    lists: [['m1'], ['m2']],
    files: [
      ['a 10 1', 'b 10 1'],
      ['a 12 2', 'b 10 1'],
    ],
  },
  'added again two commits later, with a rewritten manifest in between': {
    manifests: {
      m1: [1, [{ path: 'a' }, { path: 'b' }]],
      m2: [2, [gone('a', 1), kept('b', 1)]],
      m3: [3, [kept('b', 1)]],
      m4: [4, [{ path: 'a', records: 7 }]],
    },
    lists: [['m1'], ['m2'], ['m3'], ['m3', 'm4']],
    files: [['a 10 1', 'b 10 1'], ['b 10 1'], ['b 10 1'], ['a 7 4', 'b 10 1']],
  },
  'listed twice by one manifest': {
    manifests: { m1: [1, [{ path: 'a' }]], m2: [2, [{ path: 'b' }, { path: 'b' }]] },
    lists: [['m1'], ['m1', 'm2']],
    files: [['a 10 1'], ['a 10 1', 'b 10 2', 'b 10 2']],
  },
  'listed by two manifests, of which one is rewritten without it': {
    manifests: {
      m1: [1, [{ path: 'a' }, { path: 'b' }]],
      m2: [1, [{ path: 'b', records: 11 }]],
      m3: [2, [{ path: 'b' }]],
      m4: [3, [kept('a', 1)]],
      m5: [4, [gone('b', 2)]],
    },
    lists: [
      ['m1', 'm2'],
      ['m1', 'm2', 'm3'],
      ['m4', 'm2', 'm3'],
      ['m4', 'm2', 'm5'],
    ],
    files: [
      ['a 10 1', 'b 10 1', 'b 11 1'],
      ['a 10 1', 'b 10 1', 'b 10 2', 'b 11 1'],
      ['a 10 1', 'b 10 2', 'b 11 1'],
      ['a 10 1', 'b 11 1'],
    ],
  },
  'in a manifest that is listed twice, which is one manifest': {
    manifests: { m1: [1, [{ path: 'a' }]], m2: [2, [{ path: 'b' }]] },
    lists: [
      ['m1', 'm1'],
      ['m1', 'm2', 'm1', 'm2'],
    ],
    files: [['a 10 1'], ['a 10 1', 'b 10 2']],
  },
};

/** The first `count` snapshots of a case. */
const history = ({ lists }: Case, count: number): WrittenSnapshot[] =>
  lists.slice(0, count).map((manifests, index) => ({
    id: index + 1,
    ...(index > 0 && { parent: index }),
    manifests,
  }));

describe.each(Object.entries(cases))('a file %s', (_, example) => {
  /** @param counts ingests the table after these numbers of snapshots */
  async function ingested(counts: number[]) {
    const warehouse = tables.warehouse();
    const table = new FolderHistory(warehouse);
    for (const [name, [id, entries]] of Object.entries(example.manifests)) table.manifest(name, id, entries);
    const connected = await tables.connect(warehouse);
    for (const count of counts) {
      table.write(history(example, count));
      expect(await connected.ingest()).toMatchObject({ changed: true });
    }
    return connected;
  }

  it.each([
    ['in one run', [example.lists.length]],
    ['run by run', example.lists.map((__, index) => index + 1)],
  ])('counts as each snapshot says, %s', async (__, counts) => {
    const { ingest, plan } = await ingested(counts);
    const check = async () => {
      for (const [index, files] of example.files.entries()) {
        const planned = await plan(BigInt(index + 1));
        expect(
          planned.map(({ file }) => `${file?.filePath} ${file?.recordCount} ${file?.sequenceNumber}`).sort(),
        ).toEqual(files);
      }
    };
    await check();
    // A full rescan finds nothing to correct.
    expect(await ingest(true)).toMatchObject({ changed: false });
    await check();
  });
});
