import { deflateRawSync } from 'node:zlib';
import { describe, expect, it } from '@jest/globals';
import avro from 'avsc';
import fc from 'fast-check';
import snappy from 'snappyjs';
import { codec } from '../../../src/formats/avro/codecs.ts';
import { AvroContainer, type ReadRange } from '../../../src/formats/avro/container.ts';
import { crc32 } from '../../../src/formats/avro/crc32.ts';
import { AvroCursor } from '../../../src/formats/avro/cursor.ts';
import { inflate, inflateOnce } from '../../../src/formats/avro/inflate.ts';
import { skipper } from '../../../src/formats/avro/readers.ts';
import { parseAvroSchema } from '../../../src/formats/avro/schema.ts';
import { snappyDecompress } from '../../../src/formats/avro/snappy.ts';
import { MalformedError } from '../../../src/formats/malformed.ts';
import { avroFile, encoders, entrySchema } from '../iceberg/write-table.ts';

const MIB = 1024 * 1024;

/** Made with pyarrow's zstd: in one call, with the content size; and as a stream without it, like Java's Avro. */
const ZSTD_BLOCKS: [string, string][] = [
  ['in one call', '28b52ffd607016bd0000786d616e696665737420656e7472792001005e27fdac03'],
  ['as a stream', '28b52ffd0048bd0000786d616e696665737420656e7472792001005e27fdac03'],
];

/** Made with Python's bz2. */
const BZIP2_BLOCK = Buffer.from('QlpoOTFBWSZTWSgzk3QAAfPBAAAQAkSgAFBmgE1UY2pBlSD9SDKkG1SDhdyRThQkCgzk3QA=', 'base64');

function varint(value: bigint): Buffer {
  let left = BigInt.asUintN(64, (value << 1n) ^ (value >> 63n));
  const bytes: number[] = [];
  do {
    bytes.push(Number(left & 0x7fn) | (left > 0x7fn ? 0x80 : 0));
    left >>= 7n;
  } while (left > 0n);
  return Buffer.from(bytes);
}

describe('AvroCursor', () => {
  const int64 = fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n });
  const anySize = fc.oneof(
    int64,
    fc.integer().map(BigInt),
    fc.maxSafeInteger().map(BigInt),
    fc.integer({ min: 0, max: 63 }).chain((bits) => fc.constantFrom(2n ** BigInt(bits) - 1n, -(2n ** BigInt(bits)))),
  );

  it('reads every 64-bit number', () => {
    fc.assert(
      fc.property(anySize, (value) => {
        const bytes = varint(value);
        const cursor = new AvroCursor(bytes);
        expect(cursor.readLongBig()).toBe(value);
        expect(cursor.position).toBe(bytes.length);
      }),
      { numRuns: 2_000 },
    );
  });

  it('reads safe integers as numbers and rejects the others', () => {
    fc.assert(
      fc.property(anySize, (value) => {
        const cursor = new AvroCursor(varint(value));
        if (value >= BigInt(Number.MIN_SAFE_INTEGER) - 1n && value <= BigInt(Number.MAX_SAFE_INTEGER)) {
          expect(cursor.readLong()).toBe(Number(value));
          expect(cursor.remaining).toBe(0);
        } else {
          expect(() => cursor.readLong()).toThrow(MalformedError);
          const again = new AvroCursor(varint(value));
          expect([again.readLong(-1), again.remaining]).toEqual([-1, 0]);
        }
      }),
      { numRuns: 2_000 },
    );
  });

  it('never reads more than ten bytes of a number, or past the end of a value', () => {
    expect(() => new AvroCursor(Buffer.alloc(20, 0xff)).readLong()).toThrow(MalformedError);
    expect(() => new AvroCursor(Buffer.from([0x14, 1, 2])).readBytes()).toThrow(MalformedError);
    expect(() => new AvroCursor(Buffer.from([0x14, 1, 2])).readString()).toThrow(MalformedError);
    expect(() => new AvroCursor(Buffer.from([0x01])).readBytes()).toThrow(MalformedError);
    expect(() => new AvroCursor(Buffer.concat([varint(2n ** 50n), Buffer.alloc(9)])).readBlockCount()).toThrow(
      MalformedError,
    );
  });
});

