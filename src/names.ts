import { CodedError } from './errors.ts';
import { truncate } from './text.ts';

const BARE = /^[A-Za-z0-9_-]+$/;

/**
 * Splits a name such as `main."sales.eu".orders` at its dots.
 *
 * A segment that contains dots, quotes, backslashes or spaces must be in double or single quotes. A backslash, inside or outside
 * quotes, makes the next character an ordinary one.
 *
 * @returns at least one segment; only a quoted segment can be empty
 * @throws CodedError INVALID_ARGUMENT that names the problem and its position, counted from 1
 */
export function parseName(text: string): string[] {
  return parseSegments(text).map(({ value }) => value);
}

/** A segment of a name. */
export interface NameSegment {
  value: string;
  /** Indices in `value` (UTF-16) of the characters that were quoted or escaped, and so have no special meaning. */
  quoted: ReadonlySet<number>;
}

/** Like `parseName`, for texts in which unquoted characters can have a special meaning. */
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

/** Joins segments into a name that `parseName` splits into the same segments. Segments are double-quoted only if necessary. */
export function formatName(parts: readonly string[]): string {
  return parts.map(formatSegment).join('.');
}

function formatSegment(segment: string): string {
  return BARE.test(segment) ? segment : `"${segment.replace(/["\\]/g, '\\$&')}"`;
}

interface Segment extends NameSegment {
  /** Index after the segment's last character. */
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
    if (/\s/.test(char)) throw invalidName(text, at, 'a space outside quotes: quote the segment');
    if (char === '\\') {
      at += 1;
      if (at === text.length) throw invalidName(text, at - 1, 'nothing follows the backslash');
      quoted.add(value.length);
    }
    value += text[at];
  }
  if (at === start) throw invalidName(text, at, 'an empty segment: write "" for an empty name');
  return { value, quoted, end: at };
}

function invalidName(text: string, index: number, problem: string): CodedError {
  return new CodedError(
    'INVALID_ARGUMENT',
    `name '${truncate(text, 200)}' is invalid at position ${index + 1}: ${problem}`,
  );
}
