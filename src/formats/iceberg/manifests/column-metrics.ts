import type { ColumnMetrics } from '../../table-reader.ts';

/**
 * Whether the column belongs to position delete files (Iceberg spec, "Reserved Field IDs": row, pos, file_path). The table does not have these
 * columns; it does have those of row lineage, which are also reserved.
 */
export function isDeleteFileColumn(id: number): boolean {
  return id >= 2_147_483_544 && id <= 2_147_483_546;
}

/**
 * Merges a file's six metric maps (counts and bounds by column id) into one list sorted by id.
 *
 * The maps usually have increasing ids and mostly the same ones, so the next column is expected after the last one. Only if that guess
 * fails, the builder searches.
 */
export class ColumnMetricsBuilder {
  #columns: ColumnMetrics[] = [];
  /** Expected index of this map's next column. */
  #next = 0;
  #isSorted = true;
  /** Columns by id, once they are not sorted. */
  #byId: Map<number, ColumnMetrics> | undefined;

  startFile(): void {
    this.#columns = [];
    this.#next = 0;
    this.#isSorted = true;
    this.#byId = undefined;
  }

  startMap(): void {
    this.#next = 0;
  }

  column(id: number): ColumnMetrics {
    const guess = this.#columns[this.#next];
    if (guess !== undefined && guess.id === id) {
      this.#next++;
      return guess;
    }
    return this.#search(id);
  }

  /** Returns the columns sorted by id. The builder does not use them any more. */
  finish(): ColumnMetrics[] {
    return this.#isSorted ? this.#columns : this.#columns.sort((a, b) => a.id - b.id);
  }

  #search(id: number): ColumnMetrics {
    const columns = this.#columns;
    if (this.#isSorted) {
      let at = this.#next;
      while (at < columns.length && (columns[at] as ColumnMetrics).id < id) at++;
      const found = columns[at];
      if (found !== undefined && found.id === id) {
        this.#next = at + 1;
        return found;
      }
      if (at === columns.length && (at === 0 || (columns[at - 1] as ColumnMetrics).id < id)) return this.#append(id);
      this.#isSorted = false;
    }
    this.#byId ??= new Map(columns.map((column) => [column.id, column]));
    return this.#byId.get(id) ?? this.#append(id);
  }

  #append(id: number): ColumnMetrics {
    // All fields at once, so that every column has the same hidden class.
    const column: ColumnMetrics = {
      id,
      sizeInBytes: undefined,
      valueCount: undefined,
      nullCount: undefined,
      nanCount: undefined,
      lower: undefined,
      upper: undefined,
    };
    this.#next = this.#columns.push(column);
    this.#byId?.set(id, column);
    return column;
  }
}