describe('codecs', () => {
  const manyBytes = fc.oneof(
    fc.uint8Array({ maxLength: 5_000 }),
    fc
      .tuple(fc.uint8Array({ minLength: 1, maxLength: 70 }), fc.integer({ min: 1, max: 3_000 }))
      .map(([part, times]) => Buffer.concat(Array.from({ length: times }, () => part))),
  );

  it('inflates the output of zlib with both implementations', () => {
    expect(inflate).not.toBe(inflateOnce);
    fc.assert(
      fc.property(manyBytes, (bytes) => {
        const block = deflateRawSync(bytes);
        expect(Buffer.compare(inflate(block, MIB), bytes)).toBe(0);
        expect(Buffer.compare(inflateOnce(block, MIB), bytes)).toBe(0);
        if (bytes.length > 1) expect(() => inflate(block, bytes.length - 1)).toThrow(MalformedError);
      }),
    );
  });

  it('does not overwrite earlier results', () => {
    const texts = Array.from({ length: 500 }, (_, index) => `block ${index} `.repeat(1 + (index % 200)));
    const blocks = texts.map((text) => inflate(deflateRawSync(text), MIB));
    expect(blocks.map(String)).toEqual(texts);
  });

  it('inflates large blocks, and stops at bombs', () => {
    const large = Buffer.alloc(20 * MIB, 'manifest');
    expect(inflate(deflateRawSync(large), 128 * MIB).equals(large)).toBe(true);
    expect(() => inflate(deflateRawSync(large), 10 * MIB)).toThrow(/more than 10485760 bytes/);
  });

  it('does not keep the memory of a large block, or of one that is too large', () => {
    const large = deflateRawSync(Buffer.alloc(20 * MIB, 'manifest'));
    const small = deflateRawSync('small');
    inflate(large, 128 * MIB);
    expect(inflate(small, MIB).buffer.byteLength).toBeLessThan(MIB);
    expect(() => inflate(large, 10 * MIB)).toThrow(MalformedError);
    expect(inflate(small, MIB).buffer.byteLength).toBeLessThan(MIB);
  });

  it('rejects corrupt deflate data, and works afterwards', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 300 }), (bytes) => {
        try {
          inflate(Buffer.from(bytes), MIB);
        } catch (error) {
          expect(error).toBeInstanceOf(MalformedError);
        }
        expect(inflate(deflateRawSync('good'), MIB).toString()).toBe('good');
      }),
    );
    expect(() => inflate(Buffer.alloc(0), MIB)).toThrow(MalformedError);
  });

  it('decompresses the output of snappyjs', () => {
    fc.assert(
      fc.property(manyBytes, (bytes) => {
        const block = snappy.compress(Buffer.from(bytes));
        expect(Buffer.compare(snappyDecompress(block, MIB), bytes)).toBe(0);
      }),
    );
  });

  it('ends on any snappy bytes', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 200 }), (bytes) => {
        try {
          snappyDecompress(bytes, MIB);
        } catch (error) {
          expect(error).toBeInstanceOf(MalformedError);
        }
      }),
      { numRuns: 2_000 },
    );
    // A literal of -5 bytes, for which snappyjs never ends.
    expect(() => snappyDecompress(Buffer.from([0x0a, 0xfc, 0xfa, 0xff, 0xff, 0xff, 0]), MIB)).toThrow(MalformedError);
  });

  it('verifies the checksum of a snappy block', () => {
    expect(crc32(Buffer.from('123456789'))).toBe(0xcbf43926);
    const block = encoders.snappy!(Buffer.from('manifest'));
    expect(codec('snappy')(block, MIB).toString()).toBe('manifest');
    block[block.length - 1]! ^= 1;
    expect(() => codec('snappy')(block, MIB)).toThrow(/checksum/);
    expect(() => codec('snappy')(Buffer.alloc(3), MIB)).toThrow(MalformedError);
  });

  it.each(ZSTD_BLOCKS)('reads zstandard: %s', (_, hex) => {
    const block = Buffer.from(hex, 'hex');
    expect(codec('zstandard')(block, MIB).toString()).toBe('manifest entry '.repeat(400));
    expect(() => codec('zstandard')(block, 1_000)).toThrow(MalformedError);
  });

  it('reads bzip2', () => {
    expect(codec('bzip2')(BZIP2_BLOCK, MIB).toString('latin1')).toBe('\x0ahello'.repeat(1_000));
    expect(() => codec('bzip2')(BZIP2_BLOCK, 1_000)).toThrow(/more than 1000 bytes/);
    for (const bytes of [Buffer.from('nonsense'), BZIP2_BLOCK.subarray(0, 30), Buffer.alloc(0)]) {
      expect(() => codec('bzip2')(bytes, MIB)).toThrow(MalformedError);
    }
  });

  it('does not allocate the memory that a corrupt zstandard header requires', () => {
    const window = Buffer.from('28b52ffd04f8000000000000', 'hex');
    expect(() => codec('zstandard')(window, MIB)).toThrow(/of memory/);
    const content = Buffer.from('28b52ffde0ffffffffffffff0f', 'hex');
    expect(() => codec('zstandard')(content, MIB)).toThrow(/of memory/);
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), (bytes) => {
        try {
          codec('zstandard')(Buffer.concat([Buffer.from('28b52ffd', 'hex'), bytes]), MIB);
        } catch (error) {
          expect(error).toBeInstanceOf(MalformedError);
        }
      }),
    );
  });

  it('names an unsupported codec', () => {
    expect(() => codec('lzma')).toThrow(/"lzma"; null, deflate/);
  });
});

