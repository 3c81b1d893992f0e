import { extrapolate } from '../../stats/ndv/extrapolate.ts';
import { hashBytes, thetaHash } from '../../stats/ndv/murmur3.ts';
import { ThetaSketch } from '../../stats/ndv/theta-sketch.ts';
import type { DataFileBytes } from '../table-reader.ts';
import type { ColumnChunk, ParquetFooter, SchemaNode } from './footer.ts';
import { DecodingBudget, type PlainValues, readPages } from './pages.ts';
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
const MAX_DICTIONARY_BYTES = 2 * 1024 * 1024;
/** A column that is not read whole is sampled in so many places. */
const SAMPLED_ROW_GROUPS = 2;
/** Rows decoded of a row group, where all of it is wanted and where a stretch is: in runs, some bytes can stand for any number. */
const MAX_WHOLE_ROWS = 4 * 1024 * 1024;
const MAX_STRETCH_ROWS = 256 * 1024;

/**
 * Sketches one column of a file. A row group whose pages all refer to a dictionary costs just the dictionary. Where all of the column
 * fits the budget it is read whole, else a stretch from the start of some row groups, besides their dictionaries.
 *
 * @param budget most bytes of the column to read whole
 * @returns undefined where the file says nothing of the column, or nothing that can be had for the budget
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
  const sampledChunks = whole ? filled : spread(filled);
  for (const chunk of sampledChunks) {
    if (sample.budget.isUsedUp) break;
    if (whole) await readChunk(file, chunk, leaf, wholeCost(chunk), MAX_WHOLE_ROWS, sample);
    else {
      const maxBytes = Math.min(dictionaryCost(chunk), MAX_DICTIONARY_BYTES) + Math.ceil(budget / sampledChunks.length);
      await readChunk(file, chunk, leaf, maxBytes, MAX_STRETCH_ROWS, sample);
    }
  }
  const rows = filled.reduce((sum, chunk) => sum + chunk.values, 0);
  const nulls = filled.reduce((sum, chunk) => sum + (chunk.nulls ?? 0), 0);
  if (sample.rows === 0 && rows > 0) return undefined;
  const estimate = Math.min(sample.estimate(rows), Math.max(rows - nulls, 0));
  return { sketch: sample.sketch, estimate, isComplete: sample.rows === rows };
}

function wholeCost(chunk: ColumnChunk): number {
  return chunk.isAllDictionary ? dictionaryCost(chunk) : chunk.compressedBytes;
}

function dictionaryCost({ dictionaryOffset, dataOffset }: ColumnChunk): number {
  return dictionaryOffset === undefined ? 0 : Math.max(0, dataOffset - dictionaryOffset);
}

function spread(chunks: readonly ColumnChunk[]): ColumnChunk[] {
  if (chunks.length <= SAMPLED_ROW_GROUPS) return [...chunks];
  return Array.from(
    { length: SAMPLED_ROW_GROUPS },
    (_, i) => chunks[Math.floor((i * chunks.length) / SAMPLED_ROW_GROUPS)] as ColumnChunk,
  );
}

async function readChunk(
  file: DataFileBytes,
  chunk: ColumnChunk,
  leaf: SchemaNode,
  maxBytes: number,
  maxRows: number,
  sample: Sample,
): Promise<void> {
  const start = chunk.dictionaryOffset ?? chunk.dataOffset;
  const cost = wholeCost(chunk);
  const end = Math.min(file.byteLength, start + Math.min(cost, maxBytes));
  if (end <= start) return;
  const bytes = await file.slice(start, end);
  if (chunk.isAllDictionary) {
    for await (const page of readPages(bytes, chunk, leaf, sample.budget)) {
      if (page.kind === 'dictionary') sample.addDictionary(page.values, chunk.values);
      break;
    }
    return;
  }
  const stretch = new Stretch(sample);
  for await (const page of readPages(bytes, chunk, leaf, sample.budget)) {
    if (page.kind === 'dictionary') stretch.dictionary(page.values);
    else if (page.kind === 'indices') stretch.indices(page.indices, page.levels);
    else stretch.values(page.values, page.levels);
    if (stretch.rows >= maxRows) break;
  }
  stretch.finish();
}

/** What was read of a column so far. */
class Sample {
  readonly sketch = new ThetaSketch(NOMINAL);
  readonly budget = new DecodingBudget();
  /** Nulls included. */
  rows = 0;
  /** Row groups of which the dictionary was read, and of which values were. */
  dictionaries = 0;
  stretches = 0;
  /** Values of dictionaries, and runs of stretches. */
  runs = 0;
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
    this.runs += values.count;
    this.rows += rows;
    this.dictionaries++;
  }

  estimate(allRows: number): number {
    const { sketch, rows, dictionaries } = this;
    if (rows === 0 || rows >= allRows) return sketch.estimate;
    // With stretches a draw is a run, a value that differs from the one before. Rows would not do: in sorted data a value's rows
    // stand together, and a hundred rows of one value say as little of the others as one.
    const units = this.stretches > 0 ? this.runs : dictionaries;
    return extrapolate(sketch.seen, units, (units * allRows) / rows);
  }
}

/** A stretch of values, read page by page. */
class Stretch {
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

  finish(): void {
    this.#sample.rows += this.rows;
    this.#sample.stretches++;
  }

  /** Adds a value once a run. */
  #add(high: number, low: number): void {
    if (high === this.#lastHigh && low === this.#lastLow) return;
    this.#lastHigh = high;
    this.#lastLow = low;
    this.#sample.runs++;
    this.#sample.sketch.add(high, low);
  }
}
