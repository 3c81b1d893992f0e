/** Bytes that are copied one by one. */
const MAX_SHORT = 32;

/**
 * Writes protobuf's wire format into a growing buffer, for the hot path of file changes. The generated encoder creates several objects per
 * column; this creates none. Source: protobuf.dev, "Encoding".
 */
export class WireWriter {
  #bytes: Buffer;
  #length = 0;
  readonly #usualBytes: number;

  /** @param usualBytes size to which the buffer grows at once if `initialBytes` are not enough */
  constructor(initialBytes: number, usualBytes: number) {
    this.#bytes = Buffer.allocUnsafe(initialBytes);
    this.#usualBytes = usualBytes;
  }

  get length(): number {
    return this.#length;
  }

  /** Returns a copy of the written bytes and empties the buffer for reuse. */
  take(): Uint8Array {
    // Node allocates small buffers together.
    const out = Buffer.allocUnsafe(this.#length);
    this.#bytes.copy(out, 0, 0, this.#length);
    this.#length = 0;
    return out;
  }

  /** Writes a varint field; `value` is a non-negative safe integer. */
  int(tag: number, value: number): void {
    this.#reserve(12);
    // The tags of fields from 16 on have two bytes.
    this.#varint(tag);
    this.#varint(value);
  }

  /** Writes a 64-bit varint field. */
  int64(tag: number, value: bigint): void {
    this.#reserve(12);
    this.#bytes[this.#length++] = tag;
    let rest = BigInt.asUintN(64, value);
    while (rest > 0x7fn) {
      this.#bytes[this.#length++] = Number(rest & 0x7fn) | 0x80;
      rest >>= 7n;
    }
    this.#bytes[this.#length++] = Number(rest);
  }

  bytes(tag: number, value: Uint8Array): void {
    // The tags of fields from 16 on have two bytes.
    this.#reserve(10 + value.length);
    this.#varint(tag);
    this.#varint(value.length);
    this.#bytes.set(value, this.#length);
    this.#length += value.length;
  }

  /** Writes a part of `source` as a bytes field. */
  part(tag: number, source: Uint8Array, start: number, length: number): void {
    this.#reserve(8 + length);
    const bytes = this.#bytes;
    bytes[this.#length++] = tag;
    this.#varint(length);
    // Most bounds are short, and a call into native code costs more than to copy them here.
    if (length > MAX_SHORT) bytes.set(source.subarray(start, start + length), this.#length);
    else for (let i = 0, at = this.#length; i < length; i++) bytes[at + i] = source[start + i] as number;
    this.#length += length;
  }

  /** Writes fields that are encoded already. */
  raw(fields: Uint8Array): void {
    this.#reserve(fields.length);
    this.#bytes.set(fields, this.#length);
    this.#length += fields.length;
  }

  string(tag: number, value: string): void {
    // UTF-8 takes at most three bytes per UTF-16 unit.
    this.#reserve(8 + value.length * 3);
    const start = this.open(tag);
    this.#length += this.#bytes.write(value, this.#length, 'utf8');
    this.close(start);
  }

  /** Writes a packed repeated varint field of non-negative safe integers. */
  packed(tag: number, values: readonly number[]): void {
    if (values.length === 0) return;
    const start = this.open(tag);
    for (const value of values) {
      this.#reserve(10);
      this.#varint(value);
    }
    this.close(start);
  }

  /** Begins a nested message. The returned position must be passed to `close`. */
  open(tag: number): number {
    this.#reserve(2);
    this.#bytes[this.#length++] = tag;
    // One byte is reserved for the length, which is enough for most column messages. `close` makes room for longer ones.
    return ++this.#length;
  }

  close(start: number): void {
    const size = this.#length - start;
    if (size < 0x80) {
      this.#bytes[start - 1] = size;
      return;
    }
    const extra = size < 0x4000 ? 1 : size < 0x20_0000 ? 2 : size < 0x1000_0000 ? 3 : 4;
    this.#reserve(extra);
    this.#bytes.copyWithin(start + extra, start, this.#length);
    const end = this.#length + extra;
    this.#length = start - 1;
    this.#varint(size);
    this.#length = end;
  }

  #varint(value: number): void {
    let rest = value;
    while (rest > 0x7f) {
      // Bit operations are correct only below 2^31.
      this.#bytes[this.#length++] = (rest < 0x8000_0000 ? rest & 0x7f : rest % 0x80) | 0x80;
      rest = rest < 0x8000_0000 ? rest >>> 7 : Math.floor(rest / 0x80);
    }
    this.#bytes[this.#length++] = rest;
  }

  #reserve(size: number): void {
    if (this.#length + size <= this.#bytes.length) return;
    const more = this.#bytes.length < this.#usualBytes ? this.#usualBytes : this.#bytes.length * 2;
    const grown = Buffer.allocUnsafe(Math.max(more, this.#length + size));
    this.#bytes.copy(grown, 0, 0, this.#length);
    this.#bytes = grown;
  }
}
