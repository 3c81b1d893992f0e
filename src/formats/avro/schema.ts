import { LruCache } from '../../storage/lru-cache.ts';
import { checkJson } from '../json/scan-json.ts';
import { MalformedError } from '../malformed.ts';

/** A writer's schema (Avro spec, "Schema Declaration"), with references to names resolved. */
export type AvroType =
  | ({ kind: 'null' | 'boolean' | 'int' | 'long' | 'float' | 'double' | 'bytes' | 'string' } & Annotations)
  | ({ kind: 'fixed'; size: number } & Annotations)
  | { kind: 'enum' }
  | { kind: 'record'; fields: AvroField[] }
  | { kind: 'array'; items: AvroType }
  | { kind: 'map'; values: AvroType }
  | { kind: 'union'; branches: AvroType[] };

/** What a value means (Avro spec, "Logical Types"; Iceberg spec, appendix A, "Avro"). Anything may be in there: it is only a hint. */
export interface Annotations {
  logicalType?: string;
  /** A decimal's number of digits, and how many of them come after the decimal point. */
  precision?: unknown;
  scale?: unknown;
  /** Whether a timestamp has a time zone. */
  'adjust-to-utc'?: unknown;
}

export interface AvroField {
  name: string;
  /** Iceberg's field id (Iceberg spec, appendix A, "Avro": `field-id`). */
  id?: number;
  type: AvroType;
}

/**
 * Maximum types in a schema, where a named type counts at each reference. Manifests have about a hundred, plus one per partition field. The
 * limit is needed because names that refer to names can expand exponentially.
 */
const MAX_TYPES = 10_000;
/** JSON values in a schema: a type with all that Iceberg's writers state about it has about ten, besides its documentation. */
const MAX_VALUES = 300_000;
/** Iceberg's metadata nests five levels. The limit prevents a stack overflow. */
const MAX_DEPTH = 100;

const PRIMITIVES: ReadonlySet<unknown> = new Set([
  'null',
  'boolean',
  'int',
  'long',
  'float',
  'double',
  'bytes',
  'string',
]);

type Json = Record<string, unknown>;

/** Schemas repeat: manifest lists share one, and most manifests do. Parsing a schema costs more than reading a short file. */
const schemaCache = new LruCache<string, AvroType>(64);
/** Maximum length of a cached schema. */
const MAX_CACHED_LENGTH = 64 * 1024;

/** @throws MalformedError if it is not an Avro schema, or is recursive, which Iceberg's schemas never are */
export function parseAvroSchema(json: string): AvroType {
  const known = schemaCache.get(json);
  if (known !== undefined) return known;
  const type = parseUncached(json);
  if (json.length <= MAX_CACHED_LENGTH) schemaCache.set(json, type);
  return type;
}

