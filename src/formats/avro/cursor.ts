import { MalformedError } from '../malformed.ts';

/**
 * Reads Avro's primitive values from one buffer (Avro spec, "Binary Encoding").
 *
 * Varints are read without a check on each byte: past the end they read as 0. So whoever reads a record calls
 * `requireInside` after it, and counts and lengths are checked before they are followed.
 */
export class AvroCursor {
  readonly buffer: Buffer;
  readonly #memory: ArrayBufferLike;
  readonly #offset: number;
  position = 0;
  /** Halves of the last long that `readLongParts` read. */
  low = 0;
  high = 0;

  constructor(buffer: Buffer) {
    this.buffer = buffer;
    this.#memory = buffer.buffer;
    this.#offset = buffer.byteOffset;
  }

  get remaining(): number {
    return this.buffer.length - this.position;
  }

  requireInside(): void {
    if (this.position > this.buffer.length) throw new MalformedError('an Avro record goes beyond the end of its block');
  }

  /** An int, or a long that is a safe integer. */
  readLong(): number {
    const { buffer } = this;
    let byte = buffer[this.position++] as number;
    if (byte < 0x80) return (byte >>> 1) ^ -(byte & 1);
    let value = byte & 0x7f;
    for (let shift = 7; shift < 28; shift += 7) {
      byte = buffer[this.position++] as number;
      value |= (byte & 0x7f) << shift;
      if (!(byte & 0x80)) return (value >>> 1) ^ -(value & 1);
    }
    this.position -= 4;
    this.readLongParts();
    const { low, high } = this;
    // Safe integers end at 2^53: 21 bits of the upper half.
    if (high >= 0x200000 || high < -0x200000) {
      throw new MalformedError(`the number ${this.#bigint()} is beyond 2^53, and no table has such a count or size`);
    }
    return high * 0x1_0000_0000 + (low >>> 0);
  }

  readLongBig(): bigint {
    this.readLongParts();
    return this.#bigint();
  }

  /** Any long, as two's complement in `low` and `high`. */
  readLongParts(): void {
    const { buffer } = this;
    let low = 0;
    let high = 0;
    let shift = 0;
    let byte: number;
    do {
      if (shift > 63) throw new MalformedError('an Avro number has more than 10 bytes');
      byte = buffer[this.position++] as number;
      const bits = byte & 0x7f;
      if (shift < 28) low |= bits << shift;
      else if (shift === 28) {
        low |= bits << 28;
        high |= bits >>> 4;
      } else high |= bits << (shift - 32);
      shift += 7;
    } while (byte & 0x80);
    const sign = -(low & 1);
    this.low = ((low >>> 1) | (high << 31)) ^ sign;
    this.high = (high >>> 1) ^ sign;
  }

  readBoolean(): boolean {
    return this.buffer[this.position++] === 1;
  }

  /** A view of the buffer, not a copy. */
  readBytes(): Uint8Array {
    const length = this.readLong();
    const start = this.#skip(length);
    // Bounds are the bulk of a manifest; this takes half the time of `subarray` on a Buffer.
    return new Uint8Array(this.#memory, this.#offset + start, length);
  }

  readString(): string {
    const start = this.#skip(this.readLong());
    return this.buffer.toString('utf8', start, this.position);
  }

  skipBytes(): void {
    this.#skip(this.readLong());
  }

  skipLong(): void {
    const { buffer } = this;
    while ((buffer[this.position++] as number) & 0x80);
  }

  /** The next bytes, as a view. */
  take(length: number): Buffer {
    const start = this.#skip(length);
    return this.buffer.subarray(start, this.position);
  }

  /**
   * The number of items in the next block of an array or map, 0 at its end (Avro spec, "Arrays").
   *
   * An item takes a byte at least, in all that Iceberg writes: a count beyond the bytes that are left is corrupt, and
   * would have us loop for years.
   */
  readBlockCount(): number {
    let count = this.readLong();
    if (count < 0) {
      count = -count;
      this.readLong(); // bytes of the block, for those who skip it
    }
    if (count > this.remaining) {
      throw new MalformedError(`an Avro array or map of ${count} items stands in ${Math.max(0, this.remaining)} bytes`);
    }
    return count;
  }

  /** Moves behind the next bytes and gives where they start. */
  #skip(length: number): number {
    const start = this.position;
    if (length < 0 || start + length > this.buffer.length) {
      throw new MalformedError(`an Avro value of ${length} bytes stands in ${Math.max(0, this.remaining)} bytes`);
    }
    this.position = start + length;
    return start;
  }

  #bigint(): bigint {
    return (BigInt(this.high) << 32n) | BigInt(this.low >>> 0);
  }
}
