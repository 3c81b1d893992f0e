/**
 * Column bounds: values in Iceberg's single-value serialization (spec, appendix D, "Binary single-value serialization").
 *
 * A column may have been widened since its file was written (spec, "Schema Evolution"): a 4-byte int is valid for long, a
 * 4-byte float for double, a 4-byte date for timestamp and timestamp_ns, a decimal of any length for decimal.
 * Bytes of any other length are malformed: they have no text, promotion leaves them unchanged, and they sort before all
 * valid values, by their bytes. Nothing here throws.
 */

import { doubleText, floatText } from './float-text.ts';
import { isoDate, isoTime, isoTimestamp } from './iso-text.ts';
import { type PrimitiveType, primitiveType } from './primitive-type.ts';
import { asBuffer, float64Bytes, int64Bytes } from './value-bytes.ts';

const MICROS_PER_DAY = 86_400_000_000n;
const NANOS_PER_DAY = 86_400_000_000_000n;

/**
 * A decimal of 38 digits takes 16 bytes. Extra leading sign bytes are harmless, but a corrupt length must not produce a
 * number with millions of digits.
 */
const MAX_DECIMAL_BYTES = 64;

/**
 * The value as canonical text; undefined if the bytes are malformed or the type has no values (`unknown`).
 *
 * Dates, times and timestamps are ISO 8601 with all digits of the type's precision: 6 fraction digits, 9 for the `_ns` types, and
 * `+00:00` if the type has a zone. Decimals have the type's scale, floats the fewest digits that parse to the same number, UUIDs
 * hyphens. Binary, fixed, variant, geometry and geography are base64.
 *
 * @param type Iceberg type name, such as `decimal(9, 2)`
 */
export function boundText(type: string, bytes: Uint8Array): string | undefined {
  const primitive = primitiveType(type);
  if (primitive === undefined) return undefined;
  switch (primitive.kind) {
    case 'boolean':
      return bytes.length === 1 ? String(bytes[0] !== 0) : undefined;
    case 'int':
      return bytes.length === 4 ? String(int32(bytes)) : undefined;
    case 'float':
      return bytes.length === 4 ? floatText(float32(bytes)) : undefined;
    case 'double':
      if (bytes.length === 4) return floatText(float32(bytes));
      return bytes.length === 8 ? doubleText(float64(bytes)) : undefined;
    case 'date':
      return bytes.length === 4 ? isoDate(int32(bytes)) : undefined;
    case 'string':
      return asBuffer(bytes).toString('utf8');
    case 'uuid':
      return bytes.length === 16 ? uuidText(bytes) : undefined;
    case 'fixed':
    case 'binary':
    case 'variant':
    case 'geometry':
    case 'geography':
      return asBuffer(bytes).toString('base64');
    case 'unknown':
      return undefined;
  }
  const value = integer(primitive, bytes);
  if (value === undefined) return undefined;
  switch (primitive.kind) {
    case 'long':
      return String(value);
    case 'decimal':
      return decimalText(value, primitive.scale ?? 0);
    case 'time':
      return value >= 0n && value < MICROS_PER_DAY ? isoTime(value, 6) : undefined;
    case 'timestamp':
      return isoTimestamp(value, 6);
    case 'timestamptz':
      return `${isoTimestamp(value, 6)}+00:00`;
    case 'timestamp_ns':
      return isoTimestamp(value, 9);
    case 'timestamptz_ns':
      return `${isoTimestamp(value, 9)}+00:00`;
    default:
      return undefined;
  }
}

/**
 * Compares two bounds: negative, 0 or positive. This is a total order for each type.
 *
 * Numbers, dates and times are compared by value, whatever their width; -0.0 sorts before 0.0 and NaN after everything else, as in
 * Java's `Double.compare`. Strings, UUIDs and binary types are compared by unsigned bytes, which for UTF-8 means by code points.
 */
export function compareBounds(type: string, a: Uint8Array, b: Uint8Array): number {
  const primitive = primitiveType(type);
  if (primitive === undefined) return compareBytes(a, b);
  switch (primitive.kind) {
    case 'unknown':
    case 'string':
    case 'uuid':
    case 'fixed':
    case 'binary':
    case 'variant':
    case 'geometry':
    case 'geography':
      return compareBytes(a, b);
    case 'float':
    case 'double': {
      const [x, y] = [real(primitive, a), real(primitive, b)];
      return x === undefined || y === undefined ? malformedFirst(x, y, a, b) : compareReals(x, y);
    }
    case 'boolean': {
      const x = a.length === 1 ? Number(a[0] !== 0) : undefined;
      const y = b.length === 1 ? Number(b[0] !== 0) : undefined;
      return x === undefined || y === undefined ? malformedFirst(x, y, a, b) : x - y;
    }
    default: {
      const [x, y] = [integer(primitive, a), integer(primitive, b)];
      if (x === undefined || y === undefined) return malformedFirst(x, y, a, b);
      return x < y ? -1 : x > y ? 1 : 0;
    }
  }
}

