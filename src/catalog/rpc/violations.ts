import { CodedError } from '../../errors.ts';
import { escapeControls, isDeceptive } from '../../text.ts';

/** An invalid field of a request: its dotted path of proto field names, and what is wrong with it. */
export interface FieldViolation {
  field: string;
  description: string;
}

/** INVALID_ARGUMENT with the invalid fields, which the client also receives as a google.rpc.BadRequest. */
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
/** The longest path of a namespace, in characters: page tokens contain it. */
const MAX_PATH = 8192;
const MAX_MAP_ENTRIES = 1000;
const MAX_MAP_VALUE = 64 * 1024;
/** The largest catalog, namespace or connector. */
const MAX_RESOURCE_BYTES = 1024 * 1024;
const MIN_TIME = Date.parse('0001-01-01T00:00:00Z');
const MAX_TIME = Date.parse('9999-12-31T23:59:59.999Z');

/** Collects everything that is wrong with a request, so that one error reports all of it. */
export class Checks {
  readonly #violations: FieldViolation[] = [];

  /** Adds a violation unless `ok`. */
  that(ok: boolean, field: string, description: string): boolean {
    if (!ok) this.#violations.push({ field, description });
    return ok;
  }

  /** A text of `min` to `max` characters without NUL. */
  text(value: string, field: string, { min = 0, max = 4096 }: { min?: number; max?: number } = {}): boolean {
    if (value.length < min)
      return this.that(false, field, min === 1 ? 'is required' : `must have at least ${min} characters`);
    return (
      this.that(value.length <= max, field, `has ${value.length} characters, at most ${max} are allowed`) &&
      this.that(!value.includes('\0'), field, 'contains a NUL character')
    );
  }

  /** A list of up to `max` entries. */
  list(entries: readonly unknown[], field: string, max: number): boolean {
    return this.that(entries.length <= max, field, `has ${entries.length} entries, at most ${max} are allowed`);
  }

  /** A name that people choose: 1 to `max` characters, none of which makes it look like another name. */
  name(value: string, field: string, max = MAX_NAME): boolean {
    return (
      this.upstreamName(value, field, max) &&
      this.that(
        !isDeceptive(value),
        field,
        `contains characters that are not seen or change the direction of text: '${escapeControls(value)}'`,
      )
    );
  }

  /** A name that comes from an upstream, or selects one. It is kept as it is, since it would not be found under another one. */
  upstreamName(value: string, field: string, max = MAX_NAME): boolean {
    return (
      this.text(value, field, { min: 1, max }) &&
      // biome-ignore lint/suspicious/noControlCharactersInRegex: the expression must match them.
      this.that(!/[\u0000-\u001f\u007f]/.test(value), field, 'contains control characters')
    );
  }

  /** An id of something stored. */
  id(value: string, field: string): boolean {
    return this.text(value, field, { min: 1, max: 512 });
  }

  /** The path of a namespace without empty segments. @param options.upstream see `upstreamName` */
  path(
    value: readonly string[],
    field: string,
    { min = 1, upstream = false }: { min?: number; upstream?: boolean } = {},
  ): boolean {
    const length = value.reduce((sum, segment) => sum + segment.length, 0);
    return (
      this.that(value.length >= min, field, 'is required') &&
      this.that(value.length <= 100, field, `has ${value.length} levels, at most 100 are allowed`) &&
      this.that(length <= MAX_PATH, field, `has ${length} characters, at most ${MAX_PATH} are allowed`) &&
      value.every((segment, index) => {
        const at = `${field}[${index}]`;
        return upstream ? this.upstreamName(segment, at) : this.name(segment, at);
      })
    );
  }

  /** A resource that people write. Its lists would otherwise have pages of one entry each. */
  size(encoded: Uint8Array, field: string): boolean {
    return this.that(
      encoded.length <= MAX_RESOURCE_BYTES,
      field,
      `has ${encoded.length} bytes as a protobuf message, at most ${MAX_RESOURCE_BYTES} are allowed`,
    );
  }

  /** A map of up to `MAX_MAP_ENTRIES` entries. */
  map(value: { [key: string]: string }, field: string): void {
    const entries = Object.entries(value);
    this.list(entries, field, MAX_MAP_ENTRIES);
    for (const [key, text] of entries) {
      this.text(key, `${field} key`, { min: 1, max: 1024 });
      this.text(text, `${field}[${key.slice(0, 100)}]`, { max: MAX_MAP_VALUE });
    }
  }

  /** A count or size: 0 to 2^53-1, the range in which integers are exact in every client. */
  count(value: bigint, field: string): boolean {
    return this.that(
      value >= 0n && value <= BigInt(Number.MAX_SAFE_INTEGER),
      field,
      `${value} is not between 0 and ${Number.MAX_SAFE_INTEGER}`,
    );
  }

  timestamp(value: Date | undefined, field: string): boolean {
    return this.that(
      value === undefined || (value.getTime() >= MIN_TIME && value.getTime() <= MAX_TIME),
      field,
      'is not between the years 0001 and 9999',
    );
  }

  /** @throws InvalidRequest if there are violations */
  done(): void {
    if (this.#violations.length > 0) throw new InvalidRequest(this.#violations);
  }
}

/**
 * @param ids by field name
 * @throws InvalidRequest if an id is missing or malformed
 */
export function checkIds(ids: Record<string, string>): void {
  const checks = new Checks();
  for (const [field, id] of Object.entries(ids)) checks.id(id, field);
  checks.done();
}

/** Returns a required message of a request. @throws InvalidRequest if it is missing */
export function required<T>(value: T | undefined, field: string): T {
  if (value === undefined) throw invalid(field, 'is required');
  return value;
}
