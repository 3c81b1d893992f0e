import { gzipSync } from 'node:zlib';
import { describe, expect, it } from '@jest/globals';
import { type ColumnChunk, parseFooter, type SchemaNode } from '../../../src/formats/parquet/footer.ts';
import { DecodingBudget, readPages } from '../../../src/formats/parquet/pages.ts';
import { sketchColumn } from '../../../src/formats/parquet/sketch-column.ts';
import { checkThrift } from '../../../src/formats/parquet/thrift.ts';
import { countTurns } from '../../jest/count-turns.ts';
import { inMemory } from './files.ts';

/** Unsigned LEB128. */
function varint(value: number): number[] {
  const bytes: number[] = [];
  let rest = value;
  for (; rest >= 0x80; rest = Math.floor(rest / 0x80)) bytes.push((rest % 0x80) + 0x80);
  return [...bytes, rest];
}
const zigzag = (value: number) => varint(value < 0 ? -2 * value - 1 : 2 * value);

const check = (bytes: number[], maxElements = 1000) => {
  checkThrift({ view: new DataView(Uint8Array.from(bytes).buffer), offset: 0 }, maxElements);
};

describe('a thrift structure', () => {
  it.each([
    ['a list of 400 million in no bytes', [0x29, 0xfc, ...varint(400_000_000), 0], /list of 400000000/],
    ['such a list in a list', [0x29, 0x19, 0xfc, ...varint(400_000_000), 0], /list of 400000000/],
    ['a text longer than the structure', [0x28, ...varint(1_000_000)], /truncated/],
    ['an unterminated number', [0x26, ...Array(40).fill(0x80)], /64 bits/],
    ['structs in structs', Array(5000).fill(0x1c), /32 levels/],
    ['lists in lists', [0x29, ...Array(5000).fill(0x19)], /32 levels/],
    ['a map', [0x1b, 0], /type 11/],
    ['no end', [0x15, 2], /truncated/],
  ])('with %s is DATA_LOSS before any object is created', (_, bytes, message) => {
    expect(() => check(bytes)).toThrow(
      expect.objectContaining({ code: 'DATA_LOSS', message: expect.stringMatching(message) }),
    );
    expect(() => parseFooter(Uint8Array.from(bytes))).toThrow(
      expect.objectContaining({ message: expect.stringMatching(message) }),
    );
  });

  it('has a limit for its elements, fields included', () => {
    const list = [0x29, 0xf1, ...varint(500), ...Array(500).fill(1), 0];
    const fields = [...Array(501).fill(0x11), 0];
    for (const bytes of [list, fields]) {
      check(bytes, 501);
      expect(() => check(bytes, 500)).toThrow(expect.objectContaining({ code: 'FAILED_PRECONDITION' }));
    }
  });
});

interface MadePage {
  kind: 'data' | 'dictionary' | 'v2';
  body: Buffer;
  values: number;
  uncompressed?: number;
  nulls?: number;
}

/** A PageHeader (parquet.thrift) and the page. Encodings are PLAIN. */
function page({ kind, body, values, uncompressed = body.length, nulls = 0 }: MadePage): Buffer {
  const type = { data: 0, dictionary: 2, v2: 3 }[kind];
  // data_page_header is field 5, dictionary_page_header 7, data_page_header_v2 8; each starts with the delta from field 3.
  const typeHeader = {
    data: [0x2c, 0x15, ...zigzag(values), 0x15, ...zigzag(0), 0x15, ...zigzag(3), 0x15, ...zigzag(3), 0],
    dictionary: [0x4c, 0x15, ...zigzag(values), 0x15, ...zigzag(0), 0],
    v2: [
      0x5c,
      0x15,
      ...zigzag(values),
      0x15,
      ...zigzag(nulls),
      0x15,
      ...zigzag(values),
      0x15,
      0,
      0x15,
      0,
      0x15,
      0,
      0x12,
      0,
    ],
  }[kind];
  const head = [0x15, ...zigzag(type), 0x15, ...zigzag(uncompressed), 0x15, ...zigzag(body.length), ...typeHeader, 0];
  return Buffer.concat([Buffer.from(head), body]);
}

function leafOf(more: Partial<SchemaNode>): SchemaNode {
  const levels = { maxDefinitionLevel: 0, maxRepetitionLevel: 0 };
  return {
    name: 'c',
    children: [],
    type: 'INT32',
    repetition: 'REQUIRED',
    isList: false,
    isMap: false,
    isUnsigned: false,
    isText: false,
    ...levels,
    ...more,
  };
}

async function read(
  pages: Buffer[],
  { leaf = leafOf({}), codec = 'UNCOMPRESSED', budget = new DecodingBudget() } = {},
) {
  const chunk: ColumnChunk = { values: 1e9, compressedBytes: 0, codec, dataOffset: 4, isAllDictionary: false };
  const kinds: string[] = [];
  for await (const { kind } of readPages(Buffer.concat(pages), chunk, leaf, budget)) kinds.push(kind);
  return kinds;
}

const INTS = Buffer.alloc(400);
const data = page({ kind: 'data', body: INTS, values: 100 });
const dictionary = page({ kind: 'dictionary', body: INTS, values: 100 });