describe('parseAvroSchema', () => {
  it('resolves names', () => {
    const schema = parseAvroSchema(
      '{"type":"record","name":"a.R","fields":[{"name":"x","type":{"type":"fixed","name":"F","size":4}},' +
        '{"name":"y","type":["null","a.F"]},{"name":"z","type":"F","field-id":7}]}',
    );
    const fixed = { kind: 'fixed', size: 4 };
    expect(schema).toEqual({
      kind: 'record',
      fields: [
        { name: 'x', type: fixed },
        { name: 'y', type: { kind: 'union', branches: [{ kind: 'null' }, fixed] } },
        { name: 'z', type: fixed, id: 7 },
      ],
    });
  });

  it.each([
    ['nonsense', /not JSON/],
    ['"nothing"', /unknown type/],
    ['{"type":"record","name":"R"}', /without fields/],
    ['{"type":"record","fields":[]}', /without a name/],
    ['{"type":"fixed","name":"F","size":-1}', /size -1/],
    ['{"type":"record","name":"R","fields":[{"name":"me","type":["null","R"]}]}', /unknown type "R"/],
    ['[]', /empty union/],
    ['7', /unknown type 7/],
    [`${'['.repeat(1_000)}"int"${']'.repeat(1_000)}`, /more than 100 levels/],
  ])('rejects %s', (json, message) => {
    expect(() => parseAvroSchema(json)).toThrow(message);
    expect(() => parseAvroSchema(json)).toThrow(MalformedError);
  });

  it('limits the expansion of names', () => {
    const fields = Array.from({ length: 60 }, (_, index) => {
      const inner = index === 0 ? '"null"' : `"R${index - 1}"`;
      const type = `{"type":"record","name":"R${index}","fields":[{"name":"a","type":${inner}},{"name":"b","type":${inner}}]}`;
      return `{"name":"f${index}","type":${type}}`;
    });
    expect(() => parseAvroSchema(`{"type":"record","name":"Top","fields":[${fields}]}`)).toThrow(/expands to more/);
  });

  it('fails only with MalformedErrors', () => {
    fc.assert(
      fc.property(fc.json(), (json) => {
        try {
          parseAvroSchema(json);
        } catch (error) {
          expect(error).toBeInstanceOf(MalformedError);
        }
      }),
    );
  });
});

describe('skipper', () => {
  const schema = {
    type: 'record',
    name: 'All',
    fields: [
      { name: 'a', type: 'boolean' },
      { name: 'b', type: ['null', 'string', 'double'] },
      { name: 'c', type: { type: 'array', items: { type: 'map', values: 'long' } } },
      { name: 'd', type: { type: 'fixed', name: 'F', size: 3 } },
      { name: 'e', type: { type: 'enum', name: 'E', symbols: ['X', 'Y'] } },
      { name: 'f', type: 'float' },
      { name: 'g', type: { type: 'record', name: 'G', fields: [{ name: 'h', type: 'bytes' }] } },
    ],
  };
  const record = fc.record({
    a: fc.boolean(),
    b: fc.oneof(fc.constant(null), fc.string(), fc.double({ noNaN: true })),
    c: fc.array(fc.dictionary(fc.string(), fc.integer())),
    d: fc.uint8Array({ minLength: 3, maxLength: 3 }).map((bytes) => Buffer.from(bytes)),
    e: fc.constantFrom('X', 'Y'),
    f: fc.float({ noNaN: true }),
    g: fc.record({ h: fc.uint8Array().map((bytes) => Buffer.from(bytes)) }),
  });

  it('skips any value that avsc wrote', () => {
    const type = avro.Type.forSchema(schema as avro.Schema, { wrapUnions: false });
    const skip = skipper(parseAvroSchema(JSON.stringify(schema)));
    fc.assert(
      fc.property(record, (value) => {
        const bytes = type.toBuffer(value);
        const cursor = new AvroCursor(bytes);
        skip(cursor);
        expect(cursor.position).toBe(bytes.length);
      }),
    );
  });

  it('rejects items without bytes', () => {
    const skip = skipper(parseAvroSchema('{"type":"array","items":"null"}'));
    expect(() => skip(new AvroCursor(Buffer.concat([varint(50n), Buffer.alloc(60)])))).toThrow(/without bytes/);
  });
});

