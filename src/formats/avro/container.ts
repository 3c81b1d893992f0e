import { MalformedError } from '../malformed.ts';
import { type Codec, codec } from './codecs.ts';
import { AvroCursor } from './cursor.ts';
import { type AvroType, parseAvroSchema } from './schema.ts';

/** Gives the bytes from `start` to before `end`, fewer at the end of the file. */
export type ReadRange = (start: number, end: number) => Promise<Uint8Array>;

export interface AvroBlock {
  /** Objects in the block. */
  count: number;
  /** Stands before the first of them. */
  cursor: AvroCursor;
}

/**
 * Bytes asked for at a time. Manifests are written up to 8 MB (`commit.manifest.target-size-bytes`), so most come at once,
 * and of larger files no more than about this much is in memory.
 */
export const PIECE_BYTES = 8 * 1024 * 1024;
/** Schemas of tables with ten thousand columns stand in the header with some megabytes. */
const MAX_HEADER_BYTES = 32 * 1024 * 1024;
/** Writers close a block at 16 to 64 kB; some put a whole manifest into one. */
const MAX_BLOCK_BYTES = 64 * 1024 * 1024;
/** Of a block, decompressed: what a worker may spend on one, and what bombs come to. */
const MAX_DECOMPRESSED_BYTES = 128 * 1024 * 1024;

const MAGIC = Buffer.from('Obj\x01', 'latin1');
const SYNC_BYTES = 16;

/**
 * An Avro object container file, read in pieces (Avro spec, "Object Container Files").
 *
 * `next` gives the blocks that are in memory; when it gives none, `fill` reads on, until that gives false at the end of the
 * file. So decoding itself is synchronous, and memory does not grow with the file.
 */
export class AvroContainer {
  readonly schema: AvroType;
  /** The header's other entries: Iceberg puts schema, spec and format version there. */
  readonly metadata: ReadonlyMap<string, Buffer>;
  readonly #input: Input;
  readonly #sync: Buffer;
  readonly #codec: Codec;

  private constructor(input: Input, metadata: Map<string, Buffer>, sync: Buffer) {
    const schema = metadata.get('avro.schema');
    if (schema === undefined) throw new MalformedError('its Avro header has no schema');
    this.schema = parseAvroSchema(schema.toString('utf8'));
    this.#codec = codec(metadata.get('avro.codec')?.toString('latin1'));
    this.metadata = metadata;
    this.#input = input;
    this.#sync = sync;
  }

  /** @throws MalformedError where the file is no Avro container; what `read` throws */
  static async open(read: ReadRange): Promise<AvroContainer> {
    const input = new Input(read);
    await input.fill();
    if (!input.buffer.subarray(0, MAGIC.length).equals(MAGIC)) {
      const found = input.buffer.length === 0 ? 'it is empty' : `it starts with ${hex(input.buffer.subarray(0, 4))}`;
      throw new MalformedError(`it is no Avro file: ${found}`);
    }
    for (;;) {
      const header = parseHeader(input.buffer);
      if (header !== undefined) {
        // Copied: the piece must not stay in memory for the header's sake.
        for (const [key, value] of header.metadata) header.metadata.set(key, Buffer.from(value));
        input.position = header.end;
        return new AvroContainer(input, header.metadata, Buffer.from(header.sync));
      }
      if (input.buffer.length > MAX_HEADER_BYTES) throw new MalformedError(`its Avro header has no end`);
      if (!(await input.fill())) throw new MalformedError('it ends within its Avro header: it is cut off');
    }
  }

  /** Bytes of the file that are read so far. */
  get bytesRead(): number {
    return this.#input.offset;
  }

  /** The next block that is wholly in memory. */
  next(): AvroBlock | undefined {
    const { buffer, position } = this.#input;
    if (position >= buffer.length) return undefined;
    const cursor = new AvroCursor(buffer);
    cursor.position = position;
    const count = cursor.readLong();
    const size = cursor.readLong();
    if (cursor.position > buffer.length) return undefined;
    if (count < 0 || size < 0 || size > MAX_BLOCK_BYTES) {
      throw new MalformedError(`an Avro block says it has ${count} objects in ${size} bytes`);
    }
    const start = cursor.position;
    const end = start + size;
    if (end + SYNC_BYTES > buffer.length) return undefined;
    if (buffer.compare(this.#sync, 0, SYNC_BYTES, end, end + SYNC_BYTES) !== 0) {
      throw new MalformedError(`there is no sync marker behind the Avro block at ${this.#input.offsetOf(position)}`);
    }
    this.#input.position = end + SYNC_BYTES;
    const data = this.#codec(buffer.subarray(start, end), MAX_DECOMPRESSED_BYTES);
    if (count > data.length) {
      throw new MalformedError(`an Avro block says it has ${count} objects in ${data.length} bytes`);
    }
    return { count, cursor: new AvroCursor(data) };
  }

  /** Reads on; false at the end of the file. */
  async fill(): Promise<boolean> {
    if (await this.#input.fill()) return true;
    const left = this.#input.buffer.length - this.#input.position;
    if (left > 0) throw new MalformedError(`it ends within an Avro block, with ${left} bytes of it: it is cut off`);
    return false;
  }
}

/** What is read and not yet used. */
class Input {
  buffer: Buffer = Buffer.alloc(0);
  position = 0;
  /** Where in the file the buffer ends. */
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

/** Undefined where the buffer ends before the header does. */
function parseHeader(buffer: Buffer): { metadata: Map<string, Buffer>; sync: Buffer; end: number } | undefined {
  const cursor = new AvroCursor(buffer);
  cursor.position = MAGIC.length;
  const metadata = new Map<string, Buffer>();
  /** A length or count that the buffer does not hold: more may come. */
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
