/** Where a column is, by physical names; `element`, `key` and `value` in lists and maps. Names may contain dots. */
export type PhysicalPath = readonly string[];

/**
 * First id that is given to a column without an id of its own in a table whose ids are those of the column mapping, such as a list's element.
 * The writer gives the ids after `delta.columnMapping.maxColumnId` to the next columns.
 */
const FIRST_BESIDE_MAPPING = 1_000_000_000;

/** Field ids by physical path. An id that was once given to a path stays its own, even if the column is dropped and added again. */
export class ColumnIds {
  readonly #ids = new Map<string, number>();
  readonly #used = new Set<number>();
  readonly #first: number;
  #next = 1;

  /** @param usesMappingIds whether ids of the column mapping are used if a column has one */
  constructor(usesMappingIds: boolean) {
    this.#first = usesMappingIds ? FIRST_BESIDE_MAPPING : 1;
  }

  /** Takes over the id of a path from the catalog. */
  keep(path: PhysicalPath, id: number): void {
    const key = keyOf(path);
    if (!this.#ids.has(key)) this.#take(key, id);
  }

  /** @param wanted the column's own id, which it gets unless its path has another one or another path has this one */
  idOf(path: PhysicalPath, wanted: number | undefined): number {
    const key = keyOf(path);
    const known = this.#ids.get(key);
    if (known !== undefined) return known;
    return this.#take(key, wanted !== undefined && !this.#used.has(wanted) ? wanted : this.#free());
  }

  #take(key: string, id: number): number {
    this.#ids.set(key, id);
    this.#used.add(id);
    return id;
  }

  #free(): number {
    this.#next = Math.max(this.#next, this.#first);
    while (this.#used.has(this.#next)) this.#next++;
    return this.#next;
  }
}

const keyOf = (path: PhysicalPath) => JSON.stringify(path);
