import { primitiveType } from '../../../stats/primitive-type.ts';
import { startsWith } from '../../json/json-bytes.ts';
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
  /** The scale of a decimal. */
  readonly scale: number;
  readonly wasFloat: boolean;
  /** Position among the partition's fields. Its statistics are derived from its value. */
  readonly partition?: number;
}

/** A struct, or the table itself. */
export class PlanNode {
  /** In the order of the schema, which is the order of most writers. */
  readonly children: readonly Child[];
  readonly #byName: ReadonlyMap<string, Child>;
  /** Open hash table of the children, so that a name is found without a string for it. */
  readonly #table: (Child | undefined)[];
  readonly #mask: number;

  constructor(children: readonly Child[]) {
    this.children = children;
    this.#byName = new Map(children.map((child) => [child.name, child]));
    let size = 4;
    while (size < children.length * 2) size *= 2;
    this.#table = new Array(size).fill(undefined);
    this.#mask = size - 1;
    for (const child of this.#byName.values()) {
      let slot = hashOf(child.key) & this.#mask;
      while (this.#table[slot] !== undefined) slot = (slot + 1) & this.#mask;
      this.#table[slot] = child;
    }
  }

  byName(name: string): Child | undefined {
    return this.#byName.get(name);
  }

  /** @param start of the name in escaped quotes; @param hash as for `find` */
  findEscaped(bytes: Buffer, start: number, hash: number): Child | undefined {
    let slot = hash & this.#mask;
    for (;;) {
      const child = this.#table[slot];
      if (child === undefined) return undefined;
      if (child.escapedKey !== undefined && startsWith(bytes, start, child.escapedKey)) return child;
      slot = (slot + 1) & this.#mask;
    }
  }

  /** @param start of the quoted name; @param hash of the name's bytes, as `addToHash` computes it */
  find(bytes: Buffer, start: number, hash: number): Child | undefined {
    let slot = hash & this.#mask;
    for (;;) {
      const child = this.#table[slot];
      if (child === undefined || isName(bytes, start, child.key)) return child;
      slot = (slot + 1) & this.#mask;
    }
  }
}

export interface Child {
  readonly name: string;
  /** The name in UTF-8 with what follows and precedes it in JSON: `"name":`. */
  readonly key: Buffer;
  /** The same within a JSON string, `\"name\":`. Absent if the name itself needs escapes. */
  readonly escapedKey?: Buffer;
  /** Position among the children of its struct. */
  readonly position: number;
  readonly leaf?: Leaf;
  readonly node?: PlanNode;
}

const NEEDS_ESCAPES = /["\\\p{Cc}]/u;

/** Random, so that nobody can choose names with equal hashes. */
const HASH_FACTOR = (Math.floor(Math.random() * 2 ** 20) << 1) | 1;

export const addToHash = (hash: number, byte: number) => (Math.imul(hash, HASH_FACTOR) + byte) | 0;

function hashOf(key: Buffer): number {
  return key.subarray(1, -2).reduce(addToHash, 0);
}

function isName(bytes: Buffer, start: number, key: Buffer): boolean {
  for (let i = 0; i < key.length - 1; i++) if (bytes[start + i] !== key[i]) return false;
  return true;
}

/** What is read of a file's statistics. */
export interface LeafPlan {
  readonly root: PlanNode;
  /** Sorted by id. */
  readonly leaves: readonly Leaf[];
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
  const leaves = selected.map((column, index) => leafOf(column, index, partitionColumns.indexOf(column)));
  const byColumn = new Map(selected.map((column, index) => [column, leaves[index] as Leaf]));
  const childOf = (column: DeltaColumn, position: number): Child => {
    const { physicalName: name, fields } = column;
    const leaf = byColumn.get(column);
    return {
      name,
      key: Buffer.from(`"${name}":`),
      ...(!NEEDS_ESCAPES.test(name) && { escapedKey: Buffer.from(`\\"${name}\\":`) }),
      position,
      leaf: leaf?.partition === undefined ? leaf : undefined,
      node: fields && new PlanNode(fields.map(childOf)),
    };
  };
  return {
    root: new PlanNode(columns.map(childOf)),
    leaves,
  };
}

function leafOf({ id, type = '', wasFloat, isCollated }: DeltaColumn, index: number, partition: number): Leaf {
  const { kind = '', scale = 0 } = primitiveType(type) ?? {};
  const bounds = isCollated ? NO_BOUNDS : (BOUNDS[kind] ?? NO_BOUNDS);
  return { index, id, bounds, scale, wasFloat, partition: partition < 0 ? undefined : partition };
}
