import { CodedError } from './errors.ts';

const BARE = /^[A-Za-z0-9_-]+$/;

/**
 * Splits a name such as `main."sales.eu".orders` at its dots.
 *
 * A segment that holds dots, quotes, backslashes or spaces stands in double or single quotes; a backslash makes the next
 * character an ordinary one, inside quotes and outside of them.
 *
 * @returns at least one segment; only a quoted segment may be empty.
 * @throws CodedError INVALID_ARGUMENT that says what is wrong and where (positions count from 1).
 */
export function parseName(text: string): string[] {
  return parseSegments(text).map(({ value }) => value);
}

/** A segment of a name. */
export interface NameSegment {
  value: string;
  /** Places in `value` (UTF-16) of what stood in quotes or behind a backslash, and so means nothing but itself. */
  quoted: ReadonlySet<number>;
}

/** Like `parseName`, for texts in which some characters mean more than themselves. */
export function parseSegments(text: string): NameSegment[] {
  const parts: NameSegment[] = [];
  let at = 0;
  for (;;) {
    const segment = text[at] === '"' || text[at] === "'" ? quotedSegment(text, at) : bareSegment(text, at);
    parts.push(segment);
    at = segment.end;
    if (at === text.length) return parts;
    if (text[at] !== '.') throw invalidName(text, at, 'expected a dot or the end after the closing quote');
    at += 1;
  }
}

/** Joins segments so that `parseName` gives them back. Only what must be quoted is quoted, always with double quotes. */
export function formatName(parts: readonly string[]): string {
  return parts.map(formatSegment).join('.');
}

function formatSegment(segment: string): string {
  return BARE.test(segment) ? segment : `"${segment.replace(/["\\]/g, '\\$&')}"`;
}

interface Segment extends NameSegment {
  /** Index after its last character. */
  end: number;
}

function quotedSegment(text: string, start: number): Segment {
  const quote = text[start];
  const quoted = new Set<number>();
  let value = '';
  for (let at = start + 1; at < text.length; at += 1) {
    const char = text[at];
    if (char === quote) return { value, quoted, end: at + 1 };
    if (char === '\\') {
      at += 1;
      if (at === text.length) throw invalidName(text, at - 1, 'nothing follows the backslash');
    }
    quoted.add(value.length);
    value += text[at];
  }
  throw invalidName(text, start, `the quote ${quote} is not closed`);
}

function bareSegment(text: string, start: number): Segment {
  const quoted = new Set<number>();
  let value = '';
  let at = start;
  for (; at < text.length && text[at] !== '.'; at += 1) {
    const char = text[at] as string;
    if (char === '"' || char === "'")
      throw invalidName(text, at, `a quote (${char}) inside a segment: quote the whole segment`);
    if (/\s/.test(char)) throw invalidName(text, at, 'a space outside of quotes: quote the segment');
    if (char === '\\') {
      at += 1;
      if (at === text.length) throw invalidName(text, at - 1, 'nothing follows the backslash');
      quoted.add(value.length);
    }
    value += text[at];
  }
  if (at === start) throw invalidName(text, at, 'an empty segment: write "" if that is meant');
  return { value, quoted, end: at };
}

function invalidName(text: string, index: number, what: string): CodedError {
  const shown = text.length > 200 ? `${text.slice(0, 200)}…` : text;
  return new CodedError('INVALID_ARGUMENT', `name '${shown}' is wrong at position ${index + 1}: ${what}`);
}

/** A name as a word of a shell's command line, to be shown in commands that people copy. */
export const shellWord = (text: string) => (/^[\w.-]+$/.test(text) ? text : `'${text.replaceAll("'", "'\\''")}'`);
