import {
  CompressionCodecs,
  ConvertedTypes,
  Encodings,
  FieldRepetitionTypes,
  PageTypes,
  ParquetTypes,
} from 'hyparquet/src/constants.js';
import { deserializeTCompactProtocol } from 'hyparquet/src/thrift.js';
import { CodedError } from '../../errors.ts';
import { MemoryBudget, type ReservedMemory } from '../../storage/memory-budget.ts';
import type { DataFileBytes } from '../table-reader.ts';
import { broken } from './broken.ts';
import { checkThrift } from './thrift.ts';

/**
 * The parts of a Parquet file's footer (parquet.thrift, `FileMetaData`) that statistics need.
 *
 * hyparquet parses the thrift. Its own `parquetMetadata` is not used, because it converts statistics to JavaScript values, in which decimals
 * and timestamps lose digits; here the bytes stay unchanged.
 */
export interface ParquetFooter {
  schema: SchemaNode;
  /** The schema's leaves, in the order of the column chunks. */
  leaves: SchemaNode[];
  rows: number;
  rowGroups: { rows: number; chunks: ColumnChunk[] }[];
}

export type PhysicalType =
  | 'BOOLEAN'
  | 'INT32'
  | 'INT64'
  | 'INT96'
  | 'FLOAT'
  | 'DOUBLE'
  | 'BYTE_ARRAY'
  | 'FIXED_LEN_BYTE_ARRAY';

export interface SchemaNode {
  name: string;
  children: SchemaNode[];
  /** Present for leaves. */
  type?: PhysicalType;
  typeLength?: number;
  repetition: 'REQUIRED' | 'OPTIONAL' | 'REPEATED';
  fieldId?: number;
  isList: boolean;
  isMap: boolean;
  /** Unit of times and timestamps. */
  unit?: 'MILLIS' | 'MICROS' | 'NANOS';
  isUnsigned: boolean;
  /** Whether a byte array is text. */
  isText: boolean;
  /** Scale of decimals. */
  scale?: number;
  maxDefinitionLevel: number;
  maxRepetitionLevel: number;
}

export interface ColumnChunk {
  /** Number of values, including nulls; -1 if the column is encrypted. */
  values: number;
  compressedBytes: number;
  codec: string;
  dictionaryOffset?: number;
  dataOffset: number;
  /** Whether every data page refers to the dictionary, which then contains exactly the chunk's distinct values. */
  isAllDictionary: boolean;
  nulls?: number;
  /** `min_value` and `max_value` in plain encoding; absent if the file does not define their order. */
  min?: Uint8Array;
  max?: Uint8Array;
}

/** Footers of wide files with many row groups have a few MiB. */
const MAX_FOOTER_BYTES = 16 * 1024 * 1024;
/** Footers from this size wait for memory: parsed, they take up to ten times as much. */
const LARGE_FOOTER_BYTES = 1024 * 1024;
const LARGE_FOOTERS = new MemoryBudget(MAX_FOOTER_BYTES);
const MAGIC = 0x31524150; // PAR1
const ENCRYPTED_MAGIC = 0x45524150; // PARE
const MAX_SCHEMA_DEPTH = 500;
/** Maximum fields and list elements. A column chunk has about 40, each of which takes up to a hundred bytes of memory. */
const MAX_ELEMENTS = 2_000_000;

/**
 * Reads a footer with one read, or two if it is large.
 *
 * @param endBytes number of bytes at the file's end to read first
 * @returns the footer, the file with its end cached, so that it is not read again, and the memory that a large footer takes, for the caller
 *   to dispose
 * @throws CodedError `DATA_LOSS` for a file that is corrupt or not Parquet, `UNIMPLEMENTED` for an encrypted footer,
 *   `FAILED_PRECONDITION` for a footer larger than 16 MiB, and the store's errors
 */
