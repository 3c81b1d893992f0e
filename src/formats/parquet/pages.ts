import { setImmediate } from 'node:timers/promises';
import { brotliDecompressSync, gunzipSync } from 'node:zlib';
import { parquetHeader } from 'hyparquet/src/column.js';
import { byteStreamSplit } from 'hyparquet/src/encoding.js';
import { readPlain } from 'hyparquet/src/plain.js';
import { compressors } from 'hyparquet-compressors';
import { CodedError } from '../../errors.ts';
import { MemoryBudget } from '../../storage/memory-budget.ts';
import { codec as avroCodec } from '../avro/codecs.ts';
import { broken } from './broken.ts';
import { unpackByteArrays, unpackDeltas, unpackPrefixed } from './delta-values.ts';
import type { ColumnChunk, SchemaNode } from './footer.ts';
import { decodeHybrid } from './levels.ts';
import { checkThrift } from './thrift.ts';

type Header = ReturnType<typeof parquetHeader>;
type Decoded = ReturnType<typeof readPlain>;

/** Values in Parquet's plain encoding. */
export interface PlainValues {
  readonly count: number;
  /** Returns the bytes of a value; they are valid until the next call. */
  at(index: number): Uint8Array;
}

export type Page =
  | { kind: 'dictionary'; values: PlainValues }
  /** A data page with indices into the dictionary, without nulls. */
  | ({ kind: 'indices'; indices: Uint32Array } & Levels)
  /** A data page with values, without nulls. */
  | ({ kind: 'values'; values: PlainValues } & Levels);

/** `levels` is the number of values including nulls. The levels themselves are present if they are requested, and not all 0. */
export interface Levels {
  levels: number;
  definitions?: Uint32Array;
  repetitions?: Uint32Array;
}

/** By default, writers make pages of 1 MiB and 20,000 values; some put a whole row group into one page. */
const MAX_PAGE_BYTES = 32 * 1024 * 1024;
const MAX_PAGE_VALUES = 4 * 1024 * 1024;
/** Limit for values that are separate objects, of about a hundred bytes each. */
const MAX_PAGE_OBJECTS = 1024 * 1024;
/** Pages from this size wait for memory. By default, writers make pages of 1 MiB. */
const LARGE_PAGE_BYTES = 4 * 1024 * 1024;
const LARGE_PAGES = new MemoryBudget(128 * 1024 * 1024);
/** What a decoded value takes: a number in an array, or an object. */
const NUMBER_BYTES = 8;
const OBJECT_BYTES = 100;
/** Limit for the fields of a page header, which has about twenty. */
const MAX_HEADER_FIELDS = 1000;

/** Limits what is decoded of one column of a file: a few bytes can expand to any number of pages, bytes and values. */
export class DecodingBudget {
  pages = 20_000;
  /** Uncompressed bytes. */
  bytes = 64 * 1024 * 1024;
  /** Number of values, including nulls. */
  values = 16 * 1024 * 1024;

  get isUsedUp(): boolean {
    return this.pages <= 0 || this.bytes <= 0 || this.values <= 0;
  }
}

/**
 * Reads the pages of a column chunk one at a time, until the bytes or the budget end. A truncated last page is omitted. It yields to the
 * event loop between pages.
 *
 * `levels` is the number of values including nulls.
 *
 * @param bytes the chunk's bytes, starting with its first page
 * @throws CodedError `DATA_LOSS` if they are corrupt, `FAILED_PRECONDITION` if a page is too large, `UNIMPLEMENTED` for an unsupported
 *   encoding or codec
 */
export async function* readPages(
  bytes: Uint8Array,
  chunk: ColumnChunk,
  leaf: SchemaNode,
  budget: DecodingBudget,
): AsyncGenerator<Page> {
  if (leaf.type === 'FIXED_LEN_BYTE_ARRAY' && !((leaf.typeLength ?? 0) >= 1)) {
    throw broken(`its column ${leaf.name} has values of ${leaf.typeLength} bytes`);
  }
  const reader = { view: new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), offset: 0 };
  let isFirst = true;
  for (let levels = 0; levels < chunk.values && !budget.isUsedUp; ) {
    const next = nextPage(reader, bytes);
    if (next === undefined) return;
    const { header, body } = next;
    // parquet.thrift, `ColumnMetaData.dictionary_page_offset`: at most one dictionary page, before all others.
    if (header.type === 'DICTIONARY_PAGE' && !isFirst) throw broken('a dictionary page is not the first page');
    isFirst = false;
    budget.pages -= 1;
    budget.bytes -= header.uncompressed_page_size;
    using _ = await memoryFor(header, leaf);
    const page = decode(header, body, chunk, leaf, false);
    if (page !== undefined) {
      const count = page.kind === 'dictionary' ? page.values.count : page.levels;
      budget.values -= count;
      if (page.kind !== 'dictionary') levels += count;
      yield page;
    }
    await setImmediate();
  }
}

