import { partitionKey } from '../../stats/partition-key.ts';
import { CHANGE, COLUMN, FILE, IF_VECTOR, PARTITION } from '../../wire/file-change-tags.ts';
import { MalformedMessage, WireReader } from '../../wire/reader.ts';
import { invalid } from '../rpc/violations.ts';
import {
  DATA,
  DELETION_VECTOR,
  EQUALITY_DELETES,
  type FileKind,
  POSITION_DELETES,
} from '../store/database/file-kind.ts';
import { pathHash } from '../store/database/path-hash.ts';
import type { ParsedChange } from '../store/files/file-change-row.ts';

const MAX_PATH_BYTES = 8192;
/** The highest value of the enum FileFormat. */
const MAX_FORMAT = 5;
/** FILE_FORMAT_DELTA_DV. */
const DELTA_VECTOR = 5;

/** The record count of a file whose records nobody counted. */
const UNKNOWN_COUNT = -1;

const NO_BYTES: Buffer = Buffer.alloc(0);

/** A field of a change, named within the change, is wrong. */
class InvalidField extends Error {
  readonly field: string;

  constructor(field: string, description: string) {
    super(description);
    this.field = field;
  }
}

/** Reads file changes one after the other. Snapshot ids repeat, so the text of the last one is kept. */
export class FileChangeParser {
  readonly #reader: WireReader;
  #idHigh = 0;
  #idLow = 0;
  #id = '0';
  /** The path of the file that was read last. */
  #path: Buffer = NO_BYTES;

  constructor(bytes: Uint8Array) {
    this.#reader = new WireReader(bytes);
  }

  /**
   * Reads the FileChange between two positions of the bytes.
   *
   * @param index the change's number in the request, for errors
   * @throws InvalidRequest if it is malformed or holds what cannot be stored
   */
  parse(start: number, end: number, index: number): ParsedChange {
    try {
      return this.#change(start, end);
    } catch (error) {
      const at = `changes.changes[${index}]`;
      if (error instanceof MalformedMessage) throw invalid(at, `is malformed: ${error.message}`);
      if (error instanceof InvalidField) throw invalid(`${at}.${error.field}`, error.message);
      throw error;
    }
  }

  #change(start: number, end: number): ParsedChange {
    const reader = this.#reader;
    reader.position = start;
    let kind = 0;
    let fileStart = -1;
    let fileEnd = -1;
    let sequenceNumber = 0;
    let fileSequenceNumber = 0;
    let addedSnapshotId = '';
    let entryNumber = 0;
    let replacesLive = false;
    let isUpperBound = false;
    let vector: Uint8Array | null | undefined;
    while (reader.position < end) {
      const tag = reader.tag(end);
      if (tag === CHANGE.file) {
        // Protobuf's rules merge a field that comes twice; no writer does that.
        if (fileStart >= 0) throw new MalformedMessage('it has two files');
        fileEnd = reader.lengthEnd(end);
        fileStart = reader.position;
        reader.position = fileEnd;
      } else if (tag === CHANGE.kind) kind = reader.int64(end);
      else if (tag === CHANGE.sequenceNumber) sequenceNumber = count(reader.int64(end), 'sequence_number');
      else if (tag === CHANGE.fileSequenceNumber) fileSequenceNumber = count(reader.int64(end), 'file_sequence_number');
      else if (tag === CHANGE.addedSnapshotId) {
        reader.varint(end);
        addedSnapshotId = this.#snapshotId();
      } else if (tag === CHANGE.entryNumber) entryNumber = count(reader.int64(end), 'entry_number');
      else if (tag === CHANGE.replacesLive) replacesLive = reader.int64(end) !== 0;
      else if (tag === CHANGE.isUpperBound) isUpperBound = reader.int64(end) !== 0;
      else if (tag === CHANGE.ifVector) vector = vectorHash(reader, reader.lengthEnd(end));
      else reader.skip(tag, end);
    }
    if (kind !== 1 && kind !== 2) throw new InvalidField('kind', 'is required: ADDED or REMOVED');
    if (fileStart < 0) throw new InvalidField('file', 'is required');
    const change = this.#file(fileStart, fileEnd, kind === 1);
    change.sequenceNumber = sequenceNumber;
    change.fileSequenceNumber = fileSequenceNumber;
    change.addedSnapshotId = addedSnapshotId;
    change.entryNumber = entryNumber;
    change.replacesLive = replacesLive;
    change.isUpperBound = isUpperBound;
    if (vector !== undefined) {
      if (kind === 1) throw new InvalidField('if_vector', 'is for removed data files');
      change.ifVector = { pathHash: vector, dataPath: this.#path.toString() };
    }
    return change;
  }

