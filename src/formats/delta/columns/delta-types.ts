import { CodedError } from '../../../errors.ts';
import { canonicalTypeName } from '../../../stats/primitive-type.ts';

/** A column of Delta's schema (Delta protocol, "Schema Serialization Format"). */
export interface DeltaField {
  name: string;
  type: unknown;
  nullable: boolean;
  metadata: Readonly<Record<string, unknown>>;
}

export interface StructType {
  type: 'struct';
  fields: unknown[];
}
export interface ArrayType {
  type: 'array';
  elementType: unknown;
  containsNull?: unknown;
}
export interface MapType {
  type: 'map';
  keyType: unknown;
  valueType: unknown;
  valueContainsNull?: unknown;
}

/** Iceberg's names of Delta's primitive types ("Primitive Types"). Other names are the same, or of types that Iceberg does not have. */
const ICEBERG_TYPES: Readonly<Record<string, string>> = {
  byte: 'int',
  short: 'int',
  integer: 'int',
  timestamp: 'timestamptz',
  timestamp_ntz: 'timestamp',
  void: 'unknown',
};
/** `char(5)`, `varchar(20)` and `string collate UNICODE` are strings. */
const STRINGS = /^(?:(?:var)?char\(\d+\)|string collate .*)$/s;

/** The Iceberg type of a primitive type. A type that Iceberg does not have keeps its own name: its column has no bounds. */
export function icebergType(name: string): string {
  if (Object.hasOwn(ICEBERG_TYPES, name)) return ICEBERG_TYPES[name] as string;
  return STRINGS.test(name) ? 'string' : canonicalTypeName(name);
}

export function isStruct(type: unknown): type is StructType {
  return isObject(type) && type.type === 'struct' && Array.isArray(type.fields);
}

export function isArray(type: unknown): type is ArrayType {
  return isObject(type) && type.type === 'array' && 'elementType' in type;
}

export function isMap(type: unknown): type is MapType {
  return isObject(type) && type.type === 'map' && 'keyType' in type && 'valueType' in type;
}

/** @param path the struct's, for the message */
export function fieldsOf(struct: StructType, path: readonly string[]): DeltaField[] {
  return struct.fields.map((field) => {
    if (!isObject(field) || typeof field.name !== 'string') throw invalidColumn(path, 'a field with a name', field);
    if (typeof field.type !== 'string' && !isObject(field.type)) {
      throw invalidColumn([...path, field.name], 'a type', field.type);
    }
    return {
      name: field.name,
      type: field.type,
      nullable: field.nullable !== false,
      metadata: isObject(field.metadata) ? field.metadata : {},
    };
  });
}

/** @returns the struct type with the table's columns */
export function parseSchemaString(text: string): StructType {
  // Metadata of before the first schema has none.
  if (text === '') return { type: 'struct', fields: [] };
  let schema: unknown;
  try {
    schema = JSON.parse(text);
  } catch (cause) {
    throw new CodedError('DATA_LOSS', `the table's schema is not JSON: ${(cause as Error).message}`, { cause });
  }
  if (!isStruct(schema)) throw invalidColumn([], 'a struct with fields', schema);
  return schema;
}

export function invalidColumn(path: readonly string[], expected: string, found: unknown): CodedError {
  const text = (JSON.stringify(found) ?? 'nothing').slice(0, 100);
  return new CodedError('DATA_LOSS', `the table's schema: ${columnText(path)} should have ${expected} but has ${text}`);
}

/** @param path logical names */
export function columnText(path: readonly string[]): string {
  return path.length === 0 ? 'the table' : `column ${JSON.stringify(path.join('.').slice(0, 200))}`;
}

function isObject(value: unknown): value is Record<string, unknown> {
  return typeof value === 'object' && value !== null && !Array.isArray(value);
}
