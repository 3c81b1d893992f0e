import { COLUMN, COLUMNS, NO_COLUMNS, type PackedColumns } from './packed-columns.ts';

/** The counts of a column, as `setCount` takes them. */
export const VALUES = 0;
export const NULLS = 1;
export const NANS = 2;
export const SIZE = 3;
/** The bounds of a column, as `setBound` takes them. */
export const LOWER = 0;
export const UPPER = 1;

/** Each column has four counts, and the starts and lengths of two bounds. */
const STRIDE = 4;
/** The bit of the first bound among those of what a column has; counts come before it. */
const FIRST_BOUND = 4;
/** Columns for which there is room at the beginning. */
const FIRST_COLUMNS = 32;
/** Most bytes of a packed column without the bytes of its bounds: tags, and numbers of up to 10 bytes. */
const MAX_COLUMN_BYTES = 96;
/** Longest bound that is copied byte by byte. */
const MAX_SHORT = 32;

/**
 * Merges a file's metric maps (counts and bounds by column id) into its packed columns. One collector is used for many files: it holds numbers in
 * arrays and bounds as places in the bytes that they are read from, so that nothing is created for a column.
 *
 * The maps usually have increasing ids and mostly the same ones, so the next column is expected after the last one. Only if that guess
 * fails, the collector searches.
 */
export class ColumnCollector {
  #out = Buffer.allocUnsafe(FIRST_COLUMNS * MAX_COLUMN_BYTES);
  #ids = new Float64Array(FIRST_COLUMNS);
  #counts = new Float64Array(FIRST_COLUMNS * STRIDE);
  #bounds = new Float64Array(FIRST_COLUMNS * STRIDE);
  /** Which counts and bounds each column has: a bit each. */
  #has = new Uint8Array(FIRST_COLUMNS);
  /** Bytes of all bounds. */
  #boundBytes = 0;
  #length = 0;
  /** Expected index of this map's next column. */
  #next = 0;
  #isSorted = true;
  /** Indexes by id, once the columns are not sorted. */
  #byId: Map<number, number> | undefined;

  startFile(): void {
    this.#length = 0;
    this.#boundBytes = 0;
    this.#next = 0;
    this.#isSorted = true;
    this.#byId = undefined;
  }

  startMap(): void {
    this.#next = 0;
  }

  /** The index of a column, which is added if the file does not have it yet. */
  column(id: number): number {
    const guess = this.#next;
    if (guess < this.#length && this.#ids[guess] === id) {
      this.#next = guess + 1;
      return guess;
    }
    return this.#search(id);
  }

  setCount(column: number, kind: number, count: number): void {
    this.#counts[column * STRIDE + kind] = count;
    this.#has[column] = (this.#has[column] as number) | (1 << kind);
  }

  /** @param start where the bound is in the bytes that `finish` gets */
  setBound(column: number, side: number, start: number, length: number): void {
    const at = column * STRIDE + side * 2;
    this.#bounds[at] = start;
    this.#bounds[at + 1] = length;
    this.#has[column] = (this.#has[column] as number) | (1 << (FIRST_BOUND + side));
    this.#boundBytes += length;
  }

