import { CodedError } from '../../errors.ts';
import { MemoryBudget, type ReservedMemory } from '../../storage/memory-budget.ts';
import { MalformedError } from '../malformed.ts';
import { type Codec, codec } from './codecs.ts';
import { AvroCursor } from './cursor.ts';
import { type AvroType, parseAvroSchema } from './schema.ts';

/** Returns the bytes from `start` to `end` (exclusive), or fewer at the end of the file. */
export type ReadRange = (start: number, end: number) => Promise<Uint8Array>;

export interface AvroBlock {
  /** Number of objects in the block. */
  count: number;
  /** Positioned at the first object. */
  cursor: AvroCursor;
}

/**
 * Bytes read at a time. Writers make manifests of up to 8 MB (`commit.manifest.target-size-bytes`), so most are read at once. Of larger files
 * only about this much is in memory.
 */
export const PIECE_BYTES = 8 * 1024 * 1024;
/** The header contains the schema, which has a few megabytes for tables with ten thousand columns. */
const MAX_HEADER_BYTES = 32 * 1024 * 1024;
/** Writers end a block at 16 to 64 kB; some put a whole manifest into one block. */
const MAX_BLOCK_BYTES = 64 * 1024 * 1024;
/** Limit for a decompressed block, against decompression bombs. */
const MAX_DECOMPRESSED_BYTES = 128 * 1024 * 1024;

/** Headers, blocks and decompressed blocks up to this size are read at any time, larger ones of one file at a time. */
const SMALL_BYTES = 8 * 1024 * 1024;
const LARGE_FILES = new MemoryBudget(MAX_DECOMPRESSED_BYTES);
/** What is kept of the header. It also has the table's schema. */
const KEPT = new Set(['avro.schema', 'avro.codec', 'partition-spec-id']);

const MAGIC = Buffer.from('Obj\x01', 'latin1');
/** Iceberg's AES GCM streams (https://iceberg.apache.org/gcm-stream-spec, "File structure"). */
const ENCRYPTED_MAGIC = Buffer.from('AGS1', 'latin1');
const SYNC_BYTES = 16;

/**
 * An Avro object container file that is read in pieces (Avro spec, "Object Container Files").
 *
 * `next` returns the blocks that are in memory. When it returns undefined, `fill` reads more, and returns false at the end of the file. So
 * decoding is synchronous, and memory does not grow with the file. A container must be closed.
 */
export class AvroContainer {
  readonly schema: AvroType;
  /** The header's entries that readers need. */
  readonly metadata: ReadonlyMap<string, Buffer>;
  readonly #input: Input;
  readonly #sync: Buffer;
  readonly #codec: Codec;
  #memory: ReservedMemory | undefined;
  /** The next block is too large to be read without a wait for memory. */
  #isWaiting = false;

  private constructor(input: Input, metadata: Map<string, Buffer>, sync: Buffer, memory: ReservedMemory | undefined) {
    this.#memory = memory;
    const schema = metadata.get('avro.schema');
    if (schema === undefined) throw new MalformedError('its Avro header has no schema');
    this.schema = parseAvroSchema(schema.toString('utf8'));
    this.#codec = codec(metadata.get('avro.codec')?.toString('latin1'));
    this.metadata = metadata;
    this.#input = input;
    this.#sync = sync;
  }

  /** @throws MalformedError if the file is not an Avro container; the errors of `read` */
  static async open(read: ReadRange): Promise<AvroContainer> {
    const input = new Input(read);
    await input.fill();
    if (input.buffer.subarray(0, MAGIC.length).equals(ENCRYPTED_MAGIC)) {
      throw new CodedError('UNIMPLEMENTED', 'it is encrypted, and encrypted tables are not supported');
    }
    if (!input.buffer.subarray(0, MAGIC.length).equals(MAGIC)) {
      const found = input.buffer.length === 0 ? 'it is empty' : `it starts with ${hex(input.buffer.subarray(0, 4))}`;
      throw new MalformedError(`it is not an Avro file: ${found}`);
    }
    let memory: ReservedMemory | undefined;
    try {
      for (;;) {
        const header = parseHeader(input.buffer);
        if (header !== undefined) {
          // Copied, so that the header does not keep the whole piece in memory.
          const kept = [...header.metadata].filter(([key]) => KEPT.has(key));
          const metadata = new Map(kept.map(([key, value]) => [key, Buffer.from(value)]));
          input.position = header.end;
          return new AvroContainer(input, metadata, Buffer.from(header.sync), memory);
        }
        if (input.buffer.length > MAX_HEADER_BYTES)
          throw new MalformedError(`its Avro header has more than ${MAX_HEADER_BYTES} bytes`);
        if (input.buffer.length >= SMALL_BYTES) memory ??= await LARGE_FILES.reserve(MAX_DECOMPRESSED_BYTES);
        if (!(await input.fill()))
          throw new MalformedError('it is truncated: it ends in the middle of its Avro header');
      }
    } catch (error) {
      memory?.[Symbol.dispose]();
      throw error;
    }
  }