function parseUncached(json: string): AvroType {
  if (json.length > MAX_CACHED_LENGTH) checkJson(Buffer.from(json), 'its Avro schema', MAX_VALUES);
  let schema: unknown;
  try {
    schema = JSON.parse(json);
  } catch (cause) {
    throw new MalformedError(`its Avro schema is not JSON: ${(cause as Error).message}`);
  }
  const named = new Map<string, { type: AvroType; size: number }>();
  let size = 0;

  function count(types: number): void {
    size += types;
    if (size > MAX_TYPES) throw new MalformedError(`its Avro schema expands to more than ${MAX_TYPES} types`);
  }

  function parse(node: unknown, namespace: string, depth: number): AvroType {
    if (depth > MAX_DEPTH) throw new MalformedError(`its Avro schema nests more than ${MAX_DEPTH} levels`);
    count(1);
    if (typeof node === 'string') return reference(node, namespace);
    if (Array.isArray(node)) {
      const branches = node.map((branch) => parse(branch, namespace, depth + 1));
      if (branches.length === 0) throw new MalformedError('its Avro schema has an empty union');
      return { kind: 'union', branches };
    }
    if (typeof node !== 'object' || node === null) throw unknownType(node);
    return complex(node as Json, namespace, depth);
  }

  function reference(name: string, namespace: string): AvroType {
    if (PRIMITIVES.has(name)) return { kind: name } as AvroType;
    const known = named.get(qualified(name, namespace)) ?? named.get(name);
    if (known === undefined) throw unknownType(name);
    count(known.size);
    return known.type;
  }

  function complex(node: Json, namespace: string, depth: number): AvroType {
    const annotations = annotationsOf(node);
    switch (node.type) {
      case 'record':
        return define(node, namespace, (inner) => ({ kind: 'record', fields: fields(node, inner, depth) }));
      case 'fixed': {
        const length = node.size;
        if (typeof length !== 'number' || !Number.isSafeInteger(length) || length < 0) {
          throw new MalformedError(`its Avro schema has a fixed of size ${JSON.stringify(length)}`);
        }
        return define(node, namespace, () => ({ kind: 'fixed', size: length, ...annotations }));
      }
      case 'enum':
        return define(node, namespace, () => ({ kind: 'enum' }));
      case 'array':
        return { kind: 'array', items: parse(node.items, namespace, depth + 1) };
      case 'map':
        return { kind: 'map', values: parse(node.values, namespace, depth + 1) };
      default: {
        if (PRIMITIVES.has(node.type)) return { kind: node.type, ...annotations } as AvroType;
        return parse(node.type, namespace, depth + 1);
      }
    }
  }

  /** Defines a named type. It is registered only when it is complete, so that it cannot refer to itself. */
  function define(node: Json, namespace: string, make: (namespace: string) => AvroType): AvroType {
    if (typeof node.name !== 'string') throw new MalformedError('its Avro schema has a named type without a name');
    const ownNamespace = typeof node.namespace === 'string' ? node.namespace : namespace;
    const name = qualified(node.name, ownNamespace);
    const before = size;
    const type = make(name.includes('.') ? name.slice(0, name.lastIndexOf('.')) : '');
    named.set(name, { type, size: size - before + 1 });
    return type;
  }

  function fields(node: Json, namespace: string, depth: number): AvroField[] {
    if (!Array.isArray(node.fields)) throw new MalformedError('its Avro schema has a record without fields');
    return (node.fields as unknown[]).map((field) => {
      if (typeof field !== 'object' || field === null)
        throw new MalformedError('its Avro schema has a field that is not an object');
      const { name, type, 'field-id': id } = field as Json;
      if (typeof name !== 'string') throw new MalformedError('its Avro schema has a field without a name');
      const parsed: AvroField = { name, type: parse(type, namespace, depth + 1) };
      if (typeof id === 'number') parsed.id = id;
      return parsed;
    });
  }

  return parse(schema, '', 0);
}

/** The type without null, and the union's branch for null (-1 if there is none). */
export function withoutNull(type: AvroType): { type: AvroType; nullBranch: number } {
  if (type.kind !== 'union') return { type, nullBranch: -1 };
  const nullBranch = type.branches.findIndex((branch) => branch.kind === 'null');
  const others = type.branches.filter((branch) => branch.kind !== 'null');
  if (others.length === 0) return { type: { kind: 'null' }, nullBranch: -1 };
  if (others.length > 1 || type.branches.length > 2) {
    throw new MalformedError('its Avro schema has a union of more than null and one type, which Iceberg does not use');
  }
  return { type: others[0] as AvroType, nullBranch };
}

function qualified(name: string, namespace: string): string {
  return name.includes('.') || namespace === '' ? name : `${namespace}.${name}`;
}

function annotationsOf({ logicalType, precision, scale, 'adjust-to-utc': adjustToUtc }: Json): Annotations {
  if (typeof logicalType !== 'string') return {};
  return { logicalType, precision, scale, 'adjust-to-utc': adjustToUtc };
}

function unknownType(type: unknown): MalformedError {
  return new MalformedError(
    `its Avro schema has the unknown type ${(JSON.stringify(type) ?? 'nothing').slice(0, 100)}`,
  );
}
