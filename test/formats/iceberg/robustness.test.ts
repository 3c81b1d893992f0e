import { readdirSync, readFileSync } from 'node:fs';
import { gunzipSync } from 'node:zlib';
import { beforeAll, describe, expect, it } from '@jest/globals';
import { CodedError } from '../../../src/errors.ts';
import { openIcebergTable } from '../../../src/formats/iceberg/table-reader.ts';
import { MemoryStore } from '../../connectors/memory-store.ts';
import { fixtures } from './fixtures.ts';
import { encoders, manifest, manifestList, snapshot, tableMetadata } from './write-table.ts';

/** Damages one file of a table in many ways. Each time reading must end soon, with a CodedError or a result, and with little memory. */

const MAX_DURATION_MS = 5_000;
const MAX_MEMORY_BYTES = 400 * 1024 * 1024;

interface Table {
  store: MemoryStore;
  metadataLocation: string;
}

/** A fixture's metadata folder in memory, as a moved table. */
function fixture(folder: string, metadata: string): Table {
  const store = new MemoryStore();
  for (const name of readdirSync(`${fixtures}${folder}/metadata`)) {
    store.objects.set(`/t/metadata/${name}`, readFileSync(`${fixtures}${folder}/metadata/${name}`));
  }
  return { store, metadataLocation: `/t/metadata/${metadata}` };
}

function written(codec: string): Table {
  const store = new MemoryStore();
  const entries = Array.from({ length: 30 }, (_, index) => ({
    path: `/t/data/file-${index}.parquet`,
    more: {
      value_counts: [1, 2].map((key) => ({ key, value: index })),
      lower_bounds: [1, 2].map((key) => ({ key, value: Buffer.alloc(8, index) })),
    },
  }));
  const bytes = manifest(entries, { codec, blockSize: 10 });
  store.objects.set('/t/metadata/m.avro', bytes);
  const listed = [{ path: '/t/metadata/m.avro', bytes, snapshot: 1, sequence: 1, counts: [30, 0, 0] as const }];
  store.objects.set('/t/metadata/snap-1.avro', manifestList(listed, { codec }));
  const metadata = tableMetadata({ snapshots: [snapshot(1)], 'current-snapshot-id': 1 });
  store.objects.set('/t/metadata/v1.metadata.json', Buffer.from(JSON.stringify(metadata)));
  return { store, metadataLocation: '/t/metadata/v1.metadata.json' };
}

/** Reads everything of a table; returns the number of changes, or the error. */
async function readAll({ store, metadataLocation }: Table): Promise<number | CodedError> {
  try {
    const reader = await openIcebergTable({ store, metadataLocation, fingerprint: 'f', folder: '/t' });
    let changes = 0;
    for await (const { snapshotId, parentSnapshotId } of reader.snapshots()) {
      for await (const batch of reader.fileChanges(snapshotId)) changes += batch.changes.length;
      await reader.liveFileCounts(snapshotId);
      const base = parentSnapshotId;
      if (base === undefined) continue;
      try {
        for await (const batch of reader.fileChanges(snapshotId, { base })) changes += batch.changes.length;
      } catch (error) {
        if ((error as CodedError).code !== 'NOT_FOUND') throw error; // an expired parent
      }
    }
    return changes;
  } catch (error) {
    if (error instanceof CodedError) return error;
    throw error;
  }
}

/** Random numbers that are the same in every run. */
function random(seed: number): () => number {
  let state = seed;
  return () => {
    state = (Math.imul(state, 1_664_525) + 1_013_904_223) >>> 0;
    return state / 2 ** 32;
  };
}

function damages(bytes: Uint8Array): Buffer[] {
  const next = random(bytes.length);
  const whole = Buffer.from(bytes);
  const pick = () => Math.floor(next() * whole.length);
  const damaged = Array.from({ length: 64 }, (_, part) => whole.subarray(0, Math.floor((whole.length * part) / 64)));
  for (let turn = 0; turn < 150; turn++) {
    const copy = Buffer.from(whole);
    for (let flips = 1 + Math.floor(next() * 4); flips > 0; flips--) copy[pick()]! ^= 1 << Math.floor(next() * 8);
    damaged.push(copy);
  }
  for (let turn = 0; turn < 100; turn++) {
    const copy = Buffer.from(whole);
    // Huge lengths and counts: varints of only ones, and of 2^30 to 2^62.
    const huge = turn % 2 === 0 ? Buffer.alloc(9, 0xff) : Buffer.from([0x80, 0x80, 0x80, 0x80, 0x08 << (turn % 3)]);
    const at = pick();
    huge.copy(copy, at);
    damaged.push(copy);
  }
  damaged.push(Buffer.concat([whole, whole]), Buffer.from(whole).reverse(), Buffer.alloc(whole.length));
  return damaged;
}

