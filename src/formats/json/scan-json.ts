import { DepthError, LimitError, MalformedError } from '../malformed.ts';
import { atOnce } from '../paced.ts';
import { BACKSLASH, CLOSE_ARRAY, CLOSE_OBJECT, COMMA, OPEN_ARRAY, OPEN_OBJECT, QUOTE } from './json-bytes.ts';

/** Iceberg's metadata has about ten levels; each struct, list or map in a schema adds two. */
export const MAX_JSON_DEPTH = 200;
/** Objects and arrays from this size are noted, so that they can be skipped without reading them again. */
const NOTED_BYTES = 64 * 1024;
/** A pause is possible after this many bytes, which take about ten milliseconds. */
const PAUSE_BYTES = 2 * 1024 * 1024;

export interface ScannedJson {
  /** Position after the value. */
  end: number;
  /** Values in it, including objects and arrays. */
  values: number;
  /** Ends of the large objects and arrays in it, by their starts. */
  ends: ReadonlyMap<number, number>;
}

/**
 * Finds the end of the object or array at `start`, counts its values and checks its depth, in constant memory. Nothing else is checked: the
 * parser does that.
 *
 * @param what for messages
 * @throws MalformedError if it has no end or nests too deeply
 */
export function* scanJson(bytes: Uint8Array, start: number, what = 'it'): Generator<void, ScannedJson> {
  const opened = new Int32Array(MAX_JSON_DEPTH);
  const ends = new Map<number, number>();
  let depth = 0;
  let deepest = 0;
  let values = 1;
  let pause = start + PAUSE_BYTES;
  let at = start;
  while (at < bytes.length) {
    const byte = bytes[at++];
    if (byte === QUOTE) at = endOfString(bytes, at);
    else if (byte === COMMA) values++;
    else if (byte === OPEN_OBJECT || byte === OPEN_ARRAY) {
      values++;
      if (depth < MAX_JSON_DEPTH) opened[depth] = at - 1;
      depth++;
      if (depth > deepest) deepest = depth;
    } else if (byte === CLOSE_OBJECT || byte === CLOSE_ARRAY) {
      depth--;
      if (depth < MAX_JSON_DEPTH) {
        const from = opened[depth] as number;
        if (at - from > NOTED_BYTES) ends.set(from, at);
        if (depth <= 0) break;
      }
    }
    if (at >= pause) {
      pause = at + PAUSE_BYTES;
      yield;
    }
  }
  if (deepest > MAX_JSON_DEPTH) {
    const levels = deepest.toLocaleString('en-US');
    throw new DepthError(`${what} nests ${levels} levels deep; at most ${MAX_JSON_DEPTH} are read`);
  }
  if (depth !== 0 || at > bytes.length) {
    throw new MalformedError(
      `it is not JSON (it ends within an object, array or string); it has ${bytes.length} bytes`,
    );
  }
  return { end: at, values, ends };
}

/** Position after the string whose content starts at `at`; beyond the end if it does not end. */
export function endOfString(bytes: Uint8Array, at: number): number {
  let next = at;
  let searchedFrom = at + SEARCHED_BYTES;
  for (;;) {
    if (next > searchedFrom) {
      const quote = bytes.indexOf(QUOTE, next);
      if (quote < 0) return bytes.length + 1;
      let backslashes = 0;
      while (quote - backslashes > next && bytes[quote - 1 - backslashes] === BACKSLASH) backslashes++;
      if (backslashes % 2 === 0) return quote + 1;
      next = quote + 1;
      searchedFrom = next + SEARCHED_BYTES;
    }
    const byte = bytes[next++];
    if (byte === QUOTE) return next;
    if (byte === BACKSLASH) next++;
    else if (byte === undefined) return bytes.length + 1;
  }
}

/**
 * After this many bytes without a quote, the engine searches the next one: a tenth of the time for long texts, but ten times as long for each
 * quote in texts full of escaped ones.
 */
const SEARCHED_BYTES = 256;

/**
 * Checks JSON that is to be parsed at once: parsed values take up to a hundred times the memory of their text.
 *
 * @throws MalformedError if it nests too deeply, LimitError if it has more than `maxValues` values
 */
export function checkJson(bytes: Uint8Array, what: string, maxValues: number): void {
  const start = bytes.findIndex((byte) => byte === OPEN_ARRAY || byte === OPEN_OBJECT || byte === QUOTE);
  // A number, or no JSON.
  if (start < 0 || bytes[start] === QUOTE) return;
  const { values } = atOnce(scanJson(bytes, start, what));
  if (values > maxValues) {
    const [found, limit] = [values, maxValues].map((count) => count.toLocaleString('en-US'));
    throw new LimitError(`${what} has ${found} values; at most ${limit} are read`);
  }
}
