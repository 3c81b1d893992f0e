import { InvalidArgumentError, Option } from 'commander';
import { parseName } from '../../names.ts';

/**
 * Parsers of option values. The message of the error that each throws continues `--option 'value'`, as `describeUsage` in `usage.ts` prints it:
 * "is not a duration, for example 15m".
 */

export function port(text: string): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= 1 && value <= 65_535) return value;
  throw new InvalidArgumentError('is not a port: give a number from 1 to 65535');
}

/** A snapshot id: a signed 64-bit integer, which a JavaScript number cannot hold exactly. */
export function snapshotId(text: string): bigint {
  if (/^-?\d{1,19}$/.test(text)) {
    const value = BigInt(text);
    if (BigInt.asIntN(64, value) === value) return value;
  }
  throw new InvalidArgumentError(
    'is not a snapshot id, which is a 64-bit integer; `reconciler snapshot list` shows the ids',
  );
}

export function positiveInteger(text: string): number {
  const value = Number(text);
  if (/^\d+$/.test(text) && value >= 1 && Number.isSafeInteger(value)) return value;
  throw new InvalidArgumentError('is not a whole number of at least 1');
}

export function requestRate(text: string): number {
  const value = Number(text);
  if (text.trim() !== '' && (value === 0 || (value >= 0.01 && value <= 100_000))) return value;
  throw new InvalidArgumentError('is not a number from 0.01 to 100000, or 0 for no limit');
}

export function share(text: string): number {
  const value = Number(text);
  if (text.trim() !== '' && value >= 0 && value <= 1) return value;
  throw new InvalidArgumentError('is not a share: give a number from 0 to 1, such as 0.25');
}

/** ISO 8601 with a time zone, so that the zone is never guessed. A date alone means midnight UTC. */
export function time(text: string): Date {
  const form = /^\d{4}-\d\d-\d\d(T\d\d:\d\d(:\d\d(\.\d+)?)?(Z|[+-]\d\d:\d\d))?$/;
  const value = new Date(text);
  if (form.test(text) && !Number.isNaN(value.getTime())) return value;
  throw new InvalidArgumentError(
    'is not a time in ISO 8601 with a time zone: give 2026-07-01T12:00:00Z, 2026-07-01T14:00:00+02:00 or 2026-07-01',
  );
}

/** A time, or how long ago it was: `90s`, `15m`, `6h`, `7d`. */
export function since(text: string): Date {
  if (/^\d{1,9}[smhd]$/.test(text)) return new Date(Date.now() - interval(text) * 1000);
  if (/^\d{4}-/.test(text)) return time(text);
  throw new InvalidArgumentError(
    'is neither a time, such as 2026-07-01T12:00:00Z, nor how long ago it was: 15m, 2h, 7d',
  );
}

const SECONDS = { s: 1, m: 60, h: 3_600, d: 86_400 };

/** A name of one or more segments, such as `sales.eu`; returned as it is written. */
export function namePath(text: string): string {
  try {
    if (text !== '') parseName(text);
    return text;
  } catch (error) {
    throw new InvalidArgumentError((error as Error).message.replace(/^name '[\s\S]*' (?=is invalid at position)/, ''));
  }
}

/** The address of an upstream. Which schemes a kind of connector supports is checked by the catalog service. */
export function uri(text: string): string {
  // An empty text clears the field.
  if (text === '' || URL.canParse(text)) return text;
  const example = text.startsWith('/') ? `file://${text}` : 'file:///warehouse or https://catalog.example.com';
  throw new InvalidArgumentError(`is not a URI, for example ${example}`);
}

/** Seconds of `90s`, `15m`, `6h`, `1d`, or of a bare number of seconds. */
export function interval(text: string): number {
  const [, amount, unit] = /^(\d{1,9})([smhd]?)$/.exec(text) ?? [];
  if (amount === undefined) throw new InvalidArgumentError('is not a duration, for example 90s, 15m, 6h or 1d');
  return Number(amount) * SECONDS[(unit || 's') as keyof typeof SECONDS];
}

/** `key=value`; the option may be repeated. */
export function keyValue(text: string, before: Record<string, string> = {}): Record<string, string> {
  const at = text.indexOf('=');
  if (at < 1) throw new InvalidArgumentError('is not key=value');
  return { ...before, [text.slice(0, at)]: text.slice(at + 1) };
}

/** Comma-separated; the option may be repeated. A comma in quotes belongs to its item. */
export function list(text: string, before: string[] = []): string[] {
  const items = text.match(/(?:"(?:\\.|[^"\\])*"|'(?:\\.|[^'\\])*'|[^,])+/g) ?? [];
  return [...before, ...items.map((item) => item.trim()).filter((item) => item !== '')];
}

/** One value; the option may be repeated. */
export function each(text: string, before: string[] = []): string[] {
  return [...before, text];
}

export const limitOption = () => new Option('--limit <n>', 'show at most this many').argParser(positiveInteger);
export const snapshotOption = () =>
  new Option('--snapshot <id>', 'this snapshot (default: the current one)').argParser(snapshotId);
export const columnsOption = () =>
  new Option('--columns <list>', 'only these columns: names, dotted paths or #id').argParser(list);