  /** Returns the columns of the file. */
  finish(bytes: Uint8Array): PackedColumns {
    if (this.#length === 0) return NO_COLUMNS;
    const most = this.#length * MAX_COLUMN_BYTES + this.#boundBytes;
    if (this.#out.length < most) this.#out = Buffer.allocUnsafe(most * 2);
    const order = this.#isSorted ? undefined : this.#sorted();
    const out = this.#out;
    let end = 0;
    for (let i = 0; i < this.#length; i++) end = this.#write(order ? (order[i] as number) : i, bytes, out, end);
    return Uint8Array.prototype.slice.call(out, 0, end);
  }

  /**
   * Writes a column's fields in the order of their numbers, as generated encoders write them. Positions are local variables, because this runs for
   * every column of every file: with a call per field, the worker needs an eighth more time.
   *
   * @returns the end of what was written
   */
  #write(column: number, bytes: Uint8Array, out: Buffer, from: number): number {
    let at = from;
    out[at++] = COLUMNS;
    const start = ++at;
    out[at++] = COLUMN.id;
    at = varint(out, at, this.#ids[column] as number);
    const has = this.#has[column] as number;
    const first = column * STRIDE;
    if (has & (1 << VALUES)) at = count(out, at, COLUMN.valueCount, this.#counts[first + VALUES] as number);
    if (has & (1 << NULLS)) at = count(out, at, COLUMN.nullCount, this.#counts[first + NULLS] as number);
    if (has & (1 << NANS)) at = count(out, at, COLUMN.nanCount, this.#counts[first + NANS] as number);
    for (let side = LOWER; side <= UPPER; side++) {
      if (!(has & (1 << (FIRST_BOUND + side)))) continue;
      const source = this.#bounds[first + side * 2] as number;
      const length = this.#bounds[first + side * 2 + 1] as number;
      at = count(out, at, side === LOWER ? COLUMN.lower : COLUMN.upper, length);
      // Most bounds are short, and a call into native code costs more than to copy them here.
      if (length > MAX_SHORT) out.set(bytes.subarray(source, source + length), at);
      else for (let i = 0; i < length; i++) out[at + i] = bytes[source + i] as number;
      at += length;
    }
    if (has & (1 << SIZE)) at = count(out, at, COLUMN.size, this.#counts[first + SIZE] as number);
    return closed(out, start, at);
  }

  #sorted(): number[] {
    const ids = this.#ids;
    return Array.from({ length: this.#length }, (_, i) => i).sort((a, b) => (ids[a] as number) - (ids[b] as number));
  }

  #search(id: number): number {
    const ids = this.#ids;
    const length = this.#length;
    if (this.#isSorted) {
      let at = this.#next;
      while (at < length && (ids[at] as number) < id) at++;
      if (at < length && ids[at] === id) {
        this.#next = at + 1;
        return at;
      }
      if (at === length && (at === 0 || (ids[at - 1] as number) < id)) return this.#append(id);
      this.#isSorted = false;
    }
    this.#byId ??= new Map(Array.from(ids.subarray(0, length), (known, i) => [known, i]));
    return this.#byId.get(id) ?? this.#append(id);
  }

  #append(id: number): number {
    const column = this.#length++;
    if (column === this.#ids.length) this.#grow();
    this.#ids[column] = id;
    this.#has[column] = 0;
    this.#byId?.set(id, column);
    this.#next = column + 1;
    return column;
  }

  #grow(): void {
    this.#ids = grown(this.#ids);
    this.#counts = grown(this.#counts);
    this.#bounds = grown(this.#bounds);
    const has = new Uint8Array(this.#has.length * 2);
    has.set(this.#has);
    this.#has = has;
  }
}

function count(out: Buffer, at: number, tag: number, value: number): number {
  out[at] = tag;
  return varint(out, at + 1, value);
}

/** Writes a non-negative safe integer. @returns its end */
function varint(out: Buffer, from: number, value: number): number {
  let at = from;
  let rest = value;
  while (rest > 0x7f) {
    // Bit operations are correct only below 2^31.
    out[at++] = (rest < 0x8000_0000 ? rest & 0x7f : rest % 0x80) | 0x80;
    rest = rest < 0x8000_0000 ? rest >>> 7 : Math.floor(rest / 0x80);
  }
  out[at++] = rest;
  return at;
}

/** Writes the length of a message before its start, for which one byte is reserved. @returns the end of the message */
function closed(out: Buffer, start: number, end: number): number {
  const size = end - start;
  if (size < 0x80) {
    out[start - 1] = size;
    return end;
  }
  const extra = size < 0x4000 ? 1 : size < 0x20_0000 ? 2 : size < 0x1000_0000 ? 3 : 4;
  out.copyWithin(start + extra, start, end);
  varint(out, start - 1, size);
  return end + extra;
}

function grown(array: Float64Array): Float64Array<ArrayBuffer> {
  const larger = new Float64Array(array.length * 2);
  larger.set(array);
  return larger;
}
