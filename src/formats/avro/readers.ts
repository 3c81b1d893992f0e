import { MalformedError } from '../malformed.ts';
import type { AvroCursor } from './cursor.ts';
import { type AvroField, type AvroType, withoutNull } from './schema.ts';

/** Reads one value at the cursor. */
export type Read<T> = (cursor: AvroCursor) => T;

/** Reads one field's value into the target. */
export type FieldReader<T> = (cursor: AvroCursor, target: T) => void;

/** The known fields of a record, found by Iceberg's ids, or by the spec's names if the writer omits the ids. */
export type FieldTable<T> = readonly {
  id: number;
  /** The spec's current and former names. */
  names: readonly string[];
  /** @throws MalformedError if the field cannot have this type */
  reader(type: AvroType): FieldReader<T>;
}[];

/**
 * Returns a reader of records. It reads the fields in the writer's order and skips those that are not in the table.
 *
 * @param required ids of fields that the schema must contain
 * @throws MalformedError if the type is not such a record
 */
export function recordReader<T>(type: AvroType, table: FieldTable<T>, required: readonly number[]): FieldReader<T> {
  if (type.kind !== 'record') throw new MalformedError(`its Avro schema is ${type.kind}; expected a record`);
  const seen = new Set<number>();
  const readers = type.fields.map((field): FieldReader<T> => {
    const known = find(field, table);
    if (known === undefined) return skipper(field.type);
    seen.add(known.id);
    try {
      return known.reader(field.type);
    } catch (error) {
      if (!(error instanceof MalformedError)) throw error;
      throw new MalformedError(`field ${field.name} (${known.id}): ${error.message}`);
    }
  });
  const missing = table.filter(({ id }) => required.includes(id) && !seen.has(id));
  if (missing.length > 0) {
    throw new MalformedError(`its Avro schema has no field ${missing.map(({ id, names }) => `${names[0]} (${id})`)}`);
  }
  return (cursor, target) => {
    for (let i = 0; i < readers.length; i++) (readers[i] as FieldReader<T>)(cursor, target);
  };
}

function find<T>(field: AvroField, table: FieldTable<T>): FieldTable<T>[number] | undefined {
  if (field.id !== undefined) return table.find((entry) => entry.id === field.id);
  return table.find((entry) => entry.names.includes(field.name));
}

/** Returns a reader of the value, or of undefined if the union's branch is null. */
export function optional<T>(type: AvroType, make: (type: AvroType) => Read<T>): Read<T | undefined> {
  const { type: inner, nullBranch } = withoutNull(type);
  if (inner.kind === 'null') return () => undefined;
  const read = make(inner);
  if (type.kind !== 'union') return read;
  const branches = type.branches.length;
  return (cursor) => {
    const branch = cursor.readLong();
    if (branch === nullBranch) return undefined;
    if (branch < 0 || branch >= branches) throw noBranch(branch);
    return read(cursor);
  };
}

export function longReader(type: AvroType): Read<number> {
  requireKind(type, 'int', 'long');
  return (cursor) => cursor.readLong();
}

/** Returns a reader of 64-bit longs. It keeps the last bigint, because snapshot ids repeat from entry to entry. */
export function bigLongReader(type: AvroType): Read<bigint> {
  requireKind(type, 'int', 'long');
  let low = 0;
  let high = 0;
  let value = 0n;
  return (cursor) => {
    cursor.readLongParts();
    if (cursor.low !== low || cursor.high !== high) {
      low = cursor.low;
      high = cursor.high;
      value = (BigInt(high) << 32n) | BigInt(low >>> 0);
    }
    return value;
  };
}

export function stringReader(type: AvroType): Read<string> {
  requireKind(type, 'string', 'bytes');
  return (cursor) => cursor.readString();
}

export function longsReader(type: AvroType): Read<number[]> {
  if (type.kind !== 'array') throw wrongKind(type, ['array']);
  const items = withoutNull(type.items);
  requireKind(items.type, 'int', 'long');
  const nullable = type.items.kind === 'union';
  return (cursor) => {
    const values: number[] = [];
    for (let count = cursor.readBlockCount(); count > 0; count = cursor.readBlockCount()) {
      for (; count > 0; count--) {
        if (nullable && cursor.readLong() === items.nullBranch) continue;
        values.push(cursor.readLong());
      }
    }
    return values;
  };
}

/** Returns a reader that skips a value of any type. */
export function skipper(type: AvroType): Read<void> {
  switch (type.kind) {
    case 'null':
      return () => {};
    case 'boolean':
      return (cursor) => {
        cursor.position += 1;
      };
    case 'int':
    case 'long':
    case 'enum':
      return (cursor) => cursor.skipLong();
    case 'float':
      return (cursor) => {
        cursor.position += 4;
      };
    case 'double':
      return (cursor) => {
        cursor.position += 8;
      };
    case 'bytes':
    case 'string':
      return (cursor) => cursor.skipBytes();
    case 'fixed':
      return (cursor) => {
        cursor.take(type.size);
      };
    case 'record': {
      const fields = type.fields.map((field) => skipper(field.type));
      return (cursor) => {
        for (const skip of fields) skip(cursor);
      };
    }
    case 'array':
    case 'map': {
      const skipItem = skipper(type.kind === 'array' ? type.items : type.values);
      const isMap = type.kind === 'map';
      return (cursor) => {
        for (let count = cursor.readBlockCount(); count > 0; count = cursor.readBlockCount()) {
          for (; count > 0; count--) {
            const before = cursor.position;
            if (isMap) cursor.skipBytes();
            skipItem(cursor);
            if (cursor.position === before) throw new MalformedError('an Avro array or map has items without bytes');
          }
          cursor.requireInside();
        }
      };
    }
    case 'union': {
      const branches = type.branches.map(skipper);
      return (cursor) => {
        const branch = cursor.readLong();
        const skip = branches[branch];
        if (skip === undefined) throw noBranch(branch);
        skip(cursor);
      };
    }
  }
}

export function requireKind(type: AvroType, ...kinds: AvroType['kind'][]): void {
  if (!kinds.includes(type.kind)) throw wrongKind(type, kinds);
}

export function wrongKind(type: AvroType, kinds: readonly string[]): MalformedError {
  return new MalformedError(`its type is ${type.kind}; expected ${kinds.join(' or ')}`);
}

function noBranch(branch: number): MalformedError {
  return new MalformedError(`an Avro union has no branch ${branch}`);
}
