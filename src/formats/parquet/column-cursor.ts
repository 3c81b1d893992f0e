import type { DataFileBytes } from '../table-reader.ts';
import { broken } from './broken.ts';
import { ColumnPages } from './column-pages.ts';
import type { ColumnChunk } from './footer.ts';
import type { LeafColumn } from './leaf-column.ts';
import type { Page, PlainValues } from './pages.ts';
import { type ParquetValue, valueDecoder } from './plain-value.ts';

type DataPage = Exclude<Page, { kind: 'dictionary' }>;

const NO_VALUES: PlainValues = { count: 0, at: () => new Uint8Array(0) };

/**
 * Reads a leaf column of a row group row by row, with one page at a time in memory. Cursors of several columns move in step: `load` all that have no
 * `ready` rows, then take as many rows as all of them have.
 */
export class ColumnCursor {
  readonly #pages: ColumnPages;
  readonly #values: DecodedValues;
  readonly #maxLevel: number;
  #page: DataPage = { kind: 'values', values: NO_VALUES, levels: 0 };
  /** Indices of the next level, and of the next value that is not null. */
  #level = 0;
  #value = 0;

  /** @param windowBytes how much is requested at once */
  constructor(file: DataFileBytes, column: LeafColumn, chunk: ColumnChunk, windowBytes: number) {
    this.#pages = new ColumnPages(file, column.leaf, chunk, windowBytes);
    this.#values = new DecodedValues(column);
    this.#maxLevel = column.leaf.maxDefinitionLevel;
  }

  /** Number of rows that can be taken. */
  get ready(): number {
    return this.#page.levels - this.#level;
  }

  /** Reads until a row is ready. @throws CodedError `DATA_LOSS` if there is none */
  async load(): Promise<void> {
    while (this.ready === 0) {
      this.#page = await this.#values.nextPage(this.#pages);
      [this.#level, this.#value] = [0, 0];
    }
  }

  /** Whether the next row has at least this definition level: whether the structure of that level is not null. */
  hasLevel(level: number): boolean {
    const { definitions } = this.#page;
    return definitions === undefined || (definitions[this.#level] as number) >= level;
  }

  /** Takes the value of the next row; undefined if it is null. */
  take(): ParquetValue | undefined {
    const level = this.#level++;
    const { definitions } = this.#page;
    if (definitions !== undefined && definitions[level] !== this.#maxLevel) return undefined;
    return this.#values.at(this.#page, this.#value++);
  }

  /** Passes over the next row. */
  skip(): void {
    const { definitions } = this.#page;
    if (definitions === undefined || definitions[this.#level] === this.#maxLevel) this.#value++;
    this.#level++;
  }
}

/** The same for a column in a list or map, of which a row has any number of values. */
export class ListCursor {
  readonly #pages: ColumnPages;
  readonly #values: DecodedValues;
  readonly #column: LeafColumn;
  /** The lists of rows whose end was read, and of the row after them. */
  #rows: ListValue[] = [];
  #next = 0;
  #last: ListValue | undefined;

  constructor(file: DataFileBytes, column: LeafColumn, chunk: ColumnChunk, windowBytes: number) {
    this.#pages = new ColumnPages(file, column.leaf, chunk, windowBytes);
    this.#values = new DecodedValues(column);
    this.#column = column;
  }

  get ready(): number {
    return this.#rows.length - this.#next;
  }

  async load(): Promise<void> {
    while (this.ready === 0) {
      [this.#rows, this.#next] = [[], 0];
      this.#add(await this.#values.nextPage(this.#pages));
      if (this.#pages.isOver && this.#last) {
        this.#rows.push(this.#last);
        this.#last = undefined;
      }
    }
  }

  /** Takes the values of the next row: none for an empty list, and for null. */
  take(): ListValue {
    return this.#rows[this.#next++] as ListValue;
  }

  skip(): void {
    this.#next++;
  }

  #add(page: DataPage): void {
    const { leaf, repeatedLevel } = this.#column;
    const { levels, definitions, repetitions } = page;
    let value = 0;
    for (let level = 0; level < levels; level++) {
      if (repetitions === undefined || repetitions[level] === 0) {
        if (this.#last) this.#rows.push(this.#last);
        this.#last = [];
      }
      const definition = definitions === undefined ? leaf.maxDefinitionLevel : (definitions[level] as number);
      if (definition < repeatedLevel) continue;
      if (this.#last === undefined) throw broken(`its column ${leaf.name} begins in the middle of a row`);
      this.#last.push(definition === leaf.maxDefinitionLevel ? this.#values.at(page, value++) : undefined);
    }
  }
}

export type ListValue = (ParquetValue | undefined)[];

/** The decoded values of a column's pages. Those of its dictionary are decoded once. */
class DecodedValues {
  readonly #name: string;
  readonly #decode: (bytes: Uint8Array) => ParquetValue;
  #dictionary: PlainValues = NO_VALUES;
  #decoded: ParquetValue[] = [];

  constructor({ leaf }: LeafColumn) {
    this.#name = leaf.name;
    this.#decode = valueDecoder(leaf);
  }

  async nextPage(pages: ColumnPages): Promise<DataPage> {
    for (;;) {
      const page = await pages.next();
      if (page.kind !== 'dictionary') return page;
      this.#dictionary = page.values;
      this.#decoded = [];
    }
  }

  at(page: DataPage, index: number): ParquetValue {
    if (page.kind === 'values') return this.#decode(page.values.at(index));
    const entry = page.indices[index] as number;
    const known = this.#decoded[entry];
    if (known !== undefined) return known;
    if (!(entry < this.#dictionary.count))
      throw broken(`its column ${this.#name} refers to a value that is not in its dictionary`);
    const value = this.#decode(this.#dictionary.at(entry));
    this.#decoded[entry] = value;
    return value;
  }
}