describe('pages', () => {
  it('are read to the end', async () => {
    expect(await read([dictionary, data, data])).toEqual(['dictionary', 'values', 'values']);
  });

  it.each([
    ['twice', [dictionary, dictionary]],
    ['after data', [data, dictionary]],
  ])('with a dictionary %s are DATA_LOSS', async (_, pages) => {
    await expect(read(pages)).rejects.toMatchObject({
      code: 'DATA_LOSS',
      message: expect.stringContaining('dictionary'),
    });
  });

  it.each([
    ['pages without values', { pages: 3 }, page({ kind: 'data', body: Buffer.alloc(0), values: 0 })],
    ['bytes', { bytes: 1200 }, data],
    ['values', { values: 300 }, data],
  ])('are read only until the budget for %s is used up', async (_, some, one) => {
    const budget = Object.assign(new DecodingBudget(), some);
    expect(await read(Array(10).fill(one), { budget })).toHaveLength(3);
  });

  it('of all row groups share one budget', async () => {
    const one = page({ kind: 'dictionary', body: INTS, values: 100, uncompressed: 32 << 20 });
    const file = inMemory(one);
    const chunk = { values: 100, compressedBytes: one.length, codec: 'UNCOMPRESSED', isAllDictionary: true };
    const offsets = { dictionaryOffset: 0, dataOffset: one.length };
    const rowGroups = Array.from({ length: 50 }, () => ({ rows: 100, chunks: [{ ...chunk, ...offsets }] }));
    const leaf = leafOf({});
    const sketched = await sketchColumn(
      file,
      { schema: leaf, leaves: [leaf], rows: 5000, rowGroups },
      0,
      (v) => v,
      1 << 20,
    );
    expect(file.reads).toHaveLength(2);
    expect(sketched?.isComplete).toBe(false);
  });

  it('yield to the event loop', async () => {
    expect(await countTurns(() => read(Array(50).fill(data)))).toBeGreaterThan(40);
  });

  it('of millions of values yield to the event loop while the values are hashed', async () => {
    const values = 4 * 1024 * 1024;
    const body = Buffer.from(Int32Array.from({ length: values }, (_, i) => i).buffer);
    const compressed = gzipSync(body);
    const one = page({ kind: 'data', body: compressed, values, uncompressed: body.length });
    const leaf = leafOf({});
    const chunk: ColumnChunk = {
      ...{ values, compressedBytes: one.length, codec: 'GZIP', dataOffset: 0, isAllDictionary: false },
    };
    const footer = { schema: leaf, leaves: [leaf], rows: values, rowGroups: [{ rows: values, chunks: [chunk] }] };
    let estimate = 0;
    const turns = await countTurns(async () => {
      estimate = (await sketchColumn(inMemory(one), footer, 0, (v) => v, 64 << 20))!.estimate;
    });
    expect(Math.abs(estimate / values - 1)).toBeLessThan(0.1);
    expect(turns).toBeGreaterThan(5);
  });

  it('that are large wait until others have been read', async () => {
    // Each is counted with 64 MiB for its bytes and 16 MiB for its values, of 128 MiB.
    const chunk: ColumnChunk = {
      values: 1e9,
      compressedBytes: 0,
      codec: 'GZIP',
      dataOffset: 4,
      isAllDictionary: false,
    };
    const body = gzipSync(Buffer.alloc(32 << 20));
    const good = page({ kind: 'data', body, values: 2 << 20, uncompressed: 32 << 20 });
    const first = readPages(good, chunk, leafOf({}), new DecodingBudget());
    await first.next();
    let isRead = false;
    const second = readPages(good, chunk, leafOf({}), new DecodingBudget());
    const waiting = second.next().then(() => {
      isRead = true;
    });
    await new Promise((resolve) => setTimeout(resolve, 50));
    expect(isRead).toBe(false);
    await first.return(undefined);
    await waiting;
    await second.return(undefined);
  });

  it('of values without a length are DATA_LOSS', async () => {
    const leaf = leafOf({ type: 'FIXED_LEN_BYTE_ARRAY', typeLength: 0 });
    await expect(read([page({ kind: 'data', body: Buffer.alloc(0), values: 1e6 })], { leaf })).rejects.toMatchObject({
      code: 'DATA_LOSS',
    });
  });

  it('with millions of empty texts are rejected', async () => {
    const texts = Buffer.alloc(8_000_000);
    const one = page({ kind: 'data', body: gzipSync(texts), uncompressed: texts.length, values: 2_000_000 });
    const leaf = leafOf({ type: 'BYTE_ARRAY' });
    await expect(read([one], { leaf, codec: 'GZIP' })).rejects.toMatchObject({ code: 'FAILED_PRECONDITION' });
  });

  it('with a negative number of nulls are DATA_LOSS', async () => {
    await expect(read([page({ kind: 'v2', body: INTS, values: 100, nulls: -1_000_000 })])).rejects.toMatchObject({
      code: 'DATA_LOSS',
      message: expect.stringContaining('inconsistent lengths'),
    });
  });
});
