/**
 * The primitive types of the Iceberg spec ("Primitive Types"), parsed from their names in schema JSON (appendix C).
 */

export type PrimitiveKind =
  | 'unknown'
  | 'boolean'
  | 'int'
  | 'long'
  | 'float'
  | 'double'
  | 'decimal'
  | 'date'
  | 'time'
  | 'timestamp'
  | 'timestamptz'
  | 'timestamp_ns'
  | 'timestamptz_ns'
  | 'string'
  | 'uuid'
  | 'fixed'
  | 'binary'
  | 'variant'
  | 'geometry'
  | 'geography';

export interface PrimitiveType {
  kind: PrimitiveKind;
  /** Digits of a decimal. */
  precision?: number;
  /** Digits of a decimal after the decimal point. */
  scale?: number;
  /** Length of a fixed in bytes. */
  length?: number;
}

const SIMPLE: ReadonlySet<string> = new Set<PrimitiveKind>([
  'unknown',
  'boolean',
  'int',
  'long',
  'float',
  'double',
  'date',
  'time',
  'timestamp',
  'timestamptz',
  'timestamp_ns',
  'timestamptz_ns',
  'string',
  'uuid',
  'binary',
  'variant',
  'geometry',
  'geography',
]);

const DECIMAL = /^decimal\(\s*(\d{1,9})\s*,\s*(\d{1,9})\s*\)$/i;
const FIXED = /^fixed\[\s*(\d{1,9})\s*\]$/i;
const GEO = /^(geometry|geography)\s*\(.*\)$/is;

/** Each type name is parsed once, because every bound repeats it. The cache is bounded, because the names come from foreign metadata. */
const MAX_CACHED = 1_000;
const cache = new Map<string, PrimitiveType | undefined>();

/** The type with a name such as `decimal(9, 2)`, `fixed[16]` or `geometry(srid:4326)`; undefined if there is no such type. */
export function primitiveType(name: string): PrimitiveType | undefined {
  const known = cache.get(name);
  if (known !== undefined || cache.has(name)) return known;
  const parsed = parse(name);
  if (cache.size >= MAX_CACHED) cache.clear();
  cache.set(name, parsed);
  return parsed;
}

/** The canonical spelling of a type's name. Writers differ in case, and in spaces as in `decimal(9,2)` and `decimal(9, 2)`. */
export function canonicalTypeName(name: string): string {
  const type = primitiveType(name);
  if (type === undefined || type.kind === 'geometry' || type.kind === 'geography') return name;
  if (type.kind === 'decimal') return `decimal(${type.precision}, ${type.scale})`;
  return type.kind === 'fixed' ? `fixed[${type.length}]` : type.kind;
}

function parse(name: string): PrimitiveType | undefined {
  const lower = name.toLowerCase();
  if (SIMPLE.has(lower)) return { kind: lower as PrimitiveKind };
  const decimal = DECIMAL.exec(name);
  if (decimal) {
    const [precision, scale] = [Number(decimal[1]), Number(decimal[2])];
    // At most 38 digits (spec, "Primitive Types"). More would allow texts of any length.
    return precision >= 1 && precision <= 38 && scale <= precision ? { kind: 'decimal', precision, scale } : undefined;
  }
  const fixed = FIXED.exec(name);
  if (fixed) return { kind: 'fixed', length: Number(fixed[1]) };
  const geo = GEO.exec(name);
  return geo ? { kind: geo[1]!.toLowerCase() as PrimitiveKind } : undefined;
}