/**
 * Reads the page with which the bytes begin, and its levels, which show what of nested structures is null.
 *
 * @returns with `length`, the bytes that it takes, and without a page if it has no values; undefined if the bytes end before the page does
 * @throws CodedError as `readPages`
 */
export async function readLeveledPage(
  bytes: Uint8Array,
  chunk: ColumnChunk,
  leaf: SchemaNode,
): Promise<{ page?: Page; length: number } | undefined> {
  const reader = { view: new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), offset: 0 };
  const next = nextPage(reader, bytes);
  if (next === undefined) return undefined;
  using _ = await memoryFor(next.header, leaf);
  return { page: decode(next.header, next.body, chunk, leaf, true), length: reader.offset };
}

/** Undefined if the bytes end before the page does. */
function nextPage(
  reader: { view: DataView; offset: number },
  bytes: Uint8Array,
): { header: Header; body: Uint8Array } | undefined {
  const header = nextHeader(reader);
  if (header === undefined) return undefined;
  const size = header.compressed_page_size;
  if (!(size >= 0)) throw broken(`a page has a size of ${size} bytes`);
  if (reader.offset + size > bytes.length) return undefined;
  const body = bytes.subarray(reader.offset, reader.offset + size);
  reader.offset += size;
  const uncompressed = header.uncompressed_page_size;
  if (!(uncompressed >= 0 && uncompressed <= MAX_PAGE_BYTES)) {
    throw new CodedError(
      'FAILED_PRECONDITION',
      `a page has ${uncompressed} uncompressed bytes; the limit is ${MAX_PAGE_BYTES}`,
    );
  }
  return { header, body };
}

/** Waits for the memory that a large page takes. */
async function memoryFor(header: Header, leaf: SchemaNode): Promise<Disposable | undefined> {
  const needed = decodedBytes(header, leaf);
  return needed > LARGE_PAGE_BYTES ? LARGE_PAGES.reserve(needed) : undefined;
}

/** The memory that a page takes while it is read. Its own limits are checked later. */
function decodedBytes(header: Header, leaf: SchemaNode): number {
  const page = header.dictionary_page_header ?? header.data_page_header ?? header.data_page_header_v2;
  const count = Math.min(Math.max(0, page?.num_values ?? 0), MAX_PAGE_VALUES);
  return 2 * header.uncompressed_page_size + count * (hasObjects(leaf) ? OBJECT_BYTES : NUMBER_BYTES);
}

/** Whether the column's values are decoded to objects. */
function hasObjects({ type }: SchemaNode): boolean {
  return type === 'INT96' || type?.endsWith('BYTE_ARRAY') === true;
}

function nextHeader(reader: { view: DataView; offset: number }): Header | undefined {
  if (reader.offset >= reader.view.byteLength) return undefined;
  try {
    checkThrift(reader, MAX_HEADER_FIELDS);
    return parquetHeader(reader);
  } catch {
    // The header is truncated by the end of the sample, or corrupt. Either way reading cannot continue.
    return undefined;
  }
}