  #snapshotId(): string {
    const { high, low } = this.#reader;
    if (high !== this.#idHigh || low !== this.#idLow) {
      this.#idHigh = high;
      this.#idLow = low;
      this.#id = ((BigInt(high) << 32n) | BigInt(low >>> 0)).toString();
    }
    return this.#id;
  }

  #file(start: number, end: number, added: boolean): ParsedChange {
    const reader = this.#reader;
    reader.position = start;
    let path = NO_BYTES;
    let content = 0;
    let format = 0;
    let recordCount = UNKNOWN_COUNT;
    let fileSize = 0;
    let contentSize = -1;
    let specId = 0;
    let contentOffset = -1;
    let referencedPath: string | null = null;
    let partition: Uint8Array[] | undefined;
    while (reader.position < end) {
      const tag = reader.tag(end);
      switch (tag) {
        case FILE.path:
          path = pathBytes(reader, end, 'file.file_path');
          break;
        case FILE.content:
          content = reader.int64(end);
          break;
        case FILE.format:
          format = reader.int64(end);
          break;
        case FILE.recordCount:
          recordCount = count(reader.int64(end), 'file.record_count');
          break;
        case FILE.fileSize:
          fileSize = count(reader.int64(end), 'file.file_size_in_bytes');
          break;
        case FILE.specId:
          specId = reader.int64(end);
          if (!(specId >= 0 && specId < 2 ** 31)) throw new InvalidField('file.spec_id', 'is no spec id');
          break;
        case FILE.partition:
          partition ??= [];
          partition.push(partitionKeyPart(reader, reader.lengthEnd(end)));
          break;
        case FILE.column:
          checkColumn(reader, reader.lengthEnd(end));
          break;
        case FILE.contentOffset:
          contentOffset = count(reader.int64(end), 'file.content_offset');
          break;
        case FILE.contentSize:
          contentSize = count(reader.int64(end), 'file.content_size_in_bytes');
          break;
        case FILE.referencedDataFile:
          referencedPath = pathBytes(reader, end, 'file.referenced_data_file').toString() || null;
          break;
        default:
          reader.skip(tag, end);
      }
    }
    if (path.length === 0) throw new InvalidField('file.file_path', 'is required');
    if (added && !(format >= 1 && format <= MAX_FORMAT))
      throw new InvalidField('file.file_format', 'is required: PARQUET, ORC, AVRO, PUFFIN or DELTA_DV');
    this.#path = path;
    const kind = added ? fileKind(content, contentOffset >= 0 || format === DELTA_VECTOR) : DATA;
    return {
      added,
      pathHash: pathHash(path, contentOffset),
      kind,
      recordCount,
      sizeBytes: kind === DELETION_VECTOR && contentSize >= 0 ? contentSize : fileSize,
      specId,
      partitionKey: partition === undefined ? NO_BYTES : keyOf(partition),
      referencedPath,
      body: reader.buffer.subarray(start, end),
      sequenceNumber: 0,
      fileSequenceNumber: 0,
      addedSnapshotId: '',
      entryNumber: 0,
      replacesLive: false,
      isUpperBound: false,
      ifVector: undefined,
    };
  }
}

