import { checkJson } from '../json/scan-json.ts';
import type { ParquetFooter, SchemaNode } from './footer.ts';

/** Maps column names to a field (Iceberg spec, appendix C, "Name Mapping Serialization"). */
export interface MappedField {
  'field-id'?: number;
  names?: string[];
  fields?: MappedField[];
}

/** The table property that contains the name mapping. */
export const NAME_MAPPING = 'schema.name-mapping.default';

/** A column has five values. */
const MAX_VALUES = 500_000;

/** @returns undefined if the table has no name mapping or an invalid one */
export function parseNameMapping(json: string | undefined): MappedField[] | undefined {
  if (json === undefined) return undefined;
  try {
    checkJson(Buffer.from(json), 'the name mapping', MAX_VALUES);
    const mapping: unknown = JSON.parse(json);
    return Array.isArray(mapping) ? (mapping as MappedField[]) : undefined;
  } catch {
    return undefined;
  }
}

/**
 * The field id of each leaf column (Iceberg spec, "Column Projection"): from the file, or from the name mapping if the file has no ids at all.
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

/** @param name the mapping's name of the field: `element` in lists, `key` and `value` in maps, whatever the file's names are */
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
    // In two-level lists the repeated field is the element itself (Parquet's LogicalTypes.md, "Lists").
    const element = repeated.children.length === 1 ? (repeated.children[0] as SchemaNode) : repeated;
    map(element, 'element', fields, ids);
  } else {
    for (const child of node.children) map(child, child.name, fields, ids);
  }
}
