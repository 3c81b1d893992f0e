/** Days of a month that is not February. */
const DAYS = [31, 29, 31, 30, 31, 30, 31, 31, 30, 31, 30, 31];
export const MICROS_PER_DAY = 86_400_000_000;

/** A date or timestamp in text; one object is reused. */
export class TimeText {
  /** Since 1970-01-01, in UTC if the text has an offset. */
  days = 0;
  /** Since midnight: negative or beyond a day if the offset leads there. */
  micros = 0;
  hasTime = false;
  /** Whether digits beyond milliseconds make the text exact. */
  isExact = false;

  /**
   * Reads `2024-01-31`, `2024-01-31T13:01:02.003Z` or `2024-01-31 13:01:02.003`: months, days and hours of one digit, years of up to six, and
   * offsets such as `-08:00`, `+0530` and `+00:53:28` occur, too.
   *
   * @returns whether the text between the positions is one
   */
  read(bytes: Buffer, from: number, to: number): boolean {
    let at = from;
    let sign = 1;
    const first = bytes[at] as number;
    if (first === 0x2d || first === 0x2b) {
      if (first === 0x2d) sign = -1;
      at++;
    }
    let end = digitsEnd(bytes, at, to);
    if (end - at < 4 || end - at > 6 || (bytes[end] as number) !== 0x2d) return false;
    const year = sign * integer(bytes, at, end);
    at = end + 1;
    end = digitsEnd(bytes, at, to);
    if (end - at < 1 || end - at > 2 || (bytes[end] as number) !== 0x2d) return false;
    const month = integer(bytes, at, end);
    at = end + 1;
    end = Math.min(digitsEnd(bytes, at, to), to);
    if (end - at < 1 || end - at > 2) return false;
    const day = integer(bytes, at, end);
    if (month < 1 || month > 12 || day < 1 || day > (DAYS[month - 1] as number)) return false;
    if (month === 2 && day === 29 && !isLeap(year)) return false;
    this.days = daysOf(year, month, day);
    this.micros = 0;
    this.hasTime = false;
    this.isExact = true;
    return end === to || this.#time(bytes, end, to);
  }

  #time(bytes: Buffer, from: number, to: number): boolean {
    const separator = bytes[from] as number;
    if (separator !== 0x54 && separator !== 0x20) return false;
    let at = from + 1;
    let end = digitsEnd(bytes, at, to);
    if (end - at < 1 || end - at > 2) return false;
    const hour = integer(bytes, at, end);
    const minute = twoDigits(bytes, end, to);
    if (hour > 23 || minute < 0) return false;
    at = end + 3;
    let second = 0;
    if (at < to && (bytes[at] as number) === 0x3a) {
      second = twoDigits(bytes, at, to);
      if (second < 0) return false;
      at += 3;
    }
    let fraction = 0;
    this.isExact = false;
    if (at < to && (bytes[at] as number) === 0x2e) {
      end = digitsEnd(bytes, at + 1, to);
      if (end === at + 1) return false;
      for (let digit = 0; digit < 6; digit++) {
        const place = at + 1 + digit;
        const value = place < end ? (bytes[place] as number) - 0x30 : 0;
        fraction = fraction * 10 + value;
        if (digit > 2 && value > 0) this.isExact = true;
      }
      // No timestamp of Delta has nanoseconds. If one had, the microseconds would not be its upper bound.
      for (let place = at + 7; place < end; place++) if ((bytes[place] as number) !== 0x30) this.isExact = false;
      at = end;
    }
    const offset = offsetSeconds(bytes, at, to);
    if (offset === undefined) return false;
    this.micros = (hour * 3600 + minute * 60 + second - offset) * 1_000_000 + fraction;
    this.hasTime = true;
    return true;
  }
}

/** @returns seconds east of UTC; 0 without an offset, undefined if it is none */
function offsetSeconds(bytes: Buffer, from: number, to: number): number | undefined {
  let at = from;
  while (at < to && (bytes[at] as number) === 0x20) at++;
  if (at === to) return 0;
  const first = bytes[at] as number;
  if (first === 0x5a) return at + 1 === to ? 0 : undefined;
  if (first !== 0x2b && first !== 0x2d) return undefined;
  const [, hours, minutes = 0, seconds = 0] =
    /^.(\d{1,2})(?::?(\d{2})(?::?(\d{2}))?)?$/.exec(bytes.toString('latin1', at, Math.min(to, at + 12))) ?? [];
  if (hours === undefined || to - at > 9 || Number(hours) > 18 || Number(minutes) > 59 || Number(seconds) > 59)
    return undefined;
  const offset = Number(hours) * 3600 + Number(minutes) * 60 + Number(seconds);
  return first === 0x2d ? -offset : offset;
}

/** The number below 60 after the colon at `at`; -1 if there is none. */
function twoDigits(bytes: Buffer, at: number, to: number): number {
  if (at + 3 > to || (bytes[at] as number) !== 0x3a || digitsEnd(bytes, at + 1, at + 3) !== at + 3) return -1;
  const value = integer(bytes, at + 1, at + 3);
  return value < 60 ? value : -1;
}

function digitsEnd(bytes: Buffer, from: number, to: number): number {
  let at = from;
  while (at < to) {
    const code = bytes[at] as number;
    if (code < 0x30 || code > 0x39) break;
    at++;
  }
  return at;
}

function integer(bytes: Buffer, from: number, to: number): number {
  let value = 0;
  for (let at = from; at < to; at++) value = value * 10 + (bytes[at] as number) - 0x30;
  return value;
}

const isLeap = (year: number) => year % 4 === 0 && (year % 100 !== 0 || year % 400 === 0);

/** Days since 1970-01-01 of a date of the proleptic Gregorian calendar: https://howardhinnant.github.io/date_algorithms.html */
function daysOf(year: number, month: number, day: number): number {
  const shifted = month <= 2 ? year - 1 : year;
  const era = Math.floor(shifted / 400);
  const yearOfEra = shifted - era * 400;
  const dayOfYear = Math.floor((153 * (month + (month > 2 ? -3 : 9)) + 2) / 5) + day - 1;
  const dayOfEra = yearOfEra * 365 + Math.floor(yearOfEra / 4) - Math.floor(yearOfEra / 100) + dayOfYear;
  return era * 146_097 + dayOfEra - 719_468;
}
