import { hashBytes, thetaHash } from '../../stats/ndv/murmur3.ts';
import { scaleRuns, scaleUnits } from '../../stats/ndv/scale-up.ts';
import { ThetaSketch } from '../../stats/ndv/theta-sketch.ts';
import type { DataFileBytes } from '../spi.ts';
import type { ColumnChunk, ParquetFooter, SchemaNode } from './footer.ts';
import { type PlainValues, readPages } from './pages.ts';
import type { ValueBytes } from './value-bytes.ts';

/** The distinct values of one column of a file. */
export interface SketchedColumn {
  /** Of the values that were read. Empty ones count, which Java's DataSketches leaves out. */
  sketch: ThetaSketch;
  /** Distinct values in the whole file. */
  estimate: number;
  /** All values were read. */
  isComplete: boolean;
}

/** Hashes of a sketch while a file is read. */
const NOMINAL = 4096;
/** A dictionary has at most 1 MiB where writers leave their settings alone. */
const DICTIONARY_BYTES = 2 * 1024 * 1024;
/** A column that is not read whole is sampled in so many places. */
const PLACES = 4;
/** Values decoded in one place: with runs, some bytes can stand for any number. */
const PLACE_VALUES = 256 * 1024;

/**
 * Sketches one column of a file. Row groups whose pages all refer to a dictionary cost just the dictionary; others are read whole as
 * long as `budget` lasts, and beyond it a stretch from the start of some row groups.
 *
 * @param budget most bytes to read, about
 * @returns undefined where the file says nothing of the column: it is encrypted
 */
export async function sketchColumn(
  file: DataFileBytes,
  footer: ParquetFooter,
  index: number,
  convert: ValueBytes,
  budget: number,
): Promise<SketchedColumn | undefined> {
  const leaf = footer.leaves[index] as SchemaNode;
  const chunks = footer.rowGroups.map((group) => group.chunks[index] as ColumnChunk);
  if (chunks.some(({ values }) => values < 0)) return undefined;
  const filled = chunks.filter(({ values, nulls }) => values > 0 && nulls !== values);
  const sample = new Sample(convert);
  const whole = filled.reduce((sum, chunk) => sum + wholeCost(chunk), 0) <= budget;
  const places = whole ? filled : spread(filled);
  for (const chunk of places) {
    const most = whole
      ? Number.POSITIVE_INFINITY
      : Math.max(budget / places.length, chunk.isAllDictionary ? DICTIONARY_BYTES : 0);
    await readChunk(file, chunk, leaf, most, sample);
  }
  const rows = filled.reduce((sum, chunk) => sum + chunk.values, 0);
  const nulls = filled.reduce((sum, chunk) => sum + (chunk.nulls ?? 0), 0);
  const estimate = Math.min(sample.estimate(rows), Math.max(rows - nulls, 0));
  return { sketch: sample.sketch, estimate, isComplete: sample.rows === rows };
}

function wholeCost(chunk: ColumnChunk): number {
  return chunk.isAllDictionary
    ? Math.max(0, chunk.dataOffset - (chunk.dictionaryOffset as number))
    : chunk.compressedBytes;
}

function spread(chunks: readonly ColumnChunk[]): ColumnChunk[] {
  if (chunks.length <= PLACES) return [...chunks];
  return Array.from({ length: PLACES }, (_, i) => chunks[Math.floor((i * chunks.length) / PLACES)] as ColumnChunk);
}

async function readChunk(file: DataFileBytes, chunk: ColumnChunk, leaf: SchemaNode, most: number, sample: Sample) {
  const start = chunk.dictionaryOffset ?? chunk.dataOffset;
  const cost = wholeCost(chunk);
  const end = Math.min(file.byteLength, start + Math.min(cost, Math.ceil(most)));
  if (end <= start) return;
  const bytes = await file.slice(start, end);
  if (chunk.isAllDictionary && cost <= most) {
    for (const page of readPages(bytes, chunk, leaf)) {
      if (page.kind === 'dictionary') sample.addDictionary(page.values, chunk.values);
    }
    return;
  }
  const place = new Place(sample);
  for (const page of readPages(bytes, chunk, leaf)) {
    if (page.kind === 'dictionary') place.dictionary(page.values);
    else if (page.kind === 'indices') place.indices(page.indices, page.levels);
    else place.values(page.values, page.levels);
    if (most !== Number.POSITIVE_INFINITY && place.rows >= PLACE_VALUES) break;
  }
  place.end();
}

/** What was read of a column so far. */
class Sample {
  readonly sketch = new ThetaSketch(NOMINAL);
  /** Nulls included. */
  rows = 0;
  /** Row groups of which the dictionary was read, and of which values were. */
  dictionaries = 0;
  stretches = 0;
  readonly #convert: ValueBytes;

  constructor(convert: ValueBytes) {
    this.#convert = convert;
  }

  /** @returns false for a value that is none of the column's type */
  hash(plain: Uint8Array): boolean {
    const value = this.#convert(plain);
    if (value === undefined) return false;
    hashBytes(value);
    return true;
  }

  addDictionary(values: PlainValues, rows: number): void {
    for (let index = 0; index < values.count; index++) {
      if (this.hash(values.at(index))) this.sketch.add(thetaHash.high, thetaHash.low);
    }
    this.rows += rows;
    this.dictionaries++;
  }

  estimate(allRows: number): number {
    const { sketch, rows, dictionaries } = this;
    if (rows === 0 || rows >= allRows) return sketch.estimate;
    if (this.stretches > 0) return scaleRuns(sketch.estimate, sketch.times, rows / allRows);
    return scaleUnits(sketch.estimate, sketch.times, dictionaries, (dictionaries * allRows) / rows);
  }
}

/** A stretch of values, read page by page. */
class Place {
  rows = 0;
  readonly #sample: Sample;
  /** High and low half of each dictionary value's hash. */
  #dictionary = new Uint32Array(0);
  #lastHigh = -1;
  #lastLow = -1;

  constructor(sample: Sample) {
    this.#sample = sample;
  }

  dictionary(values: PlainValues): void {
    this.#dictionary = new Uint32Array(values.count * 2);
    for (let index = 0; index < values.count; index++) {
      if (!this.#sample.hash(values.at(index))) continue;
      this.#dictionary[index * 2] = thetaHash.high;
      this.#dictionary[index * 2 + 1] = thetaHash.low;
    }
  }

  indices(indices: Uint32Array, levels: number): void {
    const dictionary = this.#dictionary;
    for (const index of indices) this.#add(dictionary[index * 2] ?? 0, dictionary[index * 2 + 1] ?? 0);
    this.rows += levels;
  }

  values(values: PlainValues, levels: number): void {
    for (let index = 0; index < values.count; index++) {
      if (this.#sample.hash(values.at(index))) this.#add(thetaHash.high, thetaHash.low);
    }
    this.rows += levels;
  }

  end(): void {
    this.#sample.rows += this.rows;
    this.#sample.stretches++;
  }

  /** Adds a value once a run. */
  #add(high: number, low: number): void {
    if (high === this.#lastHigh && low === this.#lastLow) return;
    this.#lastHigh = high;
    this.#lastLow = low;
    this.#sample.sketch.add(high, low);
  }
}
