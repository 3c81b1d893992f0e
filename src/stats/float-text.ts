/**
 * Floating point numbers with the fewest digits that parse to the same number, in the format of Python's `repr`:
 * `1.0`, `-0.0`, `0.1`, `1e-05`, `1.5e+300`, `NaN`, `Infinity`.
 */

/** @param value a double */
export function doubleText(value: number): string {
  return layOut(value, value.toExponential());
}

/** @param value a double that holds a 4-byte float */
export function floatText(value: number): string {
  // Nine digits always distinguish two 4-byte floats; usually fewer do.
  for (let digits = 0; digits < 8; digits++) {
    const text = value.toExponential(digits);
    if (Math.fround(Number(text)) === value) return layOut(value, text);
  }
  return layOut(value, value.toExponential(8));
}

/** @param exponential the result of `toExponential`: `d.ddde±x` */
function layOut(value: number, exponential: string): string {
  if (!Number.isFinite(value)) return String(value);
  if (value === 0) return Object.is(value, -0) ? '-0.0' : '0.0';
  const [, sign = '', first = '', rest = '', power = '0'] = /^(-?)(\d)(?:\.(\d+))?e([+-]\d+)$/.exec(exponential) ?? [];
  const digits = (first + rest).replace(/0+$/, '') || '0';
  const exponent = Number(power);
  if (exponent < -4 || exponent >= 16) {
    const fraction = digits.length > 1 ? `.${digits.slice(1)}` : '';
    const magnitude = String(Math.abs(exponent)).padStart(2, '0');
    return `${sign}${digits[0]}${fraction}e${exponent < 0 ? '-' : '+'}${magnitude}`;
  }
  if (exponent < 0) return `${sign}0.${'0'.repeat(-exponent - 1)}${digits}`;
  const whole = digits.slice(0, exponent + 1).padEnd(exponent + 1, '0');
  return `${sign}${whole}.${digits.slice(exponent + 1) || '0'}`;
}
