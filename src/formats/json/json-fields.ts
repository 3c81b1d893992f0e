import { truncate } from '../../text.ts';
import { MalformedError } from '../malformed.ts';
import { integerValue, isPlainString, losslessJson } from './lossless-json.ts';

/** Whether errors contain the value that was found, or only its JSON type, for documents that may contain credentials. */
export type FoundValues = 'shown' | 'withheld';

/**
 * Reads the fields of a JSON object and checks their types. A null field counts as absent.
 *
 * Every method throws a `MalformedError` that contains the field's path and what was found.
 */
export class JsonFields {
  readonly raw: Readonly<Record<string, unknown>>;
  readonly #path: string;
  readonly #values: FoundValues;

  constructor(value: unknown, path = '', values: FoundValues = 'shown') {
    if (typeof value !== 'object' || value === null || Array.isArray(value)) {
      throw unexpectedValue(path === '' ? 'the document' : path, 'an object', value, values);
    }
    this.raw = value as Record<string, unknown>;
    this.#path = path;
    this.#values = values;
  }

  has(name: string): boolean {
    return Object.hasOwn(this.raw, name) && this.raw[name] !== null && this.raw[name] !== undefined;
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
    const fields = this.object(name);
    // Without a prototype, so that __proto__ is an ordinary key.
    const map: Record<string, string> = Object.create(null);
    for (const key of Object.keys(fields.raw)) if (fields.has(key)) map[key] = fields.string(key);
    return map;
  }

  /** An object whose values are objects, as key-value pairs; empty if the field is absent. */
  entries(name: string): [string, JsonFields][] {
    if (!this.has(name)) return [];
    const fields = this.object(name);
    return Object.keys(fields.raw).map((key) => [key, fields.object(key)]);
  }

  #array(name: string): unknown[] {
    if (!this.has(name)) return [];
    const value = this.raw[name];
    if (!Array.isArray(value)) throw this.#unexpected(this.#pathOf(name), 'a list', value);
    return value;
  }

  /** Ignores the prototype: `constructor`, for example, is absent unless the document contains it. */
  #value(name: string): unknown {
    return Object.hasOwn(this.raw, name) ? this.raw[name] : undefined;
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
  if (Array.isArray(found)) return 'a list';
  if (isPlainString(found)) return 'a string';
  if (typeof found === 'boolean') return 'a boolean';
  return typeof found === 'object' && integerValue(found) === undefined ? 'an object' : 'a number';
}
