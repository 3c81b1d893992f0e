import { readdirSync, readFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from '@jest/globals';
import { readPuffinSketches } from '../../../src/formats/iceberg/puffin/puffin.ts';
import { openIcebergTable } from '../../../src/formats/iceberg/table-reader.ts';
import type { ColumnSketch } from '../../../src/formats/table-reader.ts';
import { FileStore } from '../../../src/storage/file-store.ts';
import { inMemory } from '../parquet/files.ts';

const FIXTURES = join(import.meta.dirname, '../../fixtures');
/** Made by test/generators/puffin_files.py. */
const SNAPSHOT = 9_007_199_254_740_993n;

const COLUMNS = new Set([1, 2, 3, 4, 5, 6, 7]);

async function sketches(bytes: Uint8Array, file = inMemory(bytes)): Promise<ColumnSketch[]> {
  const found: ColumnSketch[] = [];
  for await (const sketch of readPuffinSketches(
    { snapshotId: SNAPSHOT, path: 'a.stats', sizeInBytes: bytes.length },
    file,
    COLUMNS,
  )) {
    found.push(sketch);
  }
  return found;
}

const made = (name: string) => readFileSync(join(FIXTURES, 'made/puffin', `${name}.puffin`));
const counts = (found: ColumnSketch[]) => found.map(({ columnId, exact, estimate }) => [columnId, exact ?? estimate]);

describe('a Puffin file', () => {
  it("has the counts that Iceberg reports for Spark's sketches", async () => {
    const folder = join(FIXTURES, 'iceberg/wh/fx/stats_ndv');
    const newest = readdirSync(join(folder, 'metadata'))
      .filter((name) => name.endsWith('.metadata.json'))
      .sort()
      .at(-1)!;
    const metadataLocation = join(folder, 'metadata', newest);
    const reader = await openIcebergTable({ store: new FileStore(), metadataLocation, fingerprint: '', folder });
    const truth = JSON.parse(readFileSync(join(FIXTURES, 'iceberg/truth/fx.stats_ndv.json'), 'utf8')).statistics as {
      snapshot_id: number;
      blobs: { fields: number[]; properties: { ndv: string } }[];
    }[];
    const found: unknown[] = [];
    for (const file of reader.sketchFiles) {
      for await (const { columnId, exact } of reader.columnSketches(file, COLUMNS))
        found.push([Number(file.snapshotId), columnId, exact]);
    }
    const expected = truth.flatMap(({ snapshot_id, blobs }) =>
      blobs.map(({ fields, properties }) => [snapshot_id, fields[0], Number(properties.ndv)]),
    );
    expect(found).toEqual(expected);
    expect(found.length).toBe(9);
  });

  it.each([
    ['nests deeply', '['.repeat(3_000_000), /nests 3,000,000 levels deep/, 'DATA_LOSS'],
    ['has many values', `{"blobs":[${'1,'.repeat(300_000)}1]}`, /its footer has 300,\d+ values/, 'FAILED_PRECONDITION'],
  ])('whose footer %s is refused', async (_, json, message, code) => {
    const tail = Buffer.alloc(12);
    tail.writeInt32LE(json.length, 0);
    tail.write('PFA1', 8, 'latin1');
    const file = Buffer.concat([Buffer.from('PFA1PFA1'), Buffer.from(json), tail]);
    await expect(sketches(file)).rejects.toMatchObject({ code, message: expect.stringMatching(message) });
  });

  it('is read with every codec, in one request', async () => {
    const file = inMemory(made('codecs'));
    expect(counts(await sketches(made('codecs'), file))).toEqual([
      [1, 300],
      [2, 300],
      [3, 300],
      [4, 9_000],
      [5, 9_000],
    ]);
    expect(file.reads).toHaveLength(1);
  });

  it('can have a compressed footer', async () => {
    expect(counts(await sketches(made('lz4_footer')))).toEqual([[7, 300]]);
  });

  it("returns its snapshot's sketches of single columns, with the writer's counts", async () => {
    const found = await sketches(made('others'));
    expect(counts(found)).toEqual([
      [5, 99_000],
      [6, 42],
    ]);
    expect(found[0]!.relativeError).toBeGreaterThan(0);
    expect(found[0]!.exact).toBeUndefined();
  });

  it('returns at most one sketch per column, and only for the requested columns', async () => {
    const blob = made('codecs').subarray(4, 4 + 2416);
    const blobs = [0, -1, 99, 1, 1, ...Array(5000).fill(2)].map((id) => ({ id, offset: 4, length: blob.length }));
    expect(counts(await sketches(puffin(blob, blobs)))).toEqual([
      [1, 300],
      [2, 300],
    ]);
  });

  it('is rejected if a sketch has more than 128 KiB, compressed or not', async () => {
    // A zstd frame of one block that repeats a byte (RFC 8878).
    const packed = Buffer.alloc(13);
    packed.writeUInt32LE(0xfd2fb528, 0);
    packed[4] = 0xa0;
    packed.writeUInt32LE(140_000, 5);
    packed.writeUIntLE((140_000 << 3) | 3, 9, 3);
    for (const [body, codec] of [
      [Buffer.alloc(140_000), undefined],
      [packed, 'zstd'],
    ] as const) {
      const blobs = [{ id: 1, offset: 4, length: body.length, codec }];
      await expect(sketches(puffin(body, blobs))).rejects.toMatchObject({ code: 'DATA_LOSS' });
    }
  });

  const good = made('codecs');
  it.each([
    ['is empty', Buffer.alloc(0)],
    ['is truncated', good.subarray(0, -30)],
    ['starts in the middle', good.subarray(good.length - 200)],
    ['has another format', Buffer.alloc(4000, 'text')],
    ['has a footer larger than itself', withFooterSize(good, 1 << 20)],
    ['has a footer of negative size', withFooterSize(good, -1)],
    ['has corrupt blobs', Buffer.concat([good.subarray(0, 4), Buffer.alloc(5000), good.subarray(5004)])],
    ['has a codec that Puffin does not define', made('unknown_codec')],
  ])('that %s is DATA_LOSS, and the error names it', async (_, bytes) => {
    await expect(sketches(bytes)).rejects.toMatchObject({
      code: 'DATA_LOSS',
      message: expect.stringContaining('a.stats'),
    });
  });
});

function withFooterSize(bytes: Buffer, size: number): Buffer {
  const copy = Buffer.from(bytes);
  copy.writeInt32LE(size, copy.length - 12);
  return copy;
}

/** A Puffin file with this body and these blobs, which may be anywhere in the body. */
function puffin(body: Uint8Array, blobs: { id: number; offset: number; length: number; codec?: string }[]): Buffer {
  const text = JSON.stringify({
    blobs: blobs.map(({ id, offset, length, codec }) => ({
      type: 'apache-datasketches-theta-v1',
      fields: [id],
      'snapshot-id': 0,
      'sequence-number': 1,
      offset,
      length,
      'compression-codec': codec,
      properties: { ndv: '300' },
    })),
  }).replaceAll('"snapshot-id":0', `"snapshot-id":${SNAPSHOT}`);
  const payload = Buffer.from(text);
  const tail = Buffer.alloc(12);
  tail.writeInt32LE(payload.length, 0);
  tail.write('PFA1', 8);
  return Buffer.concat([Buffer.from('PFA1'), body, Buffer.from('PFA1'), payload, tail]);
}
