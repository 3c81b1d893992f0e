/** Bounds of a file beyond this size are left out: a message with them could not be sent, and nobody prunes files by them. */
const MAX_BOUND_BYTES = 4 * 1024 * 1024;
const FIRST_BYTES = 64 * 1024;
/** A buffer beyond this size is not kept for the next file. */
const KEPT_BYTES = 256 * 1024;

/** Bytes from which a call that copies them is faster than a loop. */
const LONG_STRING = 100;

const MAX_INT64 = 2n ** 63n - 1n;
const MIN_INT64 = -(2n ** 63n);
const TWO_32 = 2 ** 32;

/** Statistics of one file by leaf, before they are counted against its number of records. One object is reused for all files. */
export class FileStats {
  /** -1 if it is not known. */
  numRecords = -1;
  /** Whether the bounds and null counts are those of a file without deleted rows (Delta protocol, "Per-file Statistics"). */
  isTight = true;
  /** -1 if it is not known. */
  nulls = new Float64Array(0);
  /** Positions in `bytes`: lower bounds at `2 * leaf`, upper bounds at `2 * leaf + 1`; -1 if there is none. */
  starts = new Int32Array(0);
  ends = new Int32Array(0);
  bytes = Buffer.allocUnsafeSlow(FIRST_BYTES);
  #view = viewOf(this.bytes);
  #used = 0;

  start(leaves: number): void {
    if (this.nulls.length < leaves) {
      this.nulls = new Float64Array(leaves);
      this.starts = new Int32Array(leaves * 2);
      this.ends = new Int32Array(leaves * 2);
    }
    if (this.bytes.length > KEPT_BYTES) this.#use(Buffer.allocUnsafeSlow(FIRST_BYTES));
    this.clear(leaves);
  }

  /** Forgets what was read. */
  clear(leaves: number): void {
    this.numRecords = -1;
    this.isTight = true;
    this.nulls.fill(-1, 0, leaves);
    this.starts.fill(-1, 0, leaves * 2);
    this.#used = 0;
  }

  /** Number of bytes of all bounds. */
  get used(): number {
    return this.#used;
  }

  /** Position of a new bound's bytes; -1 if they are too many. `end` makes them a bound. */
  reserve(length: number): number {
    const start = this.#used;
    const needed = start + length;
    if (needed > this.bytes.length && !this.#grow(needed)) return -1;
    return start;
  }

  /** @param slot position in `starts` */
  end(slot: number, start: number, end: number): void {
    this.starts[slot] = start;
    this.ends[slot] = end;
    this.#used = end;
  }

  drop(slot: number): void {
    this.starts[slot] = -1;
  }

  int8(slot: number, value: number): void {
    const at = this.reserve(1);
    if (at < 0) return;
    this.bytes[at] = value;
    this.end(slot, at, at + 1);
  }

  int32(slot: number, value: number): void {
    const at = this.reserve(4);
    if (at < 0) return;
    this.#view.setInt32(at, value, true);
    this.end(slot, at, at + 4);
  }

  /** @param value a safe integer */
  int64(slot: number, value: number): void {
    const at = this.reserve(8);
    if (at < 0) return;
    const high = Math.floor(value / TWO_32);
    this.#view.setUint32(at, value - high * TWO_32, true);
    this.#view.setInt32(at + 4, high, true);
    this.end(slot, at, at + 8);
  }

  bigInt64(slot: number, value: bigint): void {
    const at = this.reserve(8);
    if (at < 0) return;
    this.#view.setBigInt64(at, value, true);
    this.end(slot, at, at + 8);
  }

  /** A bound that may be beyond 64 bits: the value then is the limit, or nothing if values beyond the limit would be excluded. */
  saturated(slot: number, value: bigint, isUpper: boolean): void {
    if (value > MAX_INT64) {
      if (isUpper) this.bigInt64(slot, MAX_INT64);
    } else if (value < MIN_INT64) {
      if (!isUpper) this.bigInt64(slot, MIN_INT64);
    } else this.bigInt64(slot, value);
  }

  float32(slot: number, value: number): void {
    const at = this.reserve(4);
    if (at < 0) return;
    this.#view.setFloat32(at, value, true);
    this.end(slot, at, at + 4);
  }

  float64(slot: number, value: number): void {
    const at = this.reserve(8);
    if (at < 0) return;
    this.#view.setFloat64(at, value, true);
    this.end(slot, at, at + 8);
  }

  /** A decimal: the fewest bytes of two's complement, big-endian (Iceberg spec, appendix D). @param value a safe integer */
  unscaled(slot: number, value: number): void {
    let length = 1;
    for (let limit = 128; value >= limit || value < -limit; limit *= 256) length++;
    const at = this.reserve(length);
    if (at < 0) return;
    const high = Math.floor(value / TWO_32);
    const low = value - high * TWO_32;
    for (let byte = 0; byte < length; byte++) {
      this.bytes[at + length - 1 - byte] = byte < 4 ? low >>> (8 * byte) : high >> (8 * (byte - 4));
    }
    this.end(slot, at, at + length);
  }

  /** @param value of at most 16 bytes */
  bigUnscaled(slot: number, value: bigint): void {
    let length = 1;
    while (BigInt.asIntN(8 * length, value) !== value) length++;
    const at = this.reserve(length);
    if (at < 0) return;
    for (let i = length - 1, rest = value; i >= 0; i--, rest >>= 8n) this.bytes[at + i] = Number(rest & 0xffn);
    this.end(slot, at, at + length);
  }

  /** A string as UTF-8. */
  utf8(slot: number, source: Buffer, from: number, to: number): void {
    const at = this.reserve(to - from);
    if (at < 0) return;
    const { bytes } = this;
    if (to - from > LONG_STRING) source.copy(bytes, at, from, to);
    else for (let i = from; i < to; i++) bytes[at + i - from] = source[i] as number;
    this.end(slot, at, at + to - from);
  }

  string(slot: number, text: string): void {
    const at = this.reserve(text.length * 3);
    if (at >= 0) this.end(slot, at, at + this.bytes.write(text, at));
  }

  #use(bytes: Buffer<ArrayBuffer>): void {
    this.bytes = bytes;
    this.#view = viewOf(bytes);
  }

  #grow(needed: number): boolean {
    if (needed > MAX_BOUND_BYTES) return false;
    const grown = Buffer.allocUnsafeSlow(Math.min(MAX_BOUND_BYTES, Math.max(needed, this.bytes.length * 2)));
    this.bytes.copy(grown, 0, 0, this.#used);
    this.#use(grown);
    return true;
  }
}

const viewOf = ({ buffer, byteOffset, length }: Buffer) => new DataView(buffer, byteOffset, length);
