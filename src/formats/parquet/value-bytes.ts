import { promoteBound } from '../../stats/bounds.ts';
import { primitiveType } from '../../stats/primitive-type.ts';
import type { SchemaNode } from './footer.ts';

/**
 * Converts a value from Parquet's plain encoding (byte arrays without their length) to Iceberg's single-value serialization; undefined if
 * the value is not valid.
 */
export type ValueBytes = (plain: Uint8Array) => Uint8Array | undefined;

const MICROS_PER_DAY = 86_400_000_000n;
/** The Julian day of 1970-01-01. */
const EPOCH_JULIAN_DAY = 2_440_588n;

/**
 * Returns the conversion from a Parquet column to an Iceberg type (Iceberg spec, appendix A, "Parquet", and other types that imported files
 * have). Undefined if the column's type does not fit the table's.
 */
export function valueBytes(type: string, leaf: SchemaNode): ValueBytes | undefined {
  const iceberg = primitiveType(type);
  const physical = leaf.type;
  switch (iceberg?.kind) {
    case 'boolean':
      return physical === 'BOOLEAN' ? (plain) => Uint8Array.of(plain[0] ? 1 : 0) : undefined;
    case 'int':
      return physical === 'INT32' && !leaf.isUnsigned ? asIs(4) : undefined;
    case 'date':
      return physical === 'INT32' ? asIs(4) : undefined;
    case 'long':
      if (physical === 'INT32') return scaled(leaf, 1n);
      return physical === 'INT64' && !leaf.isUnsigned ? asIs(8) : undefined;
    case 'float':
      return physical === 'FLOAT' ? asIs(4) : undefined;
    case 'double':
      if (physical === 'FLOAT') return (plain) => (plain.length === 4 ? promoteBound('double', plain) : undefined);
      return physical === 'DOUBLE' ? asIs(8) : undefined;
    case 'time':
    case 'timestamp':
    case 'timestamptz':
      return physical === 'INT96' ? int96Micros : timeBytes(leaf, 'MICROS');
    case 'timestamp_ns':
    case 'timestamptz_ns':
      return timeBytes(leaf, 'NANOS');
    case 'decimal':
      return (leaf.scale ?? 0) === iceberg.scale ? decimalBytes(type, leaf) : undefined;
    case 'uuid':
      return physical === 'FIXED_LEN_BYTE_ARRAY' ? asIs(16) : undefined;
    case 'fixed':
      return physical === 'FIXED_LEN_BYTE_ARRAY' ? asIs(iceberg.length as number) : undefined;
    case 'string':
      return physical === 'BYTE_ARRAY' ? anyBytes : undefined;
    case 'binary':
      return physical === 'BYTE_ARRAY' || physical === 'FIXED_LEN_BYTE_ARRAY' ? anyBytes : undefined;
    default:
      return undefined;
  }
}

const anyBytes: ValueBytes = (plain) => plain;

function asIs(width: number): ValueBytes {
  return (plain) => (plain.length === width ? plain : undefined);
}

/** Converts times and timestamps from the file's unit to another. Without a unit in the file, they are microseconds. */
function timeBytes(leaf: SchemaNode, targetUnit: 'MICROS' | 'NANOS'): ValueBytes | undefined {
  if (leaf.type !== 'INT64' && leaf.type !== 'INT32') return undefined;
  const unit = leaf.unit ?? 'MICROS';
  if (unit === targetUnit) return leaf.type === 'INT64' ? asIs(8) : undefined;
  if (unit === 'MILLIS') return scaled(leaf, targetUnit === 'MICROS' ? 1000n : 1_000_000n);
  if (unit === 'MICROS') return scaled(leaf, 1000n);
  return (plain) => (plain.length === 8 ? int64(floorDivide(buffer(plain).readBigInt64LE(), 1000n)) : undefined);
}

function scaled({ type, isUnsigned }: SchemaNode, factor: bigint): ValueBytes {
  return (plain) => {
    if (plain.length !== (type === 'INT32' ? 4 : 8)) return undefined;
    const bytes = buffer(plain);
    const value =
      type === 'INT64' ? bytes.readBigInt64LE() : BigInt(isUnsigned ? bytes.readUInt32LE() : bytes.readInt32LE());
    return int64(value * factor);
  };
}

/** Converts an INT96: the nanoseconds of the day, then the Julian day. */
const int96Micros: ValueBytes = (plain) => {
  if (plain.length !== 12) return undefined;
  const bytes = buffer(plain);
  const day = BigInt(bytes.readInt32LE(8)) - EPOCH_JULIAN_DAY;
  return int64(day * MICROS_PER_DAY + floorDivide(bytes.readBigInt64LE(0), 1000n));
};

/** Converts to the unscaled value in the fewest bytes, big-endian. */
function decimalBytes(type: string, { type: physical }: SchemaNode): ValueBytes | undefined {
  switch (physical) {
    case 'INT32':
    case 'INT64':
      return (plain) =>
        plain.length === (physical === 'INT32' ? 4 : 8) ? promoteBound(type, plain.slice().reverse()) : undefined;
    case 'BYTE_ARRAY':
    case 'FIXED_LEN_BYTE_ARRAY':
      return (plain) => (plain.length > 0 && plain.length <= 32 ? promoteBound(type, plain) : undefined);
    default:
      return undefined;
  }
}

function int64(value: bigint): Uint8Array | undefined {
  if (BigInt.asIntN(64, value) !== value) return undefined;
  const bytes = Buffer.alloc(8);
  bytes.writeBigInt64LE(value);
  return bytes;
}

function floorDivide(value: bigint, divisor: bigint): bigint {
  const quotient = value / divisor;
  return value < 0n && quotient * divisor !== value ? quotient - 1n : quotient;
}

function buffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
