import { truncate } from '../../text.ts';
import { LimitError, MalformedError } from '../malformed.ts';
import { JsonPart } from './json-part.ts';
import { integerValue, isPlainString, losslessJson } from './lossless-json.ts';

/** Whether errors contain the value that was found, or only its JSON type, for documents that may contain credentials. */
export type FoundValues = 'shown' | 'withheld';

/** Entries of a large list or object that are read. Iceberg's metadata has a few in most lists, and thousands of snapshots and tags. */
const MAX_ENTRIES = 250_000;
/** Fields of a large object whose fields have names that the reader knows. */
const MAX_FIELDS = 10_000;
/** A pause is possible after this many entries of a large list, and after each that is large itself. */
const PAUSE_ENTRIES = 64;

/**
 * Reads the fields of a JSON object and checks their types. A null field counts as absent. Of a large document (`JsonPart`), only the fields
 * that are read are parsed.
 *
 * Every method throws a `MalformedError` that contains the field's path and what was found, or a `LimitError`.
 */
export class JsonFields {
  readonly #object: Readonly<Record<string, unknown>>;
  readonly #part?: JsonPart;
  readonly #path: string;
  readonly #values: FoundValues;

  /** @param value a result of `parseLosslessJson` or `openJson` */
  constructor(value: unknown, path = '', values: FoundValues = 'shown') {
    const part = value instanceof JsonPart ? value : undefined;
    if (typeof value !== 'object' || value === null || Array.isArray(value) || part?.isObject === false) {
      throw unexpectedValue(path === '' ? 'the document' : path, 'an object', value, values);
    }
    this.#part = part;
    this.#path = path;
    this.#values = values;
    this.#object = part === undefined ? (value as Record<string, unknown>) : this.#members(part);
  }

