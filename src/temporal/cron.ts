import { CodedError } from '../errors.ts';
import { truncate } from '../text.ts';

const FIELDS = {
  minute: { name: 'minute', min: 0, max: 59 },
  hour: { name: 'hour', min: 0, max: 23 },
  dayOfMonth: { name: 'day of month', min: 1, max: 31 },
  month: { name: 'month', min: 1, max: 12 },
  dayOfWeek: { name: 'day of week', min: 0, max: 7 },
} as const;

type Field = keyof typeof FIELDS;

/** A time matches if each of its fields is among the listed values. Lists are sorted; Sunday is 0. */
export type Calendar = Record<Field, number[]>;

/** Names may be abbreviated to three letters for a month and two for a day. */
const MONTHS = 'january february march april may june july august september october november december'.split(' ');
const DAYS = 'sunday monday tuesday wednesday thursday friday saturday'.split(' ');

const ALIASES: Record<string, string> = {
  '@yearly': '0 0 1 1 *',
  '@annually': '0 0 1 1 *',
  '@monthly': '0 0 1 * *',
  '@weekly': '0 0 * * 0',
  '@daily': '0 0 * * *',
  '@midnight': '0 0 * * *',
  '@hourly': '0 * * * *',
};

/**
 * Parses a cron expression of five fields as Temporal's server does. The server reports a wrong one only when a schedule is created.
 *
 * @throws CodedError INVALID_ARGUMENT that names the wrong field and what it may contain
 */
export function parseCron(cron: string): Calendar {
  const fields = (ALIASES[cron.trim()] ?? cron).trim().split(/\s+/);
  if (fields.length !== 5 || cron.trim().startsWith('@') !== cron.trim() in ALIASES) {
    throw invalid(
      `'${shorten(cron)}' is neither five fields (minute, hour, day of month, month, day of week) nor one of ${Object.keys(ALIASES).join(', ')}`,
    );
  }
  const names = Object.keys(FIELDS) as Field[];
  return Object.fromEntries(names.map((field, index) => [field, valuesOf(fields[index]!, field, cron)])) as Calendar;
}

/** Parses `*`, `5` and `1-5`, each optionally followed by a step such as `/2`, and lists of them. */
function valuesOf(text: string, field: Field, cron: string): number[] {
  const { name, min, max } = FIELDS[field];
  const values = new Set<number>();
  for (const part of text.split(',')) {
    const [, range = '', from, to, step] = /^(\*|(\w+)(?:-(\w+))?)(?:\/(\d{1,4}))?$/.exec(part) ?? [];
    const start = range === '*' ? min : numberOf(from, field);
    const end = range === '*' ? max : to !== undefined ? numberOf(to, field) : step !== undefined ? max : start;
    const isValid = start !== undefined && end !== undefined && start >= min && end <= max && start <= end;
    if (!isValid || Number(step) === 0) {
      throw invalid(
        `'${shorten(cron)}': '${shorten(part)}' is not a valid ${name}: use values from ${min} to ${max}, ranges such as 1-5, */2, or *`,
      );
    }
    for (let value = start; value <= end; value += Number(step ?? 1)) {
      // Sunday is both 0 and 7.
      values.add(field === 'dayOfWeek' ? value % 7 : value);
    }
  }
  return [...values].sort((a, b) => a - b);
}

function numberOf(text: string | undefined, field: Field): number | undefined {
  if (text === undefined) return undefined;
  if (/^\d{1,4}$/.test(text)) return Number(text);
  const startsWith = (minLength: number) => (name: string) =>
    text.length >= minLength && name.startsWith(text.toLowerCase());
  const found =
    field === 'month'
      ? MONTHS.findIndex(startsWith(3)) + 1 || -1
      : field === 'dayOfWeek'
        ? DAYS.findIndex(startsWith(2))
        : -1;
  return found < 0 ? undefined : found;
}

const shorten = (text: string) => truncate(text, 100);

function invalid(message: string): CodedError {
  return new CodedError('INVALID_ARGUMENT', message);
}
