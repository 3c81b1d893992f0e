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
import type { DataFileBytes } from '../table-reader.ts';
import { broken } from './broken.ts';
import { checkThrift } from './thrift.ts';

/**
 * What a Parquet file's footer says (parquet.thrift, `FileMetaData`), as far as statistics need it.
 *
 * hyparquet parses the thrift; its own `parquetMetadata` turns statistics into JavaScript values, in which decimals and
 * timestamps lose digits, so the bytes are taken here as they stand.
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
  /** Of a leaf. */
  type?: PhysicalType;
  typeLength?: number;
  repetition: 'REQUIRED' | 'OPTIONAL' | 'REPEATED';
  fieldId?: number;
  isList: boolean;
  isMap: boolean;
  /** Of times and timestamps. */
  unit?: 'MILLIS' | 'MICROS' | 'NANOS';
  isUnsigned: boolean;
  /** Of decimals. */
  scale?: number;
  maxDefinitionLevel: number;
  maxRepetitionLevel: number;
}

export interface ColumnChunk {
  /** Nulls included. */
  values: number;
  compressedBytes: number;
  codec: string;
  dictionaryOffset?: number;
  dataOffset: number;
  /** Every data page refers to the dictionary: it holds just the chunk's distinct values. */
  isAllDictionary: boolean;
  nulls?: number;
  /** `min_value` and `max_value`, in plain encoding; absent where the file does not say in which order they are. */
  min?: Uint8Array;
  max?: Uint8Array;
}

/** Footers of wide files with many row groups have some MiB. */
const MAX_FOOTER_BYTES = 16 * 1024 * 1024;
const MAGIC = 0x31524150; // PAR1
const ENCRYPTED_MAGIC = 0x45524150; // PARE
const MAX_SCHEMA_DEPTH = 500;
/** Fields and list elements: 40 a column chunk, each of up to a hundred bytes of memory. */
const MAX_ELEMENTS = 2_000_000;

/**
 * Reads a footer at the cost of one read, two where it is large.
 *
 * @param endBytes how much of the end to read at first
 * @returns the footer, and the file with its end kept: what lies in it is not read again
 * @throws CodedError `DATA_LOSS` for what is no Parquet file or broken, `UNIMPLEMENTED` for an encrypted one,
 *   `FAILED_PRECONDITION` for a footer beyond 16 MiB, and what the store throws
 */
export async function readFooter(
  file: DataFileBytes,
  endBytes = 64 * 1024,
): Promise<{ footerOf: ParquetFooter; file: DataFileBytes }> {
  let kept = await cacheEnd(file, endBytes);
  if (file.byteLength < 12) throw broken(`it has ${file.byteLength} bytes`);
  const tail = buffer(await kept.slice(file.byteLength - 8, file.byteLength));
  const magic = tail.readUInt32LE(4);
  if (magic === ENCRYPTED_MAGIC) throw new CodedError('UNIMPLEMENTED', 'its footer is encrypted');
  if (magic !== MAGIC) throw broken('it does not end as a Parquet file does');
  const length = tail.readUInt32LE(0);
  if (length > MAX_FOOTER_BYTES) {
    throw new CodedError('FAILED_PRECONDITION', `its footer has ${length} bytes; at most ${MAX_FOOTER_BYTES} are read`);
  }
  if (length + 12 > file.byteLength) throw broken(`its footer is said to have ${length} bytes`);
  if (length + 8 > endBytes) kept = await cacheEnd(file, length + 8);
  const bytes = await kept.slice(file.byteLength - 8 - length, file.byteLength - 8);
  return { footerOf: parseFooter(bytes), file: kept };
}

/** @param bytes of the thrift structure @throws CodedError `DATA_LOSS`, `FAILED_PRECONDITION` where it is too large */
export function parseFooter(bytes: Uint8Array): ParquetFooter {
  try {
    const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    checkThrift({ view, offset: 0 }, MAX_ELEMENTS);
    return footer(deserializeTCompactProtocol({ view, offset: 0 }));
  } catch (error) {
    if (error instanceof CodedError) throw error;
    throw broken(`its footer does not parse: ${(error as Error).message}`, error);
  }
}

// biome-ignore lint/suspicious/noExplicitAny: thrift structures as they were parsed; numbered fields of parquet.thrift
type Thrift = any;

function footer(meta: Thrift): ParquetFooter {
  const leaves: SchemaNode[] = [];
  const elements = listOf(meta.field_2);
  let next = 0;
  const read = (parent: SchemaNode | undefined, depth: number): SchemaNode => {
    if (depth > MAX_SCHEMA_DEPTH) throw broken(`its schema has more than ${MAX_SCHEMA_DEPTH} levels`);
    const element = elements[next++];
    if (element === undefined) throw broken('its schema is cut off');
    const node = schemaNode(element, parent);
    if (node.type !== undefined) leaves.push(node);
    for (let i = countOf(element.field_5); i > 0; i--) node.children.push(read(node, depth + 1));
    return node;
  };
  const schema = read(undefined, 0);
  // column_orders: `min_value` and `max_value` mean something only in the order that the type defines.
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
    scale: logical.field_5
      ? (logical.field_5.field_1 ?? 0)
      : converted === 'DECIMAL'
        ? (element.field_7 ?? 0)
        : undefined,
    maxDefinitionLevel: (parent?.maxDefinitionLevel ?? 0) + (parent && repetition !== 'REQUIRED' ? 1 : 0),
    maxRepetitionLevel: (parent?.maxRepetitionLevel ?? 0) + (parent && repetition === 'REPEATED' ? 1 : 0),
  };
}

/** A chunk without metadata is one of an encrypted column: nothing of it is known. */
function columnChunk({ field_3: meta, field_8: encrypted }: Thrift, isOrdered: boolean): ColumnChunk {
  if (meta === undefined || encrypted?.field_2 !== undefined) {
    return { values: -1, compressedBytes: 0, codec: '', dataOffset: 0, isAllDictionary: false };
  }
  const statistics: Thrift = meta.field_12 ?? {};
  return {
    values: countOf(meta.field_5),
    compressedBytes: countOf(meta.field_7),
    codec: CompressionCodecs[meta.field_4] ?? '',
    // Some writers put 0 for 'none'.
    dictionaryOffset: meta.field_11 ? countOf(meta.field_11) : undefined,
    dataOffset: countOf(meta.field_9),
    isAllDictionary: isAllDictionary(meta),
    nulls: statistics.field_3 === undefined ? undefined : countOf(statistics.field_3),
    min: isOrdered ? statistics.field_6 : undefined,
    max: isOrdered ? statistics.field_5 : undefined,
  };
}

/**
 * Only the statistics of encodings tell it for sure. Without them: version 1 pages refer to a dictionary as PLAIN_DICTIONARY, and
 * then PLAIN in the list is a page that does not.
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
  throw broken(`it ends before byte ${end}; the table says that it has ${file.byteLength}`);
}

function listOf(value: Thrift): Thrift[] {
  if (!Array.isArray(value)) throw broken('its footer lacks a list');
  return value;
}

/** A count or offset; 0 where there is none. */
function countOf(value: Thrift): number {
  const number = Number(value ?? 0);
  if (Number.isSafeInteger(number) && number >= 0) return number;
  throw broken(`its footer has ${String(value).slice(0, 50)} for a count`);
}

function textOf(value: Thrift): string {
  return value instanceof Uint8Array ? buffer(value).toString('utf8') : '';
}

function buffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
