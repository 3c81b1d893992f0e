import { CodedError } from '../../errors.ts';

/** One field of a request that is wrong: where (proto field names, dotted) and why. */
export interface FieldViolation {
  field: string;
  description: string;
}

/** INVALID_ARGUMENT with the fields at fault; the client gets them as a google.rpc.BadRequest too. */
export class InvalidRequest extends CodedError {
  readonly violations: readonly FieldViolation[];

  constructor(violations: readonly FieldViolation[]) {
    super('INVALID_ARGUMENT', violations.map(({ field, description }) => `${field}: ${description}`).join('; '));
    this.violations = violations;
  }
}

/** INVALID_ARGUMENT for one field. */
export function invalid(field: string, description: string): InvalidRequest {
  return new InvalidRequest([{ field, description }]);
}

/** The longest name of a namespace, table or view, in characters. */
export const MAX_NAME = 1024;
const MAX_MAP_ENTRIES = 1000;
const MAX_MAP_VALUE = 64 * 1024;

/** Gathers what is wrong with a request, so that one answer says all of it. */
export class Checks {
  readonly #violations: FieldViolation[] = [];

  /** Notes a violation unless `ok`. */
  that(ok: boolean, field: string, description: string): boolean {
    if (!ok) this.#violations.push({ field, description });
    return ok;
  }

  /** A text of `min` to `max` characters without NUL. */
  text(value: string, field: string, { min = 0, max = 4096 }: { min?: number; max?: number } = {}): boolean {
    if (value.length < min)
      return this.that(false, field, min === 1 ? 'is required' : `needs at least ${min} characters`);
    return (
      this.that(value.length <= max, field, `has ${value.length} characters, at most ${max} are allowed`) &&
      this.that(!value.includes('\0'), field, 'holds a NUL character')
    );
  }

  /** A name for people: no control characters in it. */
  name(value: string, field: string, max = MAX_NAME): boolean {
    return (
      this.text(value, field, { min: 1, max }) &&
      // biome-ignore lint/suspicious/noControlCharactersInRegex: they are what is looked for.
      this.that(!/[\u0000-\u001f\u007f]/.test(value), field, 'holds control characters')
    );
  }

  /** An id that names something stored. */
  id(value: string, field: string): boolean {
    return this.text(value, field, { min: 1, max: 512 });
  }

  /** A namespace path: no empty segment. */
  path(value: readonly string[], field: string, { min = 1 }: { min?: number } = {}): boolean {
    return (
      this.that(value.length >= min, field, 'is required') &&
      this.that(value.length <= 100, field, `has ${value.length} levels, at most 100 are allowed`) &&
      value.every((segment, index) => this.name(segment, `${field}[${index}]`))
    );
  }

  map(value: { [key: string]: string }, field: string): void {
    const entries = Object.entries(value);
    this.that(
      entries.length <= MAX_MAP_ENTRIES,
      field,
      `has ${entries.length} entries, at most ${MAX_MAP_ENTRIES} are allowed`,
    );
    for (const [key, text] of entries) {
      this.text(key, `${field} key`, { min: 1, max: 1024 });
      this.text(text, `${field}[${key.slice(0, 100)}]`, { max: MAX_MAP_VALUE });
    }
  }

  /** A count or size: 0 to 2^53-1, the integers that are exact in every client. */
  count(value: bigint, field: string): boolean {
    return this.that(
      value >= 0n && value <= BigInt(Number.MAX_SAFE_INTEGER),
      field,
      `${value} is not within 0 and ${Number.MAX_SAFE_INTEGER}`,
    );
  }

  timestamp(value: Date | undefined, field: string): boolean {
    return this.that(
      value === undefined || !Number.isNaN(value.getTime()),
      field,
      'is not within the years 0001 and 9999',
    );
  }

  /** @throws InvalidRequest if anything was noted. */
  done(): void {
    if (this.#violations.length > 0) throw new InvalidRequest(this.#violations);
  }
}

/**
 * @param ids by field name
 * @throws InvalidRequest for an id that is missing or malformed
 */
export function checkIds(ids: Record<string, string>): void {
  const checks = new Checks();
  for (const [field, id] of Object.entries(ids)) checks.id(id, field);
  checks.done();
}

/** The message that a request must have. */
export function required<T>(value: T | undefined, field: string): T {
  if (value === undefined) throw invalid(field, 'is required');
  return value;
}
