import type { ParquetFooter, SchemaNode } from './footer.ts';

/** What names stand for which field (Iceberg spec, appendix C, "Name Mapping Serialization"). */
export interface MappedField {
  'field-id'?: number;
  names?: string[];
  fields?: MappedField[];
}

/** The table property that holds it. */
export const NAME_MAPPING = 'schema.name-mapping.default';

/** @returns undefined where there is none, or one that cannot be read */
export function parseNameMapping(json: string | undefined): MappedField[] | undefined {
  if (json === undefined) return undefined;
  try {
    const mapping: unknown = JSON.parse(json);
    return Array.isArray(mapping) ? (mapping as MappedField[]) : undefined;
  } catch {
    return undefined;
  }
}

/**
 * The field id of each leaf column (Iceberg spec, "Column Projection"): as the file says it; in a file that has no ids at all,
 * as the name mapping says.
 */
export function fieldIds(
  { schema, leaves }: ParquetFooter,
  mapping: MappedField[] | undefined,
): (number | undefined)[] {
  if (hasIds(schema)) return leaves.map((leaf) => leaf.fieldId);
  const ids = new Map<SchemaNode, number>();
  if (mapping !== undefined) for (const child of schema.children) map(child, child.name, mapping, ids);
  return leaves.map((leaf) => ids.get(leaf));
}

function hasIds(node: SchemaNode): boolean {
  return node.fieldId !== undefined || node.children.some(hasIds);
}

/** @param name as the mapping calls the field: lists have `element`, maps `key` and `value`, whatever the file calls them */
function map(node: SchemaNode, name: string, siblings: readonly MappedField[], ids: Map<SchemaNode, number>): void {
  const field = siblings.find((candidate) => Array.isArray(candidate?.names) && candidate.names.includes(name));
  if (field === undefined) return;
  if (node.type !== undefined) {
    if (Number.isInteger(field['field-id'])) ids.set(node, field['field-id'] as number);
    return;
  }
  const fields = Array.isArray(field.fields) ? field.fields : [];
  const repeated = node.children[0];
  if (node.isMap && repeated?.repetition === 'REPEATED') {
    for (const [index, child] of repeated.children.entries()) map(child, index === 0 ? 'key' : 'value', fields, ids);
  } else if (node.isList && repeated?.repetition === 'REPEATED') {
    // Two levels where the repeated field is the element itself (Parquet's LogicalTypes.md, "Lists").
    const element = repeated.children.length === 1 ? (repeated.children[0] as SchemaNode) : repeated;
    map(element, 'element', fields, ids);
  } else {
    for (const child of node.children) map(child, child.name, fields, ids);
  }
}
