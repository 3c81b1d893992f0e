import { MalformedError } from '../malformed.ts';

/**
 * Reads Avro's primitive values from one buffer (Avro spec, "Binary Encoding").
 *
 * Varints are read without a check on each byte; past the end they read as 0. So callers must call `requireInside` after each record.
 * Counts and lengths are checked before they are used.
 */
export class AvroCursor {
  readonly buffer: Buffer;
  readonly #memory: ArrayBufferLike;
  readonly #offset: number;
  position = 0;
  /** Halves of the long that `readLongParts` read last. */
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
    if (this.position > this.buffer.length) throw new MalformedError('an Avro record exceeds the end of its block');
  }

  /** Reads an int, or a long that is a safe integer. @param beyond what is returned for another long; by default, that is an error */
  readLong(beyond?: number): number {
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
      if (beyond !== undefined) return beyond;
      throw new MalformedError(`the number ${this.#bigint()} is beyond 2^53, too large for a count or size`);
    }
    return high * 0x1_0000_0000 + (low >>> 0);
  }

  readLongBig(): bigint {
    this.readLongParts();
    return this.#bigint();
  }

  /** Reads any long into `low` and `high`, in two's complement. */
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

  /** Reads bytes as a view of the buffer. */
  readBytes(): Uint8Array {
    const length = this.readLong();
    const start = this.#skip(length);
    // Most of a manifest is bounds, and this takes half the time of `subarray` on a Buffer.
    return new Uint8Array(this.#memory, this.#offset + start, length);
  }

  readString(): string {
    const start = this.#skip(this.readLong());
    return this.buffer.toString('utf8', start, this.position);
  }

  /** Skips bytes, which then end at the cursor's position. @returns where they start */
  skipBytes(): number {
    return this.#skip(this.readLong());
  }

  skipLong(): void {
    const { buffer } = this;
    while ((buffer[this.position++] as number) & 0x80);
  }

  /** Reads the next `length` bytes as a view of the buffer. */
  take(length: number): Buffer {
    const start = this.#skip(length);
    return this.buffer.subarray(start, this.position);
  }

  /**
   * Reads the number of items in the next block of an array or map, 0 at its end (Avro spec, "Arrays").
   *
   * In Iceberg's files every item has at least one byte, so a count larger than the remaining bytes is corrupt, and would cause a loop for
   * years.
   */
  readBlockCount(): number {
    let count = this.readLong();
    if (count < 0) {
      count = -count;
      this.readLong(); // size of the block, for readers that skip it
    }
    if (count > this.remaining) {
      throw new MalformedError(`an Avro array or map has ${count} items in ${Math.max(0, this.remaining)} bytes`);
    }
    return count;
  }

  /** Skips the next bytes and returns their start. */
  #skip(length: number): number {
    const start = this.position;
    if (length < 0 || start + length > this.buffer.length) {
      throw new MalformedError(`an Avro value has ${length} bytes, but ${Math.max(0, this.remaining)} bytes remain`);
    }
    this.position = start + length;
    return start;
  }

  #bigint(): bigint {
    return (BigInt(this.high) << 32n) | BigInt(this.low >>> 0);
  }
}
