/**
 * Partition values in one width, however wide their column was when they were written: after it is widened (spec, "Schema Evolution"), the
 * same value has more bytes, or counts microseconds instead of days.
 */

import { promoteBound } from './bounds.ts';
import { convertBound } from './convert-bound.ts';
import { primitiveType } from './primitive-type.ts';
import { asBuffer, float32Bytes, int32Bytes, int64Bytes } from './value-bytes.ts';

/** The most digits that a decimal can have. */
const MAX_PRECISION = 38;
const MICROS_PER_DAY = 86_400_000_000n;
/** Types that can be widened, and timestamp_ns, which a date can become. */
const WIDEST = new Map([
  ['int', 'long'],
  ['float', 'double'],
  ['date', 'timestamp'],
  ['timestamp_ns', 'timestamp'],
]);

/** A single-value serialization (spec, appendix D) with its type. */
export interface TypedValue {
  type: string;
  value: Uint8Array;
}

/**
 * The type of `widened` values of a type: that they have one type, too, keeps files that were stored before a column was widened equal to
 * those that are read after it.
 */
export function widestType(type: string): string {
  const { kind, scale } = primitiveType(type) ?? {};
  return kind === 'decimal' ? `decimal(${MAX_PRECISION}, ${scale})` : (WIDEST.get(type) ?? type);
}

/**
 * The value in the width of `widestType`: the bytes of two values are equal if the values are, whichever types their column had. Nanoseconds
 * that are no whole microseconds are two bytes more. Malformed values are returned unchanged.
 */
export function widened({ type, value }: TypedValue): Uint8Array {
  return type === 'timestamp_ns' && value.length === 8 ? microsAndNanos(value) : promoteBound(widestType(type), value);
}

/**
 * The value in the type that its column has now; it is `widened`, or has the type that the column had when it was written. Delta widens integers to
 * double and decimal, and decimals to a larger scale (Delta protocol, "Type Widening").
 */
export function inTypeOfColumn({ type, value }: TypedValue, to: string): Buffer {
  const bytes = asBuffer(value);
  if (type === to) return bytes;
  if (type !== widestType(to)) return asBuffer(convertBound(type, to, value) ?? promoteBound(to, value));
  if (to === 'timestamp_ns') return nanosOf(bytes) ?? bytes;
  if (bytes.length !== 8) return bytes;
  switch (to) {
    case 'int':
      return bytes.subarray(0, 4);
    case 'float':
      return float32Bytes(bytes.readDoubleLE());
    case 'date':
      return int32Bytes(Number(bytes.readBigInt64LE() / MICROS_PER_DAY));
    default:
      return bytes;
  }
}

function microsAndNanos(value: Uint8Array): Buffer {
  const nanos = asBuffer(value).readBigInt64LE();
  const rest = Number(((nanos % 1000n) + 1000n) % 1000n);
  const bytes = Buffer.alloc(rest === 0 ? 8 : 10);
  bytes.writeBigInt64LE((nanos - BigInt(rest)) / 1000n);
  if (rest !== 0) bytes.writeUInt16LE(rest, 8);
  return bytes;
}

/** @returns undefined if no timestamp_ns is so far from 1970 */
function nanosOf(bytes: Buffer): Buffer | undefined {
  if (bytes.length !== 8 && bytes.length !== 10) return undefined;
  const nanos = bytes.readBigInt64LE() * 1000n + BigInt(bytes.length === 10 ? bytes.readUInt16LE(8) : 0);
  if (BigInt.asIntN(64, nanos) !== nanos) return undefined;
  return int64Bytes(nanos);
}
