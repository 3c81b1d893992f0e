import { primitiveType } from '../../../stats/primitive-type.ts';
import type { DeltaColumn } from './delta-column.ts';
import type { DeltaSchema } from './delta-schema.ts';

/** How the bounds of a column are read. */
export const NO_BOUNDS = 0;
export const BOOLEAN = 1;
export const INT = 2;
export const LONG = 3;
export const FLOAT = 4;
export const DOUBLE = 5;
export const DECIMAL = 6;
export const DATE = 7;
export const TIMESTAMP = 8;
export const STRING = 9;

const BOUNDS: Readonly<Record<string, number>> = {
  boolean: BOOLEAN,
  int: INT,
  long: LONG,
  float: FLOAT,
  double: DOUBLE,
  decimal: DECIMAL,
  date: DATE,
  timestamp: TIMESTAMP,
  timestamptz: TIMESTAMP,
  string: STRING,
};

/** A column that has values and is not in a list or map. */
export interface Leaf {
  /** Position among the plan's leaves, which are sorted by id. */
  readonly index: number;
  /** Field id. */
  readonly id: number;
  /** One of the kinds above; NO_BOUNDS for types without an order that bounds have. */
  readonly bounds: number;
  /** Of a decimal. */
  readonly scale: number;
  readonly wasFloat: boolean;
}

/** A struct, or the table itself. */
export class PlanNode {
  readonly #children = new Map<string, Child>();
  /** Open hash table of the children, so that a name is found without a string for it. */
  readonly #table: (Child | undefined)[];
  readonly #mask: number;

  constructor(children: readonly Child[]) {
    let size = 4;
    while (size < children.length * 2) size *= 2;
    this.#table = new Array(size).fill(undefined);
    this.#mask = size - 1;
    for (const child of children) {
      this.#children.set(child.name, child);
      let slot = hashOf(child.name) & this.#mask;
      while (this.#table[slot] !== undefined) slot = (slot + 1) & this.#mask;
      this.#table[slot] = child;
    }
  }

  byName(name: string): Child | undefined {
    return this.#children.get(name);
  }

  /** @param hash `hashOf` the name, which is `text` from `start` on, up to a quote */
  find(hash: number, text: string, start: number): Child | undefined {
    let slot = hash & this.#mask;
    for (;;) {
      const child = this.#table[slot];
      if (child === undefined || text.startsWith(child.quoted, start)) return child;
      slot = (slot + 1) & this.#mask;
    }
  }
}

export interface Child {
  readonly name: string;
  /** The name with the quote that ends it. */
  readonly quoted: string;
  readonly leaf?: Leaf;
  readonly node?: PlanNode;
}

/** Random, so that nobody can choose names with equal hashes. */
export const HASH_FACTOR = (Math.floor(Math.random() * 2 ** 20) << 1) | 1;

function hashOf(name: string): number {
  let hash = 0;
  for (let at = 0; at < name.length; at++) hash = (Math.imul(hash, HASH_FACTOR) + name.charCodeAt(at)) | 0;
  return hash;
}

/** What is read of a file's statistics. */
export interface LeafPlan {
  readonly root: PlanNode;
  /** Sorted by id. */
  readonly leaves: readonly Leaf[];
  /** The leaf of each partition column, in the order of the spec; undefined if it is not selected. Its statistics are derived from its value. */
  readonly partition: readonly (Leaf | undefined)[];
}

/** @param columnIds the columns whose statistics are read; all of them by default */
export function leafPlan({ columns, partitionColumns }: DeltaSchema, columnIds?: ReadonlySet<number>): LeafPlan {
  const selected: DeltaColumn[] = [];
  const collect = (column: DeltaColumn) => {
    if (column.type !== undefined && (columnIds?.has(column.id) ?? true)) selected.push(column);
    column.fields?.forEach(collect);
  };
  columns.forEach(collect);
  selected.sort((a, b) => a.id - b.id);
  const leaves = selected.map((column, index) => leafOf(column, index));
  const byColumn = new Map(selected.map((column, index) => [column, leaves[index] as Leaf]));
  const isPartition = new Set(partitionColumns);
  const childOf = (column: DeltaColumn): Child => {
    const { physicalName: name, fields } = column;
    const leaf = isPartition.has(column) ? undefined : byColumn.get(column);
    return { name, quoted: `${name}"`, leaf, node: fields && new PlanNode(fields.map(childOf)) };
  };
  return {
    root: new PlanNode(columns.map(childOf)),
    leaves,
    partition: partitionColumns.map((column) => byColumn.get(column)),
  };
}

function leafOf({ id, type = '', wasFloat, isCollated }: DeltaColumn, index: number): Leaf {
  const { kind = '', scale = 0 } = primitiveType(type) ?? {};
  return { index, id, bounds: isCollated ? NO_BOUNDS : (BOUNDS[kind] ?? NO_BOUNDS), scale, wasFloat };
}
