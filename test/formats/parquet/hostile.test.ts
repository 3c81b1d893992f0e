import { describe, expect, it } from '@jest/globals';
import { CodedError } from '../../../src/errors.ts';
import { footerMetrics } from '../../../src/formats/parquet/column-metrics.ts';
import { readFooter } from '../../../src/formats/parquet/footer.ts';
import { decodeHybrid } from '../../../src/formats/parquet/levels.ts';
import { sketchFile } from '../../../src/formats/parquet/sketch-file.ts';
import { columnsOf, fileBytes, inMemory, mappingOf, TRUTH } from './files.ts';

const FINAL = new Set(['DATA_LOSS', 'UNIMPLEMENTED', 'FAILED_PRECONDITION']);

describe('a footer', () => {
  it.each([
    ['of another format', () => Buffer.from('this is some text, not a Parquet file'), 'DATA_LOSS'],
    ['of an empty file', () => Buffer.alloc(0), 'DATA_LOSS'],
    ['that is truncated', () => fileBytes('int96').subarray(0, -20), 'DATA_LOSS'],
    [
      'that is encrypted',
      () => Buffer.concat([fileBytes('int96').subarray(0, -4), Buffer.from('PARE')]),
      'UNIMPLEMENTED',
    ],
    ['that claims to have 17 MiB', () => withLength(Buffer.alloc(32 << 20), 17 << 20), 'FAILED_PRECONDITION'],
    ['longer than the file', () => withLength(Buffer.alloc(1000), 2000), 'DATA_LOSS'],
    ['of zeros', () => withLength(Buffer.alloc(1000), 500), 'DATA_LOSS'],
  ])('%s is rejected', async (_, make, code) => {
    await expect(readFooter(inMemory(make()))).rejects.toMatchObject({ code });
  });

  it("is rejected if the file is shorter than in the table's metadata", async () => {
    const bytes = fileBytes('int96');
    const file = { byteLength: bytes.length + 500, slice: async (a: number, b: number) => bytes.subarray(a, b) };
    await expect(readFooter(file)).rejects.toMatchObject({ code: 'DATA_LOSS' });
  });

  it('is read again if it is longer than the part that was read first', async () => {
    const file = inMemory(fileBytes('dictionary_snappy'));
    const { footer } = await readFooter(file, 100);
    expect([footer.rows, file.reads.length]).toEqual([500, 2]);
  });
});

describe('a file with changed bytes', () => {
  it.each([
    'dictionary_v2_zstd',
    'plain_none',
    'delta_v2',
    'delta_v1',
    'small_dictionary',
    'plain_v2_gzip',
    'plain_brotli',
    'plain_lz4',
  ])('%s results in values or in a CodedError', async (name) => {
    const good = fileBytes(name);
    const columns = columnsOf(TRUTH[name]!);
    const types = new Map(columns.map(({ id, type }) => [id, type]));
    for (let turn = 0; turn < 60; turn++) {
      const bytes = Buffer.from(good);
      // Two of three changes are in pages, the third is in the footer.
      const footer = bytes.length - 8 - bytes.readUInt32LE(bytes.length - 8);
      const at = turn % 3 === 0 ? footer + ((turn * 7919) % (bytes.length - 8 - footer)) : (turn * 104_729) % footer;
      for (let i = 0; i < 4 && at + i < bytes.length - 8; i++) bytes[at + i] = [0xff, 0x7f, 0x80, 0][turn % 4]!;
      await orCoded(async () => footerMetrics((await readFooter(inMemory(bytes))).footer, { types }));
      await orCoded(() => sketchFile(inMemory(bytes), columns, undefined, () => {}));
    }
  });
});

describe('indices', () => {
  it('of a run that is too long are limited to the expected count', () => {
    // A run of 2^30 values, of which three are decoded.
    expect([...decodeHybrid(Uint8Array.of(0x80, 0x80, 0x80, 0x80, 0x08, 5), 3, 3)]).toEqual([5, 5, 5]);
  });

  it.each([
    ['nothing', [], 3],
    ['an empty run', [0, 1, 0, 1], 3],
    ['an unterminated header', [0xff, 0xff, 0xff, 0xff, 0xff, 0xff], 3],
    ['a width of 40 bits', [2, 1], 40],
  ])('that end early are rejected: %s', (_, bytes, width) => {
    expect(() => decodeHybrid(Uint8Array.from(bytes), width, 10)).toThrow(CodedError);
  });

  it('of any width are unpacked', () => {
    for (let width = 1; width <= 32; width++) {
      const values = Array.from({ length: 8 }, (_, i) => Math.floor((i * 2 ** width) / 8 + 1) % 2 ** width);
      const packed = values.reduce((all, value, i) => all | (BigInt(value) << BigInt(i * width)), 0n);
      const bytes = Uint8Array.from([
        3,
        ...Array.from({ length: width }, (_, i) => Number((packed >> BigInt(i * 8)) & 255n)),
      ]);
      expect([...decodeHybrid(bytes, width, 8)]).toEqual(values);
    }
  });
});

it('a file without field ids has no metrics and no sketches if the table has no name mapping', async () => {
  const truth = TRUTH.no_ids!;
  const { footer } = await readFooter(inMemory(fileBytes('no_ids')));
  const types = new Map(columnsOf(truth).map(({ id, type }) => [id, type]));
  expect(footerMetrics(footer, { types })).toEqual([]);
  await expect(sketchFile(inMemory(fileBytes('no_ids')), columnsOf(truth), undefined, () => {})).rejects.toMatchObject({
    code: 'DATA_LOSS',
  });
  expect(footerMetrics(footer, { types, nameMapping: mappingOf(truth).slice(0, 1) })).toHaveLength(1);
});

it("a column whose type differs from the table's has counts but no bounds, and is not sketched", async () => {
  const { footer } = await readFooter(inMemory(fileBytes('no_statistics')));
  const [small] = columnsOf(TRUTH.no_statistics!);
  const types = new Map([[small!.id, 'uuid']]);
  const [metrics] = footerMetrics(footer, { types });
  expect(metrics).toMatchObject({ id: small!.id, valueCount: 60 });
  const file = inMemory(fileBytes('no_statistics'));
  expect(await sketchFile(file, [{ ...small!, type: 'uuid' }], undefined, () => {})).toEqual([]);
});

async function orCoded(work: () => Promise<unknown>): Promise<void> {
  try {
    await work();
  } catch (error) {
    if (!(error instanceof CodedError)) throw error;
    expect(FINAL).toContain(error.code);
  }
}

function withLength(bytes: Buffer, length: number): Buffer {
  bytes.writeUInt32LE(length, bytes.length - 8);
  bytes.write('PAR1', bytes.length - 4, 'latin1');
  return bytes;
}
