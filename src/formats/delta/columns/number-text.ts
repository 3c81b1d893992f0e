import type { FileStats } from './file-stats.ts';

/** Decimal digits that a double keeps, whatever they are (IEEE 754). */
const SAFE_DIGITS = 15;
/** Digits of the mantissa that is read; it is exact below 2^53. */
const KEPT_DIGITS = 16;
/** Digits of the longest text that a float needs. */
const FLOAT_DIGITS = 9;
/** Digits of the longest text that a double needs. */
const DOUBLE_DIGITS = 17;
/** Digits of the longest 64-bit integer. */
const INT64_DIGITS = 19;
/** No decimal has as many characters; converting the longest numbers takes quadratic time. */
const MAX_DECIMAL_TEXT = 200;
const MAX_DECIMAL = 10n ** 38n;
const MAX_INT64 = 2n ** 63n - 1n;
const POWERS = Array.from({ length: 23 }, (_, power) => Number(`1e${power}`));

/**
 * A number in the bytes of a JSON text, without the loss that `JSON.parse` has beyond 53 bits; one object is reused. The bytes after the text are
 * 0.
 */
export class NumberText {
  #bytes: Buffer = Buffer.alloc(0);
  #start = 0;
  #end = 0;
  #isNegative = false;
  /** The first 16 significant digits. */
  #mantissa = 0;
  /** Number of digits from the first that is not 0. */
  #digits = 0;
  #fractionDigits = 0;
  #exponent = 0;
  #hasExponent = false;

  /** @returns the position after the number that starts at `start`; -1 if none does */
  read(bytes: Buffer, start: number): number {
    let at = start;
    let mantissa = 0;
    let digits = 0;
    let code = bytes[at] as number;
    const isNegative = code === 0x2d;
    if (isNegative) code = bytes[++at] as number;
    if (code === 0x30) code = bytes[++at] as number;
    else if (isDigit(code)) {
      do {
        if (++digits <= KEPT_DIGITS) mantissa = mantissa * 10 + (code - 0x30);
        code = bytes[++at] as number;
      } while (isDigit(code));
    } else return -1;
    let fractionDigits = 0;
    if (code === 0x2e) {
      code = bytes[++at] as number;
      if (!isDigit(code)) return -1;
      do {
        fractionDigits++;
        if (digits > 0 || code !== 0x30) {
          if (++digits <= KEPT_DIGITS) mantissa = mantissa * 10 + (code - 0x30);
        }
        code = bytes[++at] as number;
      } while (isDigit(code));
    }
    this.#exponent = 0;
    this.#hasExponent = code === 0x65 || code === 0x45;
    this.#bytes = bytes;
    this.#start = start;
    this.#isNegative = isNegative;
    this.#mantissa = mantissa;
    this.#digits = digits;
    this.#fractionDigits = fractionDigits;
    if (this.#hasExponent) at = this.#readExponent(bytes, at + 1);
    this.#end = at;
    return at;
  }

  #readExponent(bytes: Buffer, start: number): number {
    let at = start;
    let code = bytes[at] as number;
    const isNegative = code === 0x2d;
    if (isNegative || code === 0x2b) code = bytes[++at] as number;
    if (!isDigit(code)) return -1;
    let exponent = 0;
    do {
      if (exponent < 1_000_000) exponent = exponent * 10 + code - 0x30;
      code = bytes[++at] as number;
    } while (isDigit(code));
    this.#exponent = isNegative ? -exponent : exponent;
    return at;
  }

