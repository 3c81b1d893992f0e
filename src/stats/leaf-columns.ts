import { CodedError } from '../errors.ts';
import { canonicalTypeName } from './primitive-type.ts';

/** A column that contains values: a primitive field of the table, or of a struct, list or map in it. */
export interface LeafColumn {
  /** Field id. */
  id: number;
  /** Dotted path from the table's root; list elements are called `element`, map entries `key` and `value`. */
  name: string;
  /** Iceberg type name in canonical form, such as `decimal(9, 2)`. */
  type: string;
  /** Whether the field itself is required; the structs around it may still be optional. */
  required: boolean;
}

/** No real table nests deeper. The limit prevents a stack overflow. */
const MAX_DEPTH = 500;

/** A field and the index range of the leaves that it contains. */
interface Node {
  id: number;
  path: string;
  from: number;
  to: number;
}

/**
 * The leaf columns of a schema, in the schema's order.
 *
 * @param schemaJson a struct in Iceberg's JSON serialization (spec, appendix C, "Schemas"), including v3 types
 * @throws CodedError `DATA_LOSS` that names the field, if the JSON is not such a schema
 */
export function leafColumns(schemaJson: string): LeafColumn[] {
  return walk(schemaJson).leaves;
}

/**
 * The leaf columns that the selectors name, in the schema's order and without duplicates; every leaf if there are no selectors.
 *
 * @param selectors names, dotted paths or `#id`. A struct, list or map selects all its leaves. Names are tried first, because a column's
 *   name can start with `#`.
 * @throws CodedError `INVALID_ARGUMENT` that lists the columns, if a selector matches none
 */
export function selectColumns(schemaJson: string, selectors: readonly string[]): LeafColumn[] {
  const { leaves, nodes } = walk(schemaJson);
  if (selectors.length === 0) return leaves;
  const chosen = new Set<number>();
  for (const selector of selectors) {
    const id = /^#(\d{1,10})$/.exec(selector);
    const node =
      nodes.find((candidate) => candidate.path === selector) ??
      (id ? nodes.find((candidate) => candidate.id === Number(id[1])) : undefined);
    if (node === undefined) throw unknownSelector(selector, nodes);
    for (let index = node.from; index < node.to; index++) chosen.add(index);
  }
  return leaves.filter((_, index) => chosen.has(index));
}

function unknownSelector(selector: string, nodes: readonly Node[]): CodedError {
  const max = 20;
  const named = nodes.slice(0, max).map((node) => `${node.path} (#${node.id})`);
  const rest = nodes.length > max ? ` and ${nodes.length - max} more` : '';
  const columns = named.length > 0 ? `it has ${named.join(', ')}${rest}` : 'it has no columns';
  return new CodedError(
    'INVALID_ARGUMENT',
    `column selector ${JSON.stringify(selector)} matches no column of the schema; ${columns}. ` +
      'Use a name, a dotted path or #id.',
  );
}

function walk(schemaJson: string): { leaves: LeafColumn[]; nodes: Node[] } {
  let schema: unknown;
  try {
    schema = JSON.parse(schemaJson);
  } catch (cause) {
    throw new CodedError('DATA_LOSS', `table schema is not JSON: ${(cause as Error).message}`, { cause });
  }
  const leaves: LeafColumn[] = [];
  const nodes: Node[] = [];
  const ids = new Set<number>();

  function visit(id: unknown, path: string, required: unknown, type: unknown, depth: number): void {
    if (typeof id !== 'number' || !Number.isInteger(id)) throw invalidSchema(path, 'an integer field id', id);
    if (ids.has(id)) throw invalidSchema(path, 'a field id of its own', id);
    ids.add(id);
    const node = { id, path, from: leaves.length, to: leaves.length };
    nodes.push(node);
    if (typeof type === 'string') {
      leaves.push({ id, name: path, type: canonicalTypeName(type), required: required === true });
    } else {
      visitNested(path, type, depth);
    }
    node.to = leaves.length;
  }

  function visitNested(path: string, type: unknown, depth: number): void {
    if (depth > MAX_DEPTH) throw invalidSchema(path, `at most ${MAX_DEPTH} levels`, 'more');
    if (!isObject(type)) throw invalidSchema(path, 'a type', type);
    const below = path === '' ? '' : `${path}.`;
    if (type.type === 'struct') {
      if (!Array.isArray(type.fields)) throw invalidSchema(path, 'the fields of a struct', type.fields);
      for (const field of type.fields as unknown[]) {
        if (!isObject(field) || typeof field.name !== 'string') throw invalidSchema(path, 'a field with a name', field);
        visit(field.id, below + field.name, field.required, field.type, depth + 1);
      }
    } else if (type.type === 'list') {
      visit(type['element-id'], `${below}element`, type['element-required'], type.element, depth + 1);
    } else if (type.type === 'map') {
      visit(type['key-id'], `${below}key`, true, type.key, depth + 1);
      visit(type['value-id'], `${below}value`, type['value-required'], type.value, depth + 1);
    } else {
      throw invalidSchema(path, 'struct, list, map or the name of a primitive type', type.type);
    }
  }

  if (!isObject(schema) || !Array.isArray(schema.fields)) throw invalidSchema('', 'a struct with fields', schema);
  visitNested('', { type: 'struct', fields: schema.fields }, 0);
  return { leaves, nodes };
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}

function invalidSchema(path: string, expected: string, found: unknown): CodedError {
  const text = JSON.stringify(found) ?? 'nothing';
  const at = path === '' ? 'the table' : `column ${JSON.stringify(path.slice(0, 200))}`;
  return new CodedError('DATA_LOSS', `table schema: ${at} should have ${expected} but has ${text.slice(0, 100)}`);
}