const tables: [string, Table][] = [
  ['v3 with deletion vectors', fixture('wh/fx/v3_dv', newest('wh/fx/v3_dv'))],
  ['v1 by Spark', fixture('wh/fx/v1_basic', newest('wh/fx/v1_basic'))],
  ['by pyiceberg', fixture('wh/fx/py_types', newest('wh/fx/py_types'))],
  ['gzipped', fixture('fs/db1/gz', 'v2.gz.metadata.json')],
  ...Object.keys(encoders).map((codec): [string, Table] => [`written with ${codec}`, written(codec)]),
];

function newest(folder: string): string {
  const names = readdirSync(`${fixtures}${folder}/metadata`).filter((name) => name.endsWith('.metadata.json'));
  return names.sort()[names.length - 1]!;
}

describe.each(tables)('a damaged table, %s', (_, table) => {
  let files: [string, string][];

  beforeAll(async () => {
    expect(await readAll(table)).toBeGreaterThan(0);
    const names = [...table.store.objects.keys()].map((path) => path.slice('/t/metadata/'.length));
    const manifest = names.find((name) => /-m\d+\.avro$|^m\.avro$/.test(name))!;
    const list = names.find((name) => name.startsWith('snap-'))!;
    files = [
      ['table metadata', table.metadataLocation],
      ['manifest list', `/t/metadata/${list}`],
      ['manifest', `/t/metadata/${manifest}`],
    ];
  });

  it.each(['table metadata', 'manifest list', 'manifest'])(
    '%s: reading ends soon with an error or a result',
    async (kind) => {
      const path = files.find(([name]) => name === kind)![1];
      const whole = table.store.objects.get(path)!;
      const before = process.memoryUsage().rss;
      let errors = 0;
      for (const bytes of damages(whole)) {
        table.store.objects.set(path, bytes);
        const start = performance.now();
        const outcome = await readAll(table);
        expect(performance.now() - start).toBeLessThan(MAX_DURATION_MS);
        if (typeof outcome === 'number') continue;
        errors++;
        expect(outcome.message.length).toBeLessThan(2_000);
        expect(['DATA_LOSS', 'UNIMPLEMENTED', 'FAILED_PRECONDITION']).toContain(outcome.code);
        // The error names the damaged file, or a file to which the damaged one refers.
        if (!outcome.message.includes(path.slice('/t/metadata/'.length)))
          expect(outcome.message).toMatch(/\.avro|\/t|lake/);
      }
      table.store.objects.set(path, whole);
      expect(errors).toBeGreaterThan(60);
      expect(process.memoryUsage().rss - before).toBeLessThan(MAX_MEMORY_BYTES);
    },
  );

  it('names a missing file', async () => {
    for (const [kind, path] of files) {
      const whole = table.store.objects.get(path)!;
      table.store.objects.delete(path);
      expect(await readAll(table)).toMatchObject({
        code: 'DATA_LOSS',
        message: expect.stringMatching(new RegExp(`^${kind}.*${path.slice('/t/metadata/'.length)}.*cannot be read`)),
      });
      table.store.objects.set(path, whole);
    }
  });
});

describe('wrong types in Avro', () => {
  it('names the field', async () => {
    const table = written('null');
    const list = Buffer.from(table.store.objects.get('/t/metadata/snap-1.avro')!);
    const changed = list
      .toString('latin1')
      .replace('"manifest_path","type":"string"', '"manifest_path","type":"double"');
    table.store.objects.set('/t/metadata/snap-1.avro', Buffer.from(changed, 'latin1'));
    expect(await readAll(table)).toMatchObject({
      code: 'DATA_LOSS',
      message: expect.stringMatching(
        /^manifest list of snapshot 1 at .*field manifest_path \(500\): its type is double/,
      ),
    });
  });

  it('requires the mandatory fields', async () => {
    const table = written('null');
    const bytes = Buffer.from(table.store.objects.get('/t/metadata/m.avro')!).toString('latin1');
    const changed = bytes.replace('"field-id":103', '"field-id":999');
    table.store.objects.set('/t/metadata/m.avro', Buffer.from(changed, 'latin1'));
    expect(await readAll(table)).toMatchObject({ message: expect.stringMatching(/no field record_count \(103\)/) });
  });

  it('reads metadata that is not gzipped although its name says so', async () => {
    const table = fixture('fs/db1/gz', 'v2.gz.metadata.json');
    const bytes = table.store.objects.get(table.metadataLocation)!;
    table.store.objects.set(table.metadataLocation, gunzipSync(bytes));
    expect(await readAll(table)).toBeGreaterThan(0);
  });
});
