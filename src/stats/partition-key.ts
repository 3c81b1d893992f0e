/**
 * Partition values as bytes that are equal if the values are, whichever type they were stated in. The same value can have several: its column
 * was widened (spec, "Schema Evolution"), or writers differ: the result of `day` is an int in the spec and a date in Iceberg Java.
 */

import { promoteBound } from './bounds.ts';
import type { TypedValue } from './partition-value.ts';
import { type PrimitiveKind, primitiveType } from './primitive-type.ts';
import { asBuffer, float64Bytes } from './value-bytes.ts';

const PER_DAY: Partial<Record<PrimitiveKind, bigint>> = {
  timestamp: 86_400_000_000n,
  timestamptz: 86_400_000_000n,
  timestamp_ns: 86_400_000_000_000n,
  timestamptz_ns: 86_400_000_000_000n,
};
const NAN = float64Bytes(Number.NaN);

/**
 * The value as bytes that identify it among the values of its partition field. Integers and days are 8 bytes, and a time that is not midnight
 * adds its nanoseconds since then. Values that are malformed or have one form only are returned unchanged.
 */
export function partitionKey({ type, value }: TypedValue): Uint8Array {
  const kind = primitiveType(type)?.kind;
  switch (kind) {
    case 'boolean':
      // Every byte but 0 is true (spec, appendix D).
      return value.length === 1 && value[0] !== 0 ? Uint8Array.of(1) : value;
    case 'int':
    case 'long':
    case 'date':
      return value.length === 4 ? ofInt32(value) : value;
    case 'timestamp':
    case 'timestamptz':
    case 'timestamp_ns':
    case 'timestamptz_ns':
      return ofTime(value, PER_DAY[kind]!);
    case 'float':
    case 'double': {
      const real = promoteBound('double', value);
      return real.length === 8 && Number.isNaN(asBuffer(real).readDoubleLE()) ? NAN : real;
    }
    default:
      return promoteBound(type, value);
  }
}

function ofInt32(value: Uint8Array): Buffer {
  const bytes = Buffer.allocUnsafe(8);
  const number = asBuffer(value).readInt32LE();
  bytes.writeInt32LE(number, 0);
  bytes.writeInt32LE(number >> 31, 4);
  return bytes;
}

/** @param value days in 4 bytes, or units in 8; 10 bytes are microseconds with the nanoseconds that follow, as `widened` returns them */
function ofTime(value: Uint8Array, perDay: bigint): Uint8Array {
  if (value.length === 4) return ofInt32(value);
  if (value.length !== 8 && value.length !== 10) return value;
  const bytes = asBuffer(value);
  const units = bytes.readBigInt64LE();
  const rest = ((units % perDay) + perDay) % perDay;
  const nanos = (rest * PER_DAY.timestamp_ns!) / perDay + BigInt(value.length === 10 ? bytes.readUInt16LE(8) : 0);
  const key = Buffer.allocUnsafe(nanos === 0n ? 8 : 16);
  key.writeBigInt64LE((units - rest) / perDay);
  if (nanos !== 0n) key.writeBigInt64LE(nanos, 8);
  return key;
}
