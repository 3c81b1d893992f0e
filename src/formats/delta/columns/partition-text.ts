import { primitiveType } from '../../../stats/primitive-type.ts';
import { float32Bytes, float64Bytes, int32Bytes, int64Bytes, unscaledBytes } from '../../../stats/value-bytes.ts';
import { MICROS_PER_DAY, TimeText } from './time-text.ts';

const BOOLEANS = new Map([
  ['true', true],
  ['false', false],
]);
const INTEGER = /^([+-]?\d{1,19})(?:\.0*)?$/;
const REAL = /^[+-]?(?:\d+\.?\d*|\.\d+)(?:e[+-]?\d{1,4})?$/i;
const INFINITY = /^([+-]?)inf(?:inity)?$/i;
const DECIMAL = /^([+-]?)(\d{0,80})(?:\.(\d{0,80}))?(?:e([+-]?\d{1,2}))?$/i;
const MAX_DECIMAL = 10n ** 38n;
/** As delta-rs writes binary values. */
const ESCAPED_BYTES = /^(?:\\u00[0-9a-f]{2})+$/i;

const time = new TimeText();

/**
 * A partition value (Delta protocol, "Partition Value Serialization") in Iceberg's single-value serialization. Timestamps without a zone are
 * in UTC. Values of types that Iceberg does not have are the text itself.
 *
 * @param type Iceberg's name of the column's type
 * @returns undefined if the type has no such value
 */
export function partitionBytes(type: string, text: string): Buffer | undefined {
  const primitive = primitiveType(type);
  const trimmed = text.trim();
  switch (primitive?.kind) {
    case 'boolean': {
      const value = BOOLEANS.get(trimmed.toLowerCase());
      return value === undefined ? undefined : Buffer.of(value ? 1 : 0);
    }
    case 'int': {
      const value = integer(trimmed, 32);
      return value === undefined ? undefined : int32Bytes(Number(value));
    }
    case 'long': {
      const value = integer(trimmed, 64);
      return value === undefined ? undefined : int64Bytes(value);
    }
    case 'float':
    case 'double': {
      const value = real(trimmed);
      if (value === undefined) return undefined;
      return primitive.kind === 'float' ? float32Bytes(value) : float64Bytes(value);
    }
    case 'decimal':
      return decimal(trimmed, primitive.scale ?? 0);
    case 'date':
      return readTime(trimmed) ? int32Bytes(time.days) : undefined;
    case 'timestamp':
    case 'timestamptz': {
      if (!readTime(trimmed)) return undefined;
      const micros = BigInt(time.days) * BigInt(MICROS_PER_DAY) + BigInt(time.micros);
      return BigInt.asIntN(64, micros) === micros ? int64Bytes(micros) : undefined;
    }
    case 'binary':
      return ESCAPED_BYTES.test(text) ? Buffer.from(text.replaceAll(/\\u00/gi, ''), 'hex') : Buffer.from(text);
    default:
      return Buffer.from(text);
  }
}

function readTime(text: string): boolean {
  const bytes = Buffer.from(text);
  return time.read(bytes, 0, bytes.length);
}

function integer(text: string, bits: number): bigint | undefined {
  const [, digits] = INTEGER.exec(text) ?? [];
  if (digits === undefined) return undefined;
  const value = BigInt(digits.replace('+', ''));
  return BigInt.asIntN(bits, value) === value ? value : undefined;
}

function real(text: string): number | undefined {
  if (REAL.test(text)) return Number(text);
  if (/^[+-]?nan$/i.test(text)) return Number.NaN;
  const [, sign] = INFINITY.exec(text) ?? [];
  return sign === undefined ? undefined : sign === '-' ? -Infinity : Infinity;
}

function decimal(text: string, scale: number): Buffer | undefined {
  const [, sign, whole = '', fraction = '', exponent = '0'] = DECIMAL.exec(text) ?? [];
  if (whole + fraction === '') return undefined;
  const shift = scale + Number(exponent) - fraction.length;
  const digits = BigInt(whole + fraction);
  const divisor = 10n ** BigInt(Math.max(0, -shift));
  const unscaled = (digits * 10n ** BigInt(Math.max(0, shift))) / divisor;
  if (unscaled >= MAX_DECIMAL || (shift < 0 && unscaled * divisor !== digits)) return undefined;
  return unscaledBytes(sign === '-' ? -unscaled : unscaled);
}