  [Symbol.dispose](): void {
    this.#memory?.[Symbol.dispose]();
  }

  /** Bytes of the file read so far. */
  get bytesRead(): number {
    return this.#input.offset;
  }

  /** Returns the next block that is completely in memory; undefined if there is none. */
  next(): AvroBlock | undefined {
    const { buffer, position } = this.#input;
    if (position >= buffer.length) return undefined;
    const cursor = new AvroCursor(buffer);
    cursor.position = position;
    const count = cursor.readLong();
    const size = cursor.readLong();
    if (cursor.position > buffer.length) return undefined;
    if (count < 0 || size < 0 || size > MAX_BLOCK_BYTES) {
      throw new MalformedError(`an Avro block claims to have ${count} objects in ${size} bytes`);
    }
    const start = cursor.position;
    const end = start + size;
    this.#isWaiting = size > SMALL_BYTES && this.#memory === undefined;
    if (this.#isWaiting || end + SYNC_BYTES > buffer.length) return undefined;
    if (buffer.compare(this.#sync, 0, SYNC_BYTES, end, end + SYNC_BYTES) !== 0) {
      throw new MalformedError(
        `there is no sync marker after the Avro block at byte ${this.#input.offsetOf(position)}`,
      );
    }
    const data = this.#decompress(buffer.subarray(start, end));
    if (data === undefined) return undefined;
    this.#input.position = end + SYNC_BYTES;
    if (count > data.length) {
      throw new MalformedError(`an Avro block claims to have ${count} objects in ${data.length} bytes`);
    }
    return { count, cursor: new AvroCursor(data) };
  }

  /** Undefined if the block needs memory first. */
  #decompress(block: Buffer): Buffer | undefined {
    if (this.#memory !== undefined) return this.#codec(block, MAX_DECOMPRESSED_BYTES);
    try {
      return this.#codec(block, SMALL_BYTES);
    } catch (error) {
      if (!(error instanceof MalformedError)) throw error;
      // Too large, or corrupt, which the next attempt will show.
      this.#isWaiting = true;
      return undefined;
    }
  }

  /** Reads the next piece, or waits for the memory that the next block takes; returns false at the end of the file. */
  async fill(): Promise<boolean> {
    if (this.#isWaiting) {
      this.#memory ??= await LARGE_FILES.reserve(MAX_DECOMPRESSED_BYTES);
      this.#isWaiting = false;
      return true;
    }
    if (await this.#input.fill()) return true;
    const left = this.#input.buffer.length - this.#input.position;
    if (left > 0)
      throw new MalformedError(
        `it is truncated: it ends in the middle of an Avro block, after ${left} bytes of the block`,
      );
    return false;
  }
}

/** Bytes that were read and are not yet used. */
class Input {
  buffer: Buffer = Buffer.alloc(0);
  position = 0;
  /** Position in the file at which the buffer ends. */
  offset = 0;
  readonly #read: ReadRange;
  #ended = false;

  constructor(read: ReadRange) {
    this.#read = read;
  }

  offsetOf(position: number): number {
    return this.offset - this.buffer.length + position;
  }

  async fill(): Promise<boolean> {
    if (this.#ended) return false;
    const bytes = await this.#read(this.offset, this.offset + PIECE_BYTES);
    this.#ended = bytes.length < PIECE_BYTES;
    this.offset += bytes.length;
    const piece = Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
    const left = this.buffer.subarray(this.position);
    this.buffer = left.length === 0 ? piece : Buffer.concat([left, piece]);
    this.position = 0;
    return bytes.length > 0;
  }
}

/** Undefined if the buffer ends before the header does. */
function parseHeader(buffer: Buffer): { metadata: Map<string, Buffer>; sync: Buffer; end: number } | undefined {
  const cursor = new AvroCursor(buffer);
  cursor.position = MAGIC.length;
  const metadata = new Map<string, Buffer>();
  /** Whether this many bytes are in the buffer; otherwise more must be read. */
  const isAvailable = (length: number): boolean => {
    if (length < 0) throw new MalformedError(`its Avro header has a value of ${length} bytes`);
    return cursor.position <= buffer.length && length <= cursor.remaining;
  };
  for (;;) {
    let count = cursor.readLong();
    if (count < 0) {
      count = -count;
      cursor.readLong();
    }
    if (!isAvailable(count)) return undefined;
    if (count === 0) break;
    for (; count > 0; count--) {
      const keyLength = cursor.readLong();
      if (!isAvailable(keyLength)) return undefined;
      const key = cursor.take(keyLength).toString('utf8');
      const valueLength = cursor.readLong();
      if (!isAvailable(valueLength)) return undefined;
      metadata.set(key, cursor.take(valueLength));
    }
  }
  if (!isAvailable(SYNC_BYTES)) return undefined;
  const sync = cursor.take(SYNC_BYTES);
  return { metadata, sync, end: cursor.position };
}

function hex(bytes: Buffer): string {
  return `0x${bytes.toString('hex')}`;
}