function decode(
  header: Header,
  body: Uint8Array,
  chunk: ColumnChunk,
  leaf: SchemaNode,
  withLevels: boolean,
): Page | undefined {
  const uncompressed = header.uncompressed_page_size;
  switch (header.type) {
    case 'DICTIONARY_PAGE': {
      const values = pageValues(header.dictionary_page_header?.num_values, leaf);
      return { kind: 'dictionary', values: plain(leaf, decompress(chunk.codec, body, uncompressed), values) };
    }
    case 'DATA_PAGE': {
      const page = header.data_page_header;
      const levels = pageValues(page?.num_values, leaf);
      const all = decompress(chunk.codec, body, uncompressed);
      const encoding = page?.definition_level_encoding;
      const { rest, present, ...decoded } = versionOneLevels(all, leaf, levels, encoding, withLevels);
      return { ...content(page?.encoding, leaf, rest, present), levels, ...(withLevels && decoded) };
    }
    case 'DATA_PAGE_V2': {
      const page = header.data_page_header_v2;
      const levels = pageValues(page?.num_values, leaf);
      const repetitionBytes = page?.repetition_levels_byte_length ?? 0;
      const before = repetitionBytes + (page?.definition_levels_byte_length ?? 0);
      const present = levels - (page?.num_nulls ?? 0);
      if (
        !(
          repetitionBytes >= 0 &&
          before >= repetitionBytes &&
          before <= body.length &&
          present >= 0 &&
          present <= levels
        )
      )
        throw broken('a page has inconsistent lengths');
      const rest = body.subarray(before);
      // Levels are never compressed.
      const values =
        page?.is_compressed === false ? rest : decompress(chunk.codec, rest, Math.max(0, uncompressed - before));
      const decoded = withLevels && {
        repetitions: versionTwoLevels(body.subarray(0, repetitionBytes), leaf.maxRepetitionLevel, levels),
        definitions: versionTwoLevels(body.subarray(repetitionBytes, before), leaf.maxDefinitionLevel, levels),
      };
      return { ...content(page?.encoding, leaf, values, present), levels, ...decoded };
    }
    default:
      return undefined;
  }
}

function pageValues(count: number | undefined, leaf: SchemaNode): number {
  if (count === undefined || !(count >= 0)) throw broken(`a page has a count of ${count} values`);
  const max = hasObjects(leaf) ? MAX_PAGE_OBJECTS : MAX_PAGE_VALUES;
  if (count > max) throw new CodedError('FAILED_PRECONDITION', `a page has ${count} values; the limit is ${max}`);
  return count;
}

function versionTwoLevels(bytes: Uint8Array, max: number, levels: number): Uint32Array | undefined {
  return max === 0 ? undefined : decodeHybrid(bytes, 32 - Math.clz32(max), levels);
}

/** The bytes of a version 1 page's values, how many of them are not null, and its levels. */
function versionOneLevels(
  page: Uint8Array,
  leaf: SchemaNode,
  levels: number,
  encoding: string | undefined,
  withLevels: boolean,
) {
  const repeated = splitLevels(page, leaf.maxRepetitionLevel, encoding);
  const defined = splitLevels(repeated.rest, leaf.maxDefinitionLevel, encoding);
  const decode = (bytes: Uint8Array | undefined, max: number) =>
    bytes && decodeHybrid(bytes, 32 - Math.clz32(max), levels);
  const definitions = decode(defined.bytes, leaf.maxDefinitionLevel);
  let present = levels;
  if (definitions) {
    present = 0;
    for (const level of definitions) if (level === leaf.maxDefinitionLevel) present++;
  }
  const repetitions = withLevels ? decode(repeated.bytes, leaf.maxRepetitionLevel) : undefined;
  return { rest: defined.rest, present, definitions, repetitions };
}

function splitLevels(
  page: Uint8Array,
  max: number,
  encoding: string | undefined,
): { bytes?: Uint8Array; rest: Uint8Array } {
  if (max === 0) return { rest: page };
  if (encoding === 'BIT_PACKED') throw new CodedError('UNIMPLEMENTED', 'its levels are encoded as BIT_PACKED');
  if (page.length < 4) throw broken('a page ends in the middle of its levels');
  const length = new DataView(page.buffer, page.byteOffset).getUint32(0, true);
  if (4 + length > page.length) throw broken('a page ends in the middle of its levels');
  return { bytes: page.subarray(4, 4 + length), rest: page.subarray(4 + length) };
}

function content(encoding: string | undefined, leaf: SchemaNode, bytes: Uint8Array, present: number) {
  if (encoding === 'PLAIN_DICTIONARY' || encoding === 'RLE_DICTIONARY') {
    const indices = present === 0 ? new Uint32Array(0) : decodeHybrid(bytes.subarray(1), bytes[0] ?? 0, present);
    return { kind: 'indices', indices } as const;
  }
  return { kind: 'values', values: values(encoding, leaf, bytes, present) } as const;
}