/**
 * The bound in the type's own width: 8 bytes for an int in a long column, a float in a double column or a date in a timestamp column,
 * and the fewest possible bytes for a decimal. Bounds that already fit, and malformed ones, are returned unchanged.
 */
export function promoteBound(type: string, bytes: Uint8Array): Uint8Array {
  const primitive = primitiveType(type);
  switch (primitive?.kind) {
    case 'double':
      return bytes.length === 4 ? float64Bytes(float32(bytes)) : bytes;
    case 'long':
    case 'timestamp':
    case 'timestamp_ns': {
      const value = bytes.length === 4 ? integer(primitive, bytes) : undefined;
      // A date outside the years 1677 to 2262 has no timestamp_ns.
      return value === undefined || BigInt.asIntN(64, value) !== value ? bytes : int64Bytes(value);
    }
    case 'decimal':
      return bytes.length > MAX_DECIMAL_BYTES ? bytes : withoutSignBytes(bytes);
    default:
      return bytes;
  }
}

/** The value of a type that is stored as an integer; undefined if the bytes are malformed. */
function integer(type: PrimitiveType, bytes: Uint8Array): bigint | undefined {
  switch (type.kind) {
    case 'int':
    case 'date':
      return bytes.length === 4 ? BigInt(int32(bytes)) : undefined;
    case 'long':
      return bytes.length === 4 ? BigInt(int32(bytes)) : int64(bytes);
    case 'timestamp':
      return bytes.length === 4 ? BigInt(int32(bytes)) * MICROS_PER_DAY : int64(bytes);
    case 'timestamp_ns':
      return bytes.length === 4 ? BigInt(int32(bytes)) * NANOS_PER_DAY : int64(bytes);
    case 'decimal':
      return unscaled(bytes);
    default:
      return int64(bytes);
  }
}

function real(type: PrimitiveType, bytes: Uint8Array): number | undefined {
  if (bytes.length === 4) return float32(bytes);
  return type.kind === 'double' && bytes.length === 8 ? float64(bytes) : undefined;
}

function compareReals(x: number, y: number): number {
  if (x < y) return -1;
  if (x > y) return 1;
  if (x === y) return x !== 0 ? 0 : Number(Object.is(y, -0)) - Number(Object.is(x, -0));
  return Number(Number.isNaN(x)) - Number(Number.isNaN(y));
}

function malformedFirst(x: unknown, y: unknown, a: Uint8Array, b: Uint8Array): number {
  if (x === undefined && y === undefined) return compareBytes(a, b);
  return x === undefined ? -1 : 1;
}

function compareBytes(a: Uint8Array, b: Uint8Array): number {
  return Buffer.compare(a, b);
}

/** Big-endian two's complement (appendix D, decimal). */
function unscaled(bytes: Uint8Array): bigint | undefined {
  if (bytes.length === 0 || bytes.length > MAX_DECIMAL_BYTES) return undefined;
  return BigInt.asIntN(8 * bytes.length, BigInt(`0x${asBuffer(bytes).toString('hex')}`));
}

function withoutSignBytes(bytes: Uint8Array): Uint8Array {
  let start = 0;
  while (start + 1 < bytes.length) {
    const signOfNext = (bytes[start + 1] as number) & 0x80 ? 0xff : 0;
    if (bytes[start] !== signOfNext) break;
    start++;
  }
  return start === 0 ? bytes : bytes.subarray(start);
}

function decimalText(value: bigint, scale: number): string {
  const sign = value < 0n ? '-' : '';
  const digits = String(value < 0n ? -value : value).padStart(scale + 1, '0');
  return scale === 0 ? sign + digits : `${sign}${digits.slice(0, -scale)}.${digits.slice(-scale)}`;
}

function uuidText(bytes: Uint8Array): string {
  return asBuffer(bytes)
    .toString('hex')
    .replace(/^(.{8})(.{4})(.{4})(.{4})/, '$1-$2-$3-$4-');
}

function int32(bytes: Uint8Array): number {
  return asBuffer(bytes).readInt32LE();
}

function int64(bytes: Uint8Array): bigint | undefined {
  return bytes.length === 8 ? asBuffer(bytes).readBigInt64LE() : undefined;
}

function float32(bytes: Uint8Array): number {
  return asBuffer(bytes).readFloatLE();
}

function float64(bytes: Uint8Array): number {
  return asBuffer(bytes).readDoubleLE();
}