export async function readFooter(
  file: DataFileBytes,
  endBytes = 64 * 1024,
): Promise<{ footer: ParquetFooter; file: DataFileBytes; memory?: ReservedMemory }> {
  let kept = await cacheEnd(file, endBytes);
  if (file.byteLength < 12) throw broken(`it has only ${file.byteLength} bytes`);
  const tail = buffer(await kept.slice(file.byteLength - 8, file.byteLength));
  const magic = tail.readUInt32LE(4);
  if (magic === ENCRYPTED_MAGIC) throw new CodedError('UNIMPLEMENTED', 'its footer is encrypted');
  if (magic !== MAGIC) throw broken('it does not end like a Parquet file');
  const length = tail.readUInt32LE(0);
  if (length > MAX_FOOTER_BYTES) {
    throw new CodedError('FAILED_PRECONDITION', `its footer has ${length} bytes; the limit is ${MAX_FOOTER_BYTES}`);
  }
  if (length + 12 > file.byteLength)
    throw broken(`its footer should have ${length} bytes but the file has ${file.byteLength}`);
  const memory = length > LARGE_FOOTER_BYTES ? await LARGE_FOOTERS.reserve(length) : undefined;
  try {
    if (length + 8 > endBytes) kept = await cacheEnd(file, length + 8);
    const bytes = await kept.slice(file.byteLength - 8 - length, file.byteLength - 8);
    return { footer: parseFooter(bytes), file: kept, memory };
  } catch (error) {
    memory?.[Symbol.dispose]();
    throw error;
  }
}

/**
 * @param bytes the thrift structure
 * @throws CodedError `DATA_LOSS` if it is corrupt, `FAILED_PRECONDITION` if it is too large
 */
export function parseFooter(bytes: Uint8Array): ParquetFooter {
  try {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    checkThrift({ view, offset: 0 }, MAX_ELEMENTS);
    return footerOf(deserializeTCompactProtocol({ view, offset: 0 }));
  } catch (error) {
    if (error instanceof CodedError) throw error;
    throw broken(`its footer cannot be parsed: ${(error as Error).message}`, error);
  }
}

// biome-ignore lint/suspicious/noExplicitAny: parsed thrift structures, with the numbered fields of parquet.thrift
type Thrift = any;

function footerOf(meta: Thrift): ParquetFooter {
  const leaves: SchemaNode[] = [];
  const elements = listOf(meta.field_2);
  let next = 0;
  const read = (parent: SchemaNode | undefined, depth: number): SchemaNode => {
    if (depth > MAX_SCHEMA_DEPTH) throw broken(`its schema has more than ${MAX_SCHEMA_DEPTH} levels`);
    const element = elements[next++];
    if (element === undefined) throw broken('its schema is truncated');
    const node = schemaNode(element, parent);
    if (node.type !== undefined) leaves.push(node);
    for (let i = countOf(element.field_5); i > 0; i--) node.children.push(read(node, depth + 1));
    return node;
  };
  const schema = read(undefined, 0);
  // column_orders: `min_value` and `max_value` are meaningful only in the order that the type defines.
  const orders = meta.field_7 === undefined ? undefined : listOf(meta.field_7);
  return {
    schema,
    leaves,
    rows: countOf(meta.field_3),
    rowGroups: listOf(meta.field_4).map((group: Thrift) => {
      const chunks = listOf(group.field_1);
      if (chunks.length !== leaves.length) throw broken(`a row group has ${chunks.length} of ${leaves.length} columns`);
      return {
        rows: countOf(group.field_3),
        chunks: chunks.map((chunk: Thrift, index: number) =>
          columnChunk(chunk, orders?.[index]?.field_1 !== undefined && leaves[index]?.type !== 'INT96'),
        ),
      };
    }),
  };
}

function schemaNode(element: Thrift, parent: SchemaNode | undefined): SchemaNode {
  const repetition = FieldRepetitionTypes[element.field_3] ?? 'REQUIRED';
  const converted: string = ConvertedTypes[element.field_6] ?? '';
  const logical: Thrift = element.field_10 ?? {};
  const unit = (logical.field_7 ?? logical.field_8)?.field_2;
  return {
    name: parent === undefined ? '' : textOf(element.field_4),
    children: [],
    type: parent === undefined ? undefined : (ParquetTypes[element.field_1] as PhysicalType | undefined),
    typeLength: element.field_2,
    repetition,
    fieldId: element.field_9,
    isList: converted === 'LIST' || logical.field_3 !== undefined,
    isMap: converted === 'MAP' || converted === 'MAP_KEY_VALUE' || logical.field_2 !== undefined,
    unit: unit
      ? unit.field_1
        ? 'MILLIS'
        : unit.field_2
          ? 'MICROS'
          : 'NANOS'
      : converted.endsWith('_MILLIS')
        ? 'MILLIS'
        : converted.endsWith('_MICROS')
          ? 'MICROS'
          : undefined,
    isUnsigned: converted.startsWith('UINT_') || logical.field_10?.field_2 === false,
    isText: converted === 'UTF8' || converted === 'ENUM' || converted === 'JSON' || logical.field_1 !== undefined,
    scale: logical.field_5
      ? (logical.field_5.field_1 ?? 0)
      : converted === 'DECIMAL'
        ? (element.field_7 ?? 0)
        : undefined,
    maxDefinitionLevel: (parent?.maxDefinitionLevel ?? 0) + (parent && repetition !== 'REQUIRED' ? 1 : 0),
    maxRepetitionLevel: (parent?.maxRepetitionLevel ?? 0) + (parent && repetition === 'REPEATED' ? 1 : 0),
  };
}

