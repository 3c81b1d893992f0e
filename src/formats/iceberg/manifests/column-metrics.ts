import type { ColumnMetrics } from '../../table-reader.ts';

/**
 * Columns of position delete files (Iceberg spec, "Reserved Field IDs": row, pos, file_path). They are no columns of the
 * table; those of row lineage, reserved too, are.
 */
export function isDeleteFileColumn(id: number): boolean {
  return id >= 2_147_483_544 && id <= 2_147_483_546;
}

/**
 * Merges a file's six metric maps (counts and bounds by column id) into one list by id.
 *
 * The maps mostly come in rising ids and have much the same ones, so the place of the next column is guessed: it is
 * behind the last one. Only where that fails is there a search.
 */
export class ColumnMetricsBuilder {
  #columns: ColumnMetrics[] = [];
  /** Where the next column of this map is expected. */
  #next = 0;
  #rising = true;
  /** By id, once the columns do not rise. */
  #byId: Map<number, ColumnMetrics> | undefined;

  startFile(): void {
    this.#columns = [];
    this.#next = 0;
    this.#rising = true;
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

  /** The columns by id. The builder is done with them. */
  finish(): ColumnMetrics[] {
    return this.#rising ? this.#columns : this.#columns.sort((a, b) => a.id - b.id);
  }

  #search(id: number): ColumnMetrics {
    const columns = this.#columns;
    if (this.#rising) {
      let at = this.#next;
      while (at < columns.length && (columns[at] as ColumnMetrics).id < id) at++;
      const found = columns[at];
      if (found !== undefined && found.id === id) {
        this.#next = at + 1;
        return found;
      }
      if (at === columns.length && (at === 0 || (columns[at - 1] as ColumnMetrics).id < id)) return this.#append(id);
      this.#rising = false;
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
