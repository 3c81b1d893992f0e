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
  const parts: string[] = [];
  let at = 0;
  for (;;) {
    const segment = text[at] === '"' || text[at] === "'" ? quotedSegment(text, at) : bareSegment(text, at);
    parts.push(segment.value);
    at = segment.end;
    if (at === text.length) return parts;
    if (text[at] !== '.') throw wrong(text, at, 'expected a dot or the end after the closing quote');
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

interface Segment {
  value: string;
  /** Index after its last character. */
  end: number;
}

function quotedSegment(text: string, start: number): Segment {
  const quote = text[start];
  let value = '';
  for (let at = start + 1; at < text.length; at += 1) {
    const char = text[at];
    if (char === quote) return { value, end: at + 1 };
    if (char === '\\') {
      at += 1;
      if (at === text.length) throw wrong(text, at - 1, 'nothing follows the backslash');
    }
    value += text[at];
  }
  throw wrong(text, start, `the quote ${quote} is not closed`);
}

function bareSegment(text: string, start: number): Segment {
  let value = '';
  let at = start;
  for (; at < text.length && text[at] !== '.'; at += 1) {
    const char = text[at] as string;
    if (char === '"' || char === "'")
      throw wrong(text, at, `a quote (${char}) inside a segment: quote the whole segment`);
    if (/\s/.test(char)) throw wrong(text, at, 'a space outside of quotes: quote the segment');
    if (char === '\\') {
      at += 1;
      if (at === text.length) throw wrong(text, at - 1, 'nothing follows the backslash');
    }
    value += text[at];
  }
  if (at === start) throw wrong(text, at, 'an empty segment: write "" if that is meant');
  return { value, end: at };
}

function wrong(text: string, index: number, what: string): CodedError {
  const shown = text.length > 200 ? `${text.slice(0, 200)}…` : text;
  return new CodedError('INVALID_ARGUMENT', `name '${shown}' is wrong at position ${index + 1}: ${what}`);
}