describe('AvroContainer', () => {
  const range =
    (bytes: Buffer): ReadRange =>
    async (start, end) =>
      bytes.subarray(start, end);

  async function readAll(read: ReadRange): Promise<{ objects: number; schema: unknown }> {
    const container = await AvroContainer.open(read);
    let objects = 0;
    do {
      for (let block = container.next(); block !== undefined; block = container.next()) objects += block.count;
    } while (await container.fill());
    return { objects, schema: container.schema };
  }

  it('reads blocks across the boundaries of pieces', async () => {
    // 30 MB in blocks of 5 MB; pieces have 8 MB.
    const records = Array.from({ length: 60 }, (_, index) => Buffer.alloc(MIB / 2, index));
    const file = avroFile(
      { type: 'record', name: 'B', fields: [{ name: 'b', type: 'bytes' }] },
      records.map((b) => ({ b })),
      {
        blockSize: 10,
      },
    );
    const pieces: number[] = [];
    const read: ReadRange = async (start, end) => {
      const bytes = file.subarray(start, end);
      pieces.push(bytes.length);
      return bytes;
    };
    expect((await readAll(read)).objects).toBe(60);
    expect(Math.max(...pieces)).toBe(8 * MIB);
    expect(pieces.reduce((sum, length) => sum + length, 0)).toBe(file.length);
  });

  it.each([
    ['nested arrays', '['.repeat(9 * MIB), /nests 9,437,184 levels deep; at most 200 are read/],
    [
      'values',
      `{"type":"record","name":"a","fields":[],"x":[${'1,'.repeat(400_000)}1]}`,
      /its Avro schema has 400,\d+ values; at most 300,000 are read/,
    ],
  ])('does not parse a schema of millions of %s', async (_, schema, message) => {
    const text = avro.Type.forSchema({ type: 'map', values: 'bytes' }).toBuffer({ 'avro.schema': Buffer.from(schema) });
    const file = Buffer.concat([Buffer.from('Obj\x01'), text, Buffer.alloc(16)]);
    await expect(readAll(range(file))).rejects.toThrow(message);
  });

  it.each(['null', 'deflate'])('reads one file with large blocks at a time (%s)', async (name) => {
    const schema = { type: 'record', name: 'B', fields: [{ name: 'b', type: 'bytes' }] };
    const records = Array.from({ length: 3 }, () => ({ b: Buffer.alloc(20 * MIB, 1) }));
    const file = avroFile(schema, records, { codec: name, blockSize: 1 });
    const [first, second] = await Promise.all([AvroContainer.open(range(file)), AvroContainer.open(range(file))]);
    const nextOf = async (container: AvroContainer) => {
      for (let block = container.next(); ; block = container.next()) {
        if (block) return block;
        if (!(await container.fill())) return undefined;
      }
    };
    expect((await nextOf(first))?.count).toBe(1);
    let isRead = false;
    const waiting = nextOf(second).then((block) => {
      isRead = true;
      return block;
    });
    expect((await nextOf(first))?.count).toBe(1);
    expect((await nextOf(first))?.count).toBe(1);
    expect(await nextOf(first)).toBeUndefined();
    await new Promise((resolve) => setTimeout(resolve, 20));
    expect(isRead).toBe(false);
    first[Symbol.dispose]();
    expect((await waiting)?.count).toBe(1);
    second[Symbol.dispose]();
  });

  it('reads a header larger than a piece', async () => {
    const file = avroFile({ type: 'record', name: 'B', fields: [] }, [], {
      metadata: { schema: 'x'.repeat(9 * MIB) },
    });
    expect((await readAll(range(file))).objects).toBe(0);
  });

  const good = avroFile(entrySchema(), []);
  it.each([
    ['nothing', Buffer.alloc(0), /it is empty/],
    ['another format', Buffer.from('PAR1 and more of it'), /0x50415231/],
    [
      'a header without end',
      Buffer.concat([Buffer.from('Obj\x01'), varint(1n), varint(40n), Buffer.alloc(9)]),
      /truncated/,
    ],
    ['a negative length in the header', Buffer.concat([Buffer.from('Obj\x01'), varint(1n), varint(-4n)]), /-4 bytes/],
    ['half a block', Buffer.concat([good, varint(1n), varint(100n), Buffer.alloc(20)]), /truncated/],
    ['a huge block', Buffer.concat([good, varint(1n), varint(2n ** 40n), Buffer.alloc(20)]), /1099511627776 bytes/],
    ['a negative block', Buffer.concat([good, varint(-1n), varint(4n), Buffer.alloc(50)]), /-1 objects/],
    ['no sync marker', Buffer.concat([good, varint(1n), varint(4n), Buffer.alloc(50)]), /sync marker/],
    [
      'more objects than bytes',
      Buffer.concat([good, varint(2n ** 40n), varint(1n), Buffer.alloc(1), Buffer.from('0123456789abcdef')]),
      /objects in 1 bytes/,
    ],
  ])('rejects %s', async (_, bytes, message) => {
    const failure = await readAll(range(bytes)).catch((error) => error);
    expect(failure).toBeInstanceOf(MalformedError);
    expect(failure.message).toMatch(message);
  });
});
