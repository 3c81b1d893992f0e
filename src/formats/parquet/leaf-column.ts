import type { ParquetFooter, SchemaNode } from './footer.ts';

/** A leaf of a file's schema. */
export interface LeafColumn {
  leaf: SchemaNode;
  /** Index of its chunk in each row group. */
  index: number;
  /** Names from the root on. */
  path: readonly string[];
  /** Definition level from which the innermost list that has the leaf has an element; 0 if it is in no list. */
  repeatedLevel: number;
}

/** The leaves below a node of the schema, by the names from the root to the node. Empty if there is none. */
export function leafColumns({ schema, leaves }: ParquetFooter, path: readonly string[]): LeafColumn[] {
  let node: SchemaNode | undefined = schema;
  let repeatedLevel = 0;
  for (const name of path) {
    node = node.children.find((child) => child.name === name);
    if (node === undefined) return [];
    if (node.repetition === 'REPEATED') repeatedLevel = node.maxDefinitionLevel;
  }
  const found: LeafColumn[] = [];
  const collect = (at: SchemaNode, names: readonly string[], level: number) => {
    if (at.type !== undefined) found.push({ leaf: at, index: leaves.indexOf(at), path: names, repeatedLevel: level });
    for (const child of at.children) {
      collect(child, [...names, child.name], child.repetition === 'REPEATED' ? child.maxDefinitionLevel : level);
    }
  };
  collect(node, path, repeatedLevel);
  return found;
}