  /** The whole object, as `parseLosslessJson` returns it. */
  get raw(): Readonly<Record<string, unknown>> {
    return (this.#part?.parsed(this.#path || 'the document') as Record<string, unknown> | undefined) ?? this.#object;
  }

  /** The field's value as it is: a part, if it is large. Undefined if it is absent. */
  value(name: string): unknown {
    return this.#value(name);
  }

  has(name: string): boolean {
    const value = this.#value(name);
    return value !== null && value !== undefined;
  }

  string(name: string): string {
    const value = this.#value(name);
    if (!isPlainString(value)) throw this.#unexpected(this.#pathOf(name), 'a string', value);
    return value;
  }

  optionalString(name: string): string | undefined {
    return this.has(name) ? this.string(name) : undefined;
  }

  /** An integer that a JavaScript number represents exactly. */
  integer(name: string): number {
    const value = integerValue(this.#value(name));
    if (value === undefined || value > BigInt(Number.MAX_SAFE_INTEGER) || value < BigInt(Number.MIN_SAFE_INTEGER)) {
      throw this.#unexpected(this.#pathOf(name), 'an integer below 2^53', this.#value(name));
    }
    return Number(value);
  }

  optionalInteger(name: string): number | undefined {
    return this.has(name) ? this.integer(name) : undefined;
  }

  /** A field, schema, spec or version number. */
  int32(name: string): number {
    const value = this.integer(name);
    if (value !== (value | 0)) throw this.#unexpected(this.#pathOf(name), 'a 32-bit integer', value);
    return value;
  }

  /** A 64-bit integer. */
  long(name: string): bigint {
    const value = integerValue(this.#value(name));
    if (value === undefined || BigInt.asIntN(64, value) !== value) {
      throw this.#unexpected(this.#pathOf(name), 'a 64-bit integer', this.#value(name));
    }
    return value;
  }

  optionalLong(name: string): bigint | undefined {
    return this.has(name) ? this.long(name) : undefined;
  }

  object(name: string): JsonFields {
    return new JsonFields(this.#value(name), this.#pathOf(name), this.#values);
  }

  /** Reads each object of an array, one at a time; empty if the field is absent. */
  *each<T>(name: string, read: (fields: JsonFields, index: number) => T): Generator<void, T[]> {
    return yield* this.eachValue(name, (value, index) =>
      read(new JsonFields(value, `${this.#pathOf(name)}[${index}]`, this.#values), index),
    );
  }

  /** The same for an array of any values. */
  *eachValue<T>(name: string, read: (value: unknown, index: number) => T): Generator<void, T[]> {
    const list = this.#value(name);
    if (!(list instanceof JsonPart && list.isArray)) return this.#array(name).map(read);
    const all: T[] = [];
    for (const { part } of list.children()) {
      all.push(read(part.value(`${this.#pathOf(name)}[${all.length}]`), all.length));
      if (all.length % PAUSE_ENTRIES === 0 || part.isLarge) yield;
      this.#limitEntries(name, all.length);
    }
    return all;
  }

  /** Whether the field is an array. */
  hasList(name: string): boolean {
    const value = this.#value(name);
    return Array.isArray(value) || (value instanceof JsonPart && value.isArray);
  }

  /** Reads each object that is a value of an object, one at a time; empty if the field is absent. */
  *eachEntry<T>(name: string, read: (key: string, fields: JsonFields) => T): Generator<void, T[]> {
    if (!this.has(name)) return [];
    const object = this.#value(name);
    if (!(object instanceof JsonPart && object.isObject)) {
      const fields = this.object(name);
      return Object.keys(fields.#object).map((key) => read(key, fields.object(key)));
    }
    const all = new Map<string, T>();
    for (const { key, part } of object.children()) {
      const path = `${this.#pathOf(name)}.${key}`;
      all.set(key, read(key, new JsonFields(part.value(path), path, this.#values)));
      if (all.size % PAUSE_ENTRIES === 0 || part.isLarge) yield;
      this.#limitEntries(name, all.size);
    }
    return [...all.values()];
  }

  /** An array of objects; empty if the field is absent. */
  objects(name: string): JsonFields[] {
    return this.#array(name).map(
      (value, index) => new JsonFields(value, `${this.#pathOf(name)}[${index}]`, this.#values),
    );
  }

  strings(name: string): string[] {
    return this.#array(name).map((value, index) => {
      if (!isPlainString(value)) throw this.#unexpected(`${this.#pathOf(name)}[${index}]`, 'a string', value);
      return value;
    });
  }

  int32s(name: string): number[] {
    return this.#array(name).map((value, index) => {
      if (typeof value !== 'number' || value !== (value | 0)) {
        throw this.#unexpected(`${this.#pathOf(name)}[${index}]`, 'a 32-bit integer', value);
      }
      return value;
    });
  }

  /** An object whose values are strings, without those that are null; empty if the field is absent. */
  stringMap(name: string): Record<string, string> {
    if (!this.has(name)) return {};
    // Without a prototype, so that __proto__ is an ordinary key.
    const map: Record<string, string> = Object.create(null);
    const object = this.#value(name);
    if (object instanceof JsonPart && object.isObject) {
      let count = 0;
      for (const { key, part } of object.children()) {
        const path = `${this.#pathOf(name)}.${key}`;
        const value = part.value(path);
        if (value === null) delete map[key];
        else if (isPlainString(value)) map[key] = value;
        else throw this.#unexpected(path, 'a string', value);
        this.#limitEntries(name, ++count);
      }
      return map;
    }
    const fields = this.object(name);
    for (const key of Object.keys(fields.#object)) if (fields.has(key)) map[key] = fields.string(key);
    return map;
  }

  #array(name: string): unknown[] {
    if (!this.has(name)) return [];
    const found = this.#value(name);
    const value = found instanceof JsonPart && found.isArray ? found.parsed(this.#pathOf(name)) : found;
    if (!Array.isArray(value)) throw this.#unexpected(this.#pathOf(name), 'a list', value);
    return value;
  }

  /** Ignores the prototype: `constructor`, for example, is absent unless the document contains it. */
  #value(name: string): unknown {
    const value = Object.hasOwn(this.#object, name) ? this.#object[name] : undefined;
    return value instanceof JsonPart ? value.value(this.#pathOf(name)) : value;
  }

  /** The members of a large object, none of them parsed. */
  #members(part: JsonPart): Record<string, unknown> {
    const members: Record<string, unknown> = Object.create(null);
    let count = 0;
    for (const { key, part: member } of part.children()) {
      members[key] = member;
      if (++count > MAX_FIELDS) {
        throw new LimitError(
          `${this.#path || 'the document'} has more than ${MAX_FIELDS.toLocaleString('en-US')} fields`,
        );
      }
    }
    return members;
  }

  #limitEntries(name: string, count: number): void {
    if (count <= MAX_ENTRIES) return;
    throw new LimitError(
      `${this.#pathOf(name)} has more than ${MAX_ENTRIES.toLocaleString('en-US')} entries, which is the limit`,
    );
  }

  #unexpected(field: string, expected: string, found: unknown): MalformedError {
    return unexpectedValue(field, expected, found, this.#values);
  }

  #pathOf(name: string): string {
    return this.#path === '' ? name : `${this.#path}.${name}`;
  }
}

export function unexpectedValue(
  field: string,
  expected: string,
  found: unknown,
  values: FoundValues = 'shown',
): MalformedError {
  const text = values === 'shown' ? excerptOf(found) : jsonType(found);
  return new MalformedError(`${field.slice(0, 200)} should be ${expected} but is ${text}`);
}

function excerptOf(found: unknown): string {
  if (found instanceof JsonPart) return truncate(found.excerpt(400), 100);
  let text: string;
  try {
    text = found === undefined ? 'missing' : losslessJson(found);
  } catch {
    text = 'too deeply nested to show';
  }
  return truncate(text, 100);
}

function jsonType(found: unknown): string {
  if (found === undefined) return 'missing';
  if (found === null) return 'null';
  if (Array.isArray(found) || (found instanceof JsonPart && found.isArray)) return 'a list';
  if (isPlainString(found)) return 'a string';
  if (typeof found === 'boolean') return 'a boolean';
  return typeof found === 'object' && integerValue(found) === undefined ? 'an object' : 'a number';
}
