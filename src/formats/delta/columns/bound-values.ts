import type { FileStats } from './file-stats.ts';
import { BOOLEAN, DATE, DECIMAL, DOUBLE, FLOAT, INT, type Leaf, LONG, STRING, TIMESTAMP } from './leaf-plan.ts';
import { NumberText } from './number-text.ts';
import { MICROS_PER_DAY, TimeText } from './time-text.ts';

/** Microseconds that the log does not show: it has milliseconds, cut off (Delta protocol, "Per-file Statistics", footnote 1). */
const HIDDEN_MICROS = 999;
/** Days from which microseconds exceed 53 bits: about the year 2243. */
const SAFE_DAYS = 100_000;
const LONE_SURROGATE = /\p{Surrogate}/u;
const INFINITY = /^([+-]?)inf(?:inity)?$/i;

const time = new TimeText();
const number = new NumberText();

/** Position of a bound in `FileStats.starts`. */
export const slotOf = (leaf: Leaf, isUpper: boolean) => leaf.index * 2 + (isUpper ? 1 : 0);

/** Writes a bound that is a number in JSON text. A number that the column's type does not have is left out. */
export function numberBound(stats: FileStats, leaf: Leaf, isUpper: boolean, token: NumberText): void {
  const slot = slotOf(leaf, isUpper);
  switch (leaf.bounds) {
    case INT: {
      const value = token.smallInteger;
      if (value !== undefined && value === (value | 0)) stats.int32(slot, value);
      break;
    }
    case LONG: {
      const value = token.smallInteger;
      if (value !== undefined) stats.int64(slot, value);
      else {
        const long = token.integer;
        if (long !== undefined && BigInt.asIntN(64, long) === long) stats.bigInt64(slot, long);
      }
      break;
    }
    case FLOAT:
    case DOUBLE:
      finiteBound(stats, leaf, isUpper, token.double, leaf.wasFloat && token.mayBeFloat);
      break;
    case DECIMAL:
      token.decimal(stats, slot, leaf.scale, isUpper);
      break;
  }
}

/** Writes a bound that is a string without escapes: the bytes between the positions. */
export function textBound(
  stats: FileStats,
  leaf: Leaf,
  isUpper: boolean,
  bytes: Buffer,
  from: number,
  to: number,
): void {
  const slot = slotOf(leaf, isUpper);
  switch (leaf.bounds) {
    case STRING:
      stats.utf8(slot, bytes, from, to);
      break;
    case DATE:
      if (time.read(bytes, from, to)) stats.int32(slot, time.days);
      break;
    case TIMESTAMP:
      if (time.read(bytes, from, to)) timestampBound(stats, slot, isUpper, time.days, time.micros, time.isExact);
      break;
    case FLOAT:
    case DOUBLE: {
      const [, sign] = (to - from < 10 && INFINITY.exec(bytes.toString('latin1', from, to))) || [];
      if (sign !== undefined) realBound(stats, leaf, slot, sign === '-' ? -Infinity : Infinity);
      break;
    }
    case DECIMAL:
      if (number.read(bytes, from) === to) number.decimal(stats, slot, leaf.scale, isUpper);
      break;
  }
}

export function booleanBound(stats: FileStats, leaf: Leaf, isUpper: boolean, value: boolean): void {
  if (leaf.bounds === BOOLEAN) stats.int8(slotOf(leaf, isUpper), value ? 1 : 0);
}

/**
 * A float or double. NaN is no bound (Iceberg spec, "Manifests"), and a number beyond the type's range does not occur in the file.
 *
 * @param mayBeFloat whether the value was read from the shortest text of a float
 */
export function finiteBound(stats: FileStats, leaf: Leaf, isUpper: boolean, value: number, mayBeFloat: boolean): void {
  const slot = slotOf(leaf, isUpper);
  const float = Math.fround(value);
  if (value === 0) {
    // Zeros are equal for the writer, but not in the order of the bounds.
    realBound(stats, leaf, slot, isUpper ? 0 : -0);
  } else if (leaf.bounds === FLOAT) {
    if (Number.isFinite(float)) stats.float32(slot, float);
  } else if (Number.isFinite(value)) {
    // `3.4` then stands for 3.4000000953674316.
    const isOther = mayBeFloat && Number.isFinite(float) && (isUpper ? float > value : float < value);
    stats.float64(slot, isOther ? float : value);
  }
}

function realBound(stats: FileStats, leaf: Leaf, slot: number, value: number): void {
  if (leaf.bounds === FLOAT) stats.float32(slot, value);
  else stats.float64(slot, value);
}

/** @param isExact whether the microseconds are known; otherwise, the upper bound is the last one of the millisecond */
export function timestampBound(
  stats: FileStats,
  slot: number,
  isUpper: boolean,
  days: number,
  micros: number,
  isExact: boolean,
): void {
  const inDay = isUpper && !isExact ? micros + HIDDEN_MICROS : micros;
  if (days > -SAFE_DAYS && days < SAFE_DAYS) stats.int64(slot, days * MICROS_PER_DAY + inDay);
  else stats.saturated(slot, BigInt(days) * BigInt(MICROS_PER_DAY) + BigInt(inDay), isUpper);
}

/** A writer may have cut a character of two UTF-16 units in two. What is left sorts before the character, so that it is a lower bound only. */
export function stringBound(stats: FileStats, slot: number, isUpper: boolean, text: string): void {
  if (!isUpper || !LONE_SURROGATE.test(text)) stats.string(slot, text);
}
