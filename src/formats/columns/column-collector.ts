import { WireWriter } from '../../protobuf/writer.ts';
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
const ABSENT = -1;
/** Columns for which there is room at the beginning. */
const FIRST_COLUMNS = 32;
const FIRST_BYTES = 4096;

/**
 * Merges a file's metric maps (counts and bounds by column id) into its packed columns. One collector is used for many files: it holds numbers in
 * arrays and bounds as places in the bytes that they are read from, so that nothing is created for a column.
 *
 * The maps usually have increasing ids and mostly the same ones, so the next column is expected after the last one. Only if that guess
 * fails, the collector searches.
 */
export class ColumnCollector {
  readonly #out = new WireWriter(FIRST_BYTES, FIRST_BYTES);
  #ids = new Float64Array(FIRST_COLUMNS);
  #counts = new Float64Array(FIRST_COLUMNS * STRIDE);
  #bounds = new Float64Array(FIRST_COLUMNS * STRIDE);
  #length = 0;
  /** Expected index of this map's next column. */
  #next = 0;
  #isSorted = true;
  /** Indexes by id, once the columns are not sorted. */
  #byId: Map<number, number> | undefined;

  startFile(): void {
    this.#length = 0;
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
  }

  /** @param start where the bound is in the bytes that `finish` gets */
  setBound(column: number, side: number, start: number, length: number): void {
    this.#bounds[column * STRIDE + side * 2] = start;
    this.#bounds[column * STRIDE + side * 2 + 1] = length;
  }

  /** Returns the columns of the file. */
  finish(bytes: Uint8Array): PackedColumns {
    if (this.#length === 0) return NO_COLUMNS;
    if (this.#isSorted) for (let column = 0; column < this.#length; column++) this.#write(column, bytes);
    else for (const column of this.#sorted()) this.#write(column, bytes);
    return this.#out.take();
  }

  /** The fields are written in the order of their numbers, as generated encoders write them. */
  #write(column: number, bytes: Uint8Array): void {
    const out = this.#out;
    const start = out.open(COLUMNS);
    out.int(COLUMN.id, this.#ids[column] as number);
    const at = column * STRIDE;
    const counts = this.#counts;
    if (counts[at + VALUES] !== ABSENT) out.int(COLUMN.valueCount, counts[at + VALUES] as number);
    if (counts[at + NULLS] !== ABSENT) out.int(COLUMN.nullCount, counts[at + NULLS] as number);
    if (counts[at + NANS] !== ABSENT) out.int(COLUMN.nanCount, counts[at + NANS] as number);
    const bounds = this.#bounds;
    if (bounds[at] !== ABSENT) out.part(COLUMN.lower, bytes, bounds[at] as number, bounds[at + 1] as number);
    if (bounds[at + 2] !== ABSENT) out.part(COLUMN.upper, bytes, bounds[at + 2] as number, bounds[at + 3] as number);
    if (counts[at + SIZE] !== ABSENT) out.int(COLUMN.size, counts[at + SIZE] as number);
    out.close(start);
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
    for (let at = column * STRIDE; at < (column + 1) * STRIDE; at++) {
      this.#counts[at] = ABSENT;
      this.#bounds[at] = ABSENT;
    }
    this.#byId?.set(id, column);
    this.#next = column + 1;
    return column;
  }

  #grow(): void {
    this.#ids = grown(this.#ids);
    this.#counts = grown(this.#counts);
    this.#bounds = grown(this.#bounds);
  }
}

function grown(array: Float64Array): Float64Array<ArrayBuffer> {
  const larger = new Float64Array(array.length * 2);
  larger.set(array);
  return larger;
}
