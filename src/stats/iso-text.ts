/** ISO 8601 texts of dates, times and timestamps of any year. */

const DAY_SECONDS = 86_400;

/**
 * A date such as `2024-01-31`. Years after 9999 start with `+`, years before 0 with `-` (ISO 8601's expanded years, in Java's format);
 * year 0 is 1 BC.
 *
 * @param day days since 1970-01-01, in the proleptic Gregorian calendar
 */
export function isoDate(day: number): string {
  // Days to civil date, by eras of 400 years that start on 1 March: https://howardhinnant.github.io/date_algorithms.html
  const shifted = day + 719_468;
  const era = Math.floor(shifted / 146_097);
  const dayOfEra = shifted - era * 146_097;
  const yearOfEra = Math.floor(
    (dayOfEra - Math.floor(dayOfEra / 1_460) + Math.floor(dayOfEra / 36_524) - Math.floor(dayOfEra / 146_096)) / 365,
  );
  const dayOfYear = dayOfEra - (365 * yearOfEra + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100));
  const monthFromMarch = Math.floor((5 * dayOfYear + 2) / 153);
  const dayOfMonth = dayOfYear - Math.floor((153 * monthFromMarch + 2) / 5) + 1;
  const month = monthFromMarch < 10 ? monthFromMarch + 3 : monthFromMarch - 9;
  const year = yearOfEra + era * 400 + (month <= 2 ? 1 : 0);
  return `${isoYear(year)}-${pad(month, 2)}-${pad(dayOfMonth, 2)}`;
}

/** A year of at least four digits, with a sign if ISO 8601 requires one. */
export function isoYear(year: number): string {
  if (year < 0) return `-${pad(-year, 4)}`;
  return year > 9_999 ? `+${year}` : pad(year, 4);
}

/**
 * A time such as `13:01:02.000003`.
 *
 * @param ticks microseconds or nanoseconds since midnight
 * @param fractionDigits 6 if a tick is a microsecond, 9 if it is a nanosecond
 */
export function isoTime(ticks: bigint, fractionDigits: 6 | 9): string {
  const perSecond = fractionDigits === 6 ? 1_000_000n : 1_000_000_000n;
  const seconds = Number(ticks / perSecond);
  const fraction = String(ticks % perSecond).padStart(fractionDigits, '0');
  const minutes = Math.floor(seconds / 60);
  return `${pad(Math.floor(minutes / 60), 2)}:${pad(minutes % 60, 2)}:${pad(seconds % 60, 2)}.${fraction}`;
}

/** A timestamp such as `2024-01-31T13:01:02.000003`, from ticks since 1970-01-01T00:00:00. See `isoTime` for the digits. */
export function isoTimestamp(ticks: bigint, fractionDigits: 6 | 9): string {
  const perDay = BigInt(DAY_SECONDS) * (fractionDigits === 6 ? 1_000_000n : 1_000_000_000n);
  const inDay = ((ticks % perDay) + perDay) % perDay;
  return `${isoDate(Number((ticks - inDay) / perDay))}T${isoTime(inDay, fractionDigits)}`;
}

function pad(value: number, digits: number): string {
  return String(value).padStart(digits, '0');
}