  get #text(): string {
    return this.#bytes.toString('latin1', this.#start, this.#end);
  }

  get #isInteger(): boolean {
    return this.#fractionDigits === 0 && !this.#hasExponent;
  }

  get #mantissaIsExact(): boolean {
    return this.#digits <= KEPT_DIGITS && this.#mantissa < 2 ** 53;
  }

  /** The power of ten that the digits are multiplied with. */
  get #power(): number {
    return this.#exponent - this.#fractionDigits;
  }

  /** Whether the text may be the shortest one of a float. */
  get mayBeFloat(): boolean {
    return this.#digits <= FLOAT_DIGITS;
  }

  get double(): number {
    const power = this.#power;
    // Both factors are exact, so the result is rounded once.
    if (this.#mantissaIsExact && power >= -22 && power <= 22) {
      const value = power < 0 ? this.#mantissa / POWERS[-power]! : this.#mantissa * POWERS[power]!;
      return this.#isNegative ? -value : value;
    }
    return Number(this.#text);
  }

  /** The value if it is written as an integer below 2^53; undefined otherwise. */
  get smallInteger(): number | undefined {
    if (!this.#isInteger || !this.#mantissaIsExact) return undefined;
    return this.#isNegative ? 0 - this.#mantissa : this.#mantissa;
  }

  /** The value if it is written as an integer of up to 19 digits; undefined otherwise. */
  get integer(): bigint | undefined {
    if (!this.#isInteger || this.#digits > INT64_DIGITS) return undefined;
    return BigInt(this.#text);
  }

  /**
   * Writes the number as a decimal's bound. Writers that know only doubles (delta-rs) round a decimal of more than 15 digits, whatever the length
   * of the text: 0.999999999999999999 becomes 1.0. Such a bound may exclude values, so it is left out unless its text cannot come from a double.
   *
   * @param scale of the column's type
   */
  decimal(stats: FileStats, slot: number, scale: number, isUpper: boolean): void {
    const small = this.#smallUnscaled(scale, isUpper);
    if (small !== undefined) stats.unscaled(slot, small);
    else if (this.#end - this.#start <= MAX_DECIMAL_TEXT && Math.abs(this.#power) <= MAX_DECIMAL_TEXT) {
      this.#bigDecimal(stats, slot, scale);
    }
  }

  /** The unscaled value if up to 15 digits are enough for it; undefined otherwise. */
  #smallUnscaled(scale: number, isUpper: boolean): number | undefined {
    if (this.#digits > SAFE_DIGITS) return undefined;
    const mantissa = this.#isNegative ? 0 - this.#mantissa : this.#mantissa;
    const shift = this.#power + scale;
    if (mantissa === 0) return 0;
    if (shift < 0) {
      // The column's type has fewer digits: the bound is rounded away from the values.
      const unscaled = mantissa / 10 ** Math.min(-shift, 300);
      return isUpper ? Math.ceil(unscaled) : Math.floor(unscaled);
    }
    const unscaled = shift <= SAFE_DIGITS ? mantissa * POWERS[shift]! : Infinity;
    return Math.abs(unscaled) <= safeUnscaled(scale) ? unscaled : undefined;
  }

  #bigDecimal(stats: FileStats, slot: number, scale: number): void {
    const digits = this.#text.replace(/^-|[eE].*$|\./g, '');
    const shift = this.#power + scale;
    const numerator = BigInt(digits) * 10n ** BigInt(Math.max(0, shift));
    const divisor = 10n ** BigInt(Math.max(0, -shift));
    const unscaled = (numerator * 2n + divisor) / (divisor * 2n);
    const isKnown =
      unscaled <= safeUnscaled(scale) || (unscaled * divisor === numerator && this.#isExact(digits, scale));
    if (isKnown && unscaled < MAX_DECIMAL) stats.bigUnscaled(slot, this.#isNegative ? -unscaled : unscaled);
  }

  /** Whether the text cannot come from a double, or from a 64-bit integer that a double was converted to. */
  #isExact(digits: string, scale: number): boolean {
    const hasMore = digits.replace(/^0+|0+$/g, '').length > DOUBLE_DIGITS;
    if (this.#isInteger) {
      if (this.#digits > INT64_DIGITS) return hasMore;
      // Neither the value of a double nor its shortest text, and not the limit that conversions to 64 bits end at.
      const value = BigInt(digits);
      const double = Number(value);
      return value !== MAX_INT64 && BigInt(double) !== value && String(double) !== digits;
    }
    if (hasMore) return true;
    // Java pads decimals to their scale, and nobody pads doubles.
    return this.#fractionDigits > 1 && -this.#power === scale && digits.endsWith('0');
  }
}

/**
 * Unscaled values up to this one follow from the text of a double: dividing by the power of ten and writing the shortest text add an error of at
 * most half a unit each time. Powers from 10^23 on are rounded, too.
 */
const safeUnscaled = (scale: number) => (scale <= 22 ? 2 ** 51 : 10 ** 15);

const isDigit = (code: number) => code >= 0x30 && code <= 0x39;