/** A chunk without metadata belongs to an encrypted column; nothing is known about it. */
function columnChunk({ field_3: meta, field_8: encrypted }: Thrift, isOrdered: boolean): ColumnChunk {
  if (meta === undefined || encrypted?.field_2 !== undefined) {
    return { values: -1, compressedBytes: 0, codec: '', dataOffset: 0, isAllDictionary: false };
  }
  const statistics: Thrift = meta.field_12 ?? {};
  return {
    values: countOf(meta.field_5),
    compressedBytes: countOf(meta.field_7),
    codec: CompressionCodecs[meta.field_4] ?? '',
    // Some writers store 0 for a missing dictionary.
    dictionaryOffset: meta.field_11 ? countOf(meta.field_11) : undefined,
    dataOffset: countOf(meta.field_9),
    isAllDictionary: isAllDictionary(meta),
    nulls: statistics.field_3 === undefined ? undefined : countOf(statistics.field_3),
    min: isOrdered ? statistics.field_6 : undefined,
    max: isOrdered ? statistics.field_5 : undefined,
  };
}

/**
 * Only the encoding statistics are conclusive. Without them, the list of encodings is conclusive for version 1 pages: those that refer to
 * the dictionary are PLAIN_DICTIONARY, so PLAIN in the list means that some page does not.
 */
function isAllDictionary({ field_2: encodings, field_11: dictionaryOffset, field_13: statistics }: Thrift): boolean {
  if (!dictionaryOffset) return false;
  if (statistics !== undefined) {
    const data = listOf(statistics).filter((page: Thrift) => PageTypes[page.field_1]?.startsWith('DATA_PAGE'));
    return data.length > 0 && data.every((page: Thrift) => Encodings[page.field_2]?.endsWith('_DICTIONARY'));
  }
  const names = listOf(encodings).map((encoding: number) => Encodings[encoding]);
  return (
    names.includes('PLAIN_DICTIONARY') &&
    names.every((name) => name === 'RLE' || name === 'BIT_PACKED' || name === 'PLAIN_DICTIONARY')
  );
}

async function cacheEnd(file: DataFileBytes, endBytes: number): Promise<DataFileBytes> {
  const from = Math.max(0, file.byteLength - endBytes);
  const end = await sliceWhole(file, from, file.byteLength);
  return {
    byteLength: file.byteLength,
    slice: (start, stop) =>
      start >= from && stop <= file.byteLength
        ? Promise.resolve(end.subarray(start - from, stop - from))
        : sliceWhole(file, start, stop),
  };
}

async function sliceWhole(file: DataFileBytes, start: number, end: number): Promise<Uint8Array> {
  const bytes = await file.slice(start, end);
  if (bytes.length === end - start) return bytes;
  throw broken(`it ends before byte ${end}, but the table's metadata gives its size as ${file.byteLength} bytes`);
}

function listOf(value: Thrift): Thrift[] {
  if (!Array.isArray(value)) throw broken('its footer lacks a list');
  return value;
}

/** A count or offset; 0 if it is absent. */
function countOf(value: Thrift): number {
  const number = Number(value ?? 0);
  if (Number.isSafeInteger(number) && number >= 0) return number;
  throw broken(`its footer contains the invalid count ${String(value).slice(0, 50)}`);
}

function textOf(value: Thrift): string {
  return value instanceof Uint8Array ? buffer(value).toString('utf8') : '';
}

function buffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
