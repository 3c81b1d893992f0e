import { moved, number, part } from './column-bytes.ts';
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
/** Memory that the columns of several files share. */
const MAX_SHARED_BYTES = 256 * 1024;

/**
 * Merges a file's metric maps (counts and bounds by column id) into its packed columns. One collector is used for many files: it holds numbers in
 * arrays and bounds as places in the bytes that they are read from, so that nothing is created for a column.
 *
 * The maps usually have increasing ids and mostly the same ones, so the next column is expected after the last one. Only if that guess
 * fails, the collector searches.
 */
export class ColumnCollector {
  #out = new Uint8Array(FIRST_COLUMNS * MAX_COLUMN_BYTES);
  /** Bytes of it that belong to files. */
  #used = 0;
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

  /** Returns the columns of the file: a view of memory that several files share. */
  finish(bytes: Uint8Array): PackedColumns {
    if (this.#length === 0) return NO_COLUMNS;
    const most = this.#length * MAX_COLUMN_BYTES + this.#boundBytes;
    if (this.#out.length - this.#used < most) {
      // It starts small, because most manifests have few files.
      this.#out = new Uint8Array(Math.max(most, Math.min(MAX_SHARED_BYTES, this.#out.length * 2)));
      this.#used = 0;
    }
    const start = this.#used;
    this.#used = this.#pack(bytes, this.#isSorted ? undefined : this.#sorted());
    return new Uint8Array(this.#out.buffer, start, this.#used - start);
  }

  /**
   * Writes the columns, each with its fields in the order of their numbers, as generated encoders do. All is in local variables, because this runs
   * for every column of every file: with a call per field, the worker needs an eighth more time.
   *
   * @returns the end of what was written
   */
  #pack(bytes: Uint8Array, order: readonly number[] | undefined): number {
    const out = this.#out;
    const ids = this.#ids;
    const hasOf = this.#has;
    const counts = this.#counts;
    const bounds = this.#bounds;
    const length = this.#length;
    let at = this.#used;
    for (let i = 0; i < length; i++) {
      const column = order ? (order[i] as number) : i;
      const first = column * STRIDE;
      const has = hasOf[column] as number;
      out[at] = COLUMNS;
      // One byte for the length, which is enough for most columns.
      const start = at + 2;
      at = number(out, start, COLUMN.id, ids[column] as number);
      if (has & (1 << VALUES)) at = number(out, at, COLUMN.valueCount, counts[first + VALUES] as number);
      if (has & (1 << NULLS)) at = number(out, at, COLUMN.nullCount, counts[first + NULLS] as number);
      if (has & (1 << NANS)) at = number(out, at, COLUMN.nanCount, counts[first + NANS] as number);
      if (has & (1 << FIRST_BOUND)) {
        at = part(out, at, COLUMN.lower, bytes, bounds[first] as number, bounds[first + 1] as number);
      }
      if (has & (2 << FIRST_BOUND)) {
        at = part(out, at, COLUMN.upper, bytes, bounds[first + 2] as number, bounds[first + 3] as number);
      }
      if (has & (1 << SIZE)) at = number(out, at, COLUMN.size, counts[first + SIZE] as number);
      const size = at - start;
      if (size < 0x80) out[start - 1] = size;
      else at = moved(out, start, at);
    }
    return at;
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

function grown(array: Float64Array): Float64Array<ArrayBuffer> {
  const larger = new Float64Array(array.length * 2);
  larger.set(array);
  return larger;
}