function values(encoding: string | undefined, leaf: SchemaNode, bytes: Uint8Array, count: number): PlainValues {
  if (encoding === 'PLAIN') return plain(leaf, bytes, count);
  const reader = { view: new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), offset: 0 };
  const isInt32 = leaf.type === 'INT32';
  return decoding(() => {
    switch (encoding) {
      case 'RLE': {
        if (leaf.type !== 'BOOLEAN') break;
        // In both page versions the length precedes the values.
        return plainValues([...decodeHybrid(bytes.subarray(4), 1, count)].map(Boolean), leaf);
      }
      case 'DELTA_BINARY_PACKED':
        return plainValues(unpackDeltas(reader, isInt32 ? new Int32Array(count) : new BigInt64Array(count)), leaf);
      case 'DELTA_LENGTH_BYTE_ARRAY':
        return plainValues(unpackByteArrays(reader, count), leaf);
      case 'DELTA_BYTE_ARRAY':
        return plainValues(unpackPrefixed(reader, count), leaf);
      case 'BYTE_STREAM_SPLIT': {
        if ((WIDTHS[leaf.type ?? ''] ?? leaf.typeLength ?? 0) * count > bytes.length) break;
        return plainValues(byteStreamSplit(reader, count, leaf.type as 'INT32', leaf.typeLength), leaf);
      }
    }
    throw new CodedError('UNIMPLEMENTED', `a page of ${leaf.type} values has the encoding ${encoding}`);
  });
}

const WIDTHS: Record<string, number> = { INT32: 4, INT64: 8, FLOAT: 4, DOUBLE: 8 };

function plain(leaf: SchemaNode, bytes: Uint8Array, count: number): PlainValues {
  const reader = { view: new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength), offset: 0 };
  return decoding(() => plainValues(readPlain(reader, leaf.type as 'INT32', count, leaf.typeLength), leaf));
}

function plainValues(decoded: Decoded, { type }: SchemaNode): PlainValues {
  const count = decoded.length;
  if (ArrayBuffer.isView(decoded)) {
    const width = (decoded as Int32Array).BYTES_PER_ELEMENT;
    const bytes = new Uint8Array(decoded.buffer, decoded.byteOffset, decoded.byteLength);
    return { count, at: (index) => bytes.subarray(index * width, (index + 1) * width) };
  }
  if (type === 'BOOLEAN') return { count, at: (index) => (decoded[index] ? TRUE : FALSE) };
  if (type === 'INT96') {
    const bytes = Buffer.alloc(12);
    return {
      count,
      at(index) {
        const value = decoded[index] as bigint;
        bytes.writeBigInt64LE(BigInt.asIntN(64, value), 0);
        bytes.writeInt32LE(Number(value >> 64n), 8);
        return bytes;
      },
    };
  }
  return { count, at: (index) => decoded[index] as Uint8Array };
}

const TRUE = Uint8Array.of(1);
const FALSE = Uint8Array.of(0);

function decompress(codec: string, body: Uint8Array, size: number): Uint8Array {
  if (codec === 'UNCOMPRESSED') return body;
  // Empty pages may have an empty body in any codec.
  if (size === 0) return new Uint8Array(0);
  return decoding(() => {
    switch (codec) {
      case 'GZIP':
        return gunzipSync(body, { maxOutputLength: size });
      case 'BROTLI':
        return brotliDecompressSync(body, { maxOutputLength: size });
      case 'ZSTD':
        return avroCodec('zstandard')(Buffer.from(body.buffer, body.byteOffset, body.byteLength), size);
      case 'SNAPPY':
      case 'LZ4':
      case 'LZ4_RAW':
        return (compressors[codec] as (input: Uint8Array, length: number) => Uint8Array)(body, size);
      default:
        throw new CodedError(
          'UNIMPLEMENTED',
          `its pages have ${codec === '' ? 'an unknown codec' : `the codec ${codec}, which is not supported`}`,
        );
    }
  });
}

/** Runs a decoder and reports any error as a corrupt file. */
function decoding<T>(work: () => T): T {
  try {
    return work();
  } catch (error) {
    if (error instanceof CodedError) throw error;
    throw broken(`a page cannot be decoded: ${(error as Error).message}`, error);
  }
}
