import { extrapolate } from '../../stats/ndv/extrapolate.ts';
import { hashBytes, thetaHash } from '../../stats/ndv/murmur3.ts';
import { ThetaSketch } from '../../stats/ndv/theta-sketch.ts';
import { Turns } from '../paced.ts';
import type { DataFileBytes } from '../table-reader.ts';
import type { ColumnChunk, ParquetFooter, SchemaNode } from './footer.ts';
import { DecodingBudget, type PlainValues, readPages } from './pages.ts';
import type { ValueBytes } from './value-bytes.ts';

/** The sketch of the distinct values of one column of a file. */
export interface SketchedColumn {
  /** Sketch of the values that were read. Unlike Java's DataSketches it includes empty values. */
  sketch: ThetaSketch;
  /** Estimated number of distinct values in the whole file. */
  estimate: number;
  /** Whether all values were read. */
  isComplete: boolean;
}

/** Hashes per sketch while a file is read. */
const NOMINAL = 4096;
/** By default, writers limit a dictionary to 1 MiB. */
const MAX_DICTIONARY_BYTES = 2 * 1024 * 1024;
/** Number of row groups from which a column is sampled if it is not read whole. */
const SAMPLED_ROW_GROUPS = 2;
/** Maximum rows decoded per row group, read whole or as a sample. In runs, a few bytes can encode any number of rows. */
const MAX_WHOLE_ROWS = 4 * 1024 * 1024;
const MAX_STRETCH_ROWS = 256 * 1024;

/**
 * Sketches one column of a file. If all pages of a row group refer to its dictionary, only the dictionary is read. If the column fits the
 * budget, it is read whole; otherwise the start of some row groups is read, in addition to their dictionaries.
 *
 * @param budget maximum bytes of the column to read, not counting the dictionaries of sampled row groups
 * @returns undefined if the file has no readable data for the column, or none within the budget
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
      if (page.kind === 'dictionary') await sample.addDictionary(page.values, chunk.values);
      break;
    }
    return;
  }
  const stretch = new Stretch(sample);
  for await (const page of readPages(bytes, chunk, leaf, sample.budget)) {
    if (page.kind === 'dictionary') await stretch.dictionary(page.values);
    else if (page.kind === 'indices') stretch.indices(page.indices, page.levels);
    else await stretch.values(page.values, page.levels);
    if (stretch.rows >= maxRows) break;
  }
  stretch.finish();
}

/** Others get their turn after this many values at the earliest: hashing them takes a few milliseconds. */
const PAUSE = 16 * 1024;

/** A page may have millions of values, which take seconds to hash. */
async function eachValue(values: PlainValues, use: (value: Uint8Array, index: number) => void): Promise<void> {
  const turns = new Turns();
  for (let index = 0; index < values.count; index++) {
    use(values.at(index), index);
    if (index % PAUSE === PAUSE - 1 && turns.isOver) await turns.next();
  }
}

/** The part of a column that was read so far. */
class Sample {
  readonly sketch = new ThetaSketch(NOMINAL);
  readonly budget = new DecodingBudget();
  /** Number of rows read, including nulls. */
  rows = 0;
  /** Number of row groups of which only the dictionary was read, and of those of which values were read. */
  dictionaries = 0;
  stretches = 0;
  /** Number of dictionary values, plus the number of runs in stretches. */
  runs = 0;
  readonly #convert: ValueBytes;

  constructor(convert: ValueBytes) {
    this.#convert = convert;
  }

  /** Hashes a value into `thetaHash`; returns false if the value does not have the type of the column. */
  hash(plain: Uint8Array): boolean {
    const value = this.#convert(plain);
    if (value === undefined) return false;
    hashBytes(value);
    return true;
  }

  async addDictionary(values: PlainValues, rows: number): Promise<void> {
    await eachValue(values, (value) => {
      if (this.hash(value)) this.sketch.add(thetaHash.high, thetaHash.low);
    });
    this.runs += values.count;
    this.rows += rows;
    this.dictionaries++;
  }

  estimate(allRows: number): number {
    const { sketch, rows, dictionaries } = this;
    if (rows === 0 || rows >= allRows) return sketch.estimate;
    // In stretches the sampling unit is a run: a value that differs from the previous one. Rows would be wrong, because in sorted data equal
    // values are adjacent, and a hundred rows of one value show no more about other values than one row.
    const units = this.stretches > 0 ? this.runs : dictionaries;
    return extrapolate(sketch.seen, units, (units * allRows) / rows);
  }
}

/** A contiguous range of values that is read page by page. */
class Stretch {
  rows = 0;
  readonly #sample: Sample;
  /** The high half, then the low half of each dictionary value's hash. */
  #dictionary = new Uint32Array(0);
  #lastHigh = -1;
  #lastLow = -1;

  constructor(sample: Sample) {
    this.#sample = sample;
  }

  async dictionary(values: PlainValues): Promise<void> {
    const hashes = new Uint32Array(values.count * 2);
    await eachValue(values, (value, index) => {
      if (!this.#sample.hash(value)) return;
      hashes[index * 2] = thetaHash.high;
      hashes[index * 2 + 1] = thetaHash.low;
    });
    this.#dictionary = hashes;
  }

  indices(indices: Uint32Array, levels: number): void {
    const dictionary = this.#dictionary;
    for (const index of indices) this.#add(dictionary[index * 2] ?? 0, dictionary[index * 2 + 1] ?? 0);
    this.rows += levels;
  }

  async values(values: PlainValues, levels: number): Promise<void> {
    await eachValue(values, (value) => {
      if (this.#sample.hash(value)) this.#add(thetaHash.high, thetaHash.low);
    });
    this.rows += levels;
  }

  finish(): void {
    this.#sample.rows += this.rows;
    this.#sample.stretches++;
  }

  /** Adds a value once per run. */
  #add(high: number, low: number): void {
    if (high === this.#lastHigh && low === this.#lastLow) return;
    this.#lastHigh = high;
    this.#lastLow = low;
    this.#sample.runs++;
    this.#sample.sketch.add(high, low);
  }
}