function fileKind(content: number, vector: boolean): FileKind {
  if (content === 2) return vector ? DELETION_VECTOR : POSITION_DELETES;
  if (content !== 1 && content !== 3)
    throw new InvalidField('file.file_content', 'is required: DATA, POSITION_DELETES or EQUALITY_DELETES');
  if (vector) {
    const vectors = 'deletion vectors, which have a content_offset or the format DELTA_DV';
    throw new InvalidField('file.file_content', `is POSITION_DELETES for ${vectors}`);
  }
  return content === 1 ? DATA : EQUALITY_DELETES;
}

function count(value: number, field: string): number {
  if (value >= 0 && value <= Number.MAX_SAFE_INTEGER) return value;
  throw new InvalidField(field, `is not within 0 and ${Number.MAX_SAFE_INTEGER}`);
}

function pathBytes(reader: WireReader, end: number, field: string): Buffer {
  const stop = reader.lengthEnd(end);
  const length = stop - reader.position;
  if (length > MAX_PATH_BYTES)
    throw new InvalidField(field, `has ${length} bytes, at most ${MAX_PATH_BYTES} are allowed`);
  const path = reader.bytes(stop);
  if (path.includes(0)) throw new InvalidField(field, 'holds a NUL character');
  return path;
}

/** Clients differ in the order of the fields, too. Each part begins with its field's id. */
function keyOf(parts: Uint8Array[]): Uint8Array {
  return parts.length === 1 ? (parts[0] as Uint8Array) : Buffer.concat(parts.sort(Buffer.compare));
}

/**
 * A partition value as bytes that are equal if the values are: the field's id, then 0 for null, or 1, the length and the value's key.
 * Name, type and text are left out, since writers differ in them.
 */
function partitionKeyPart(reader: WireReader, end: number): Uint8Array {
  let fieldId = 0;
  let type = '';
  let value: Uint8Array | undefined;
  while (reader.position < end) {
    const tag = reader.tag(end);
    if (tag === PARTITION.fieldId) fieldId = reader.uint32(end);
    else if (tag === PARTITION.type) type = reader.bytes(reader.lengthEnd(end)).toString('latin1');
    else if (tag === PARTITION.value) value = reader.bytes(reader.lengthEnd(end));
    else reader.skip(tag, end);
  }
  const key = value && partitionKey({ type, value });
  const part = Buffer.allocUnsafe(key === undefined ? 5 : 9 + key.length);
  part.writeUInt32BE(fieldId, 0);
  part[4] = key === undefined ? 0 : 1;
  if (key === undefined) return part;
  part.writeUInt32BE(key.length, 5);
  part.set(key, 9);
  return part;
}

/** The key of a removal's deletion vector; null for none. */
function vectorHash(reader: WireReader, end: number): Uint8Array | null {
  let path = NO_BYTES;
  let offset = -1;
  while (reader.position < end) {
    const tag = reader.tag(end);
    if (tag === IF_VECTOR.path) path = pathBytes(reader, end, 'if_vector.file_path');
    else if (tag === IF_VECTOR.contentOffset) offset = count(reader.int64(end), 'if_vector.content_offset');
    else reader.skip(tag, end);
  }
  return path.length === 0 ? null : pathHash(path, offset);
}

/** Checks a column's statistics: an error must show now and not when they are read. */
function checkColumn(reader: WireReader, end: number): void {
  while (reader.skipShort(end) < end) {
    const tag = reader.tag(end);
    if (tag === COLUMN.valueCount || tag === COLUMN.nullCount || tag === COLUMN.nanCount || tag === COLUMN.size) {
      if (reader.int64(end) < 0) throw new InvalidField('file.columns', `hold a count below 0 (field ${tag >>> 3})`);
    } else reader.skip(tag, end);
  }
}
