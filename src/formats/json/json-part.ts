import { mebibytes } from '../../text.ts';
import { LimitError, MalformedError } from '../malformed.ts';
import { COLON, COMMA, OPEN_ARRAY, OPEN_OBJECT, QUOTE } from './json-bytes.ts';
import { parseLosslessJson } from './lossless-json.ts';
import { checkJson, endOfString, scanJson } from './scan-json.ts';

/** Documents up to this size are parsed at once, the parts of larger ones when they are read. */
const WHOLE_BYTES = 256 * 1024;
/** Objects, arrays and strings from this size stay unparsed until they are read. */
const PART_BYTES = 64 * 1024;
/** What is parsed at once of a large document: more than the catalog accepts in any field, with white space. */
const MAX_PARSED_BYTES = 16 * 1024 * 1024;
const MAX_PARSED_VALUES = 500_000;
/** A key takes up to four times its size while it is read. */
const MAX_KEY_BYTES = 64 * 1024;

const DELIMITERS = Buffer.from(',]}"[{');

/**
 * Reads JSON like `parseLosslessJson`, but of large documents only the structure: objects and arrays in them are `JsonPart`s, of which
 * `JsonFields` parses what it is asked for. So the memory for a document of 128 MiB is its bytes and what the caller keeps.
 *
 * @param ends what may follow the document: white space, or, in files, anything (see `parseLosslessJsonFile`)
 * @throws MalformedError if it is not JSON, or nests too deeply
 */
export function* openJson(bytes: Buffer, ends: 'whole' | 'file'): Generator<void, unknown> {
  const start = startOf(bytes);
  if (bytes[start] !== OPEN_OBJECT && bytes[start] !== OPEN_ARRAY) {
    throw new MalformedError(`it is not JSON (it does not begin with an object); it has ${bytes.length} bytes`);
  }
  const scanned = yield* scanJson(bytes, start);
  const rest = skipSpace(bytes, scanned.end);
  if (ends === 'whole' && rest < bytes.length) {
    throw new MalformedError(`it is not JSON (something follows its end at byte ${scanned.end})`);
  }
  return new JsonPart(bytes, scanned.ends, start, scanned.end);
}

/** Whether a document is read in parts. */
export const isLargeJson = (bytes: Uint8Array) => bytes.length > WHOLE_BYTES;

/** A value in a large document that is not parsed yet. */
export class JsonPart {
  readonly #bytes: Buffer;
  readonly #ends: ReadonlyMap<number, number>;
  readonly #start: number;
  readonly #end: number;

  constructor(bytes: Buffer, ends: ReadonlyMap<number, number>, start: number, end: number) {
    this.#bytes = bytes;
    this.#ends = ends;
    this.#start = start;
    this.#end = end;
  }

  get isArray(): boolean {
    return this.#bytes[this.#start] === OPEN_ARRAY;
  }

  get isObject(): boolean {
    return this.#bytes[this.#start] === OPEN_OBJECT;
  }

  /** In bytes. */
  get length(): number {
    return this.#end - this.#start;
  }

  get isLarge(): boolean {
    return this.length > PART_BYTES;
  }

  /** The part's value if it is small, otherwise the part itself. Long strings are values, too. */
  value(path: string): unknown {
    if (this.isLarge && (this.isArray || this.isObject)) return this;
    return this.parsed(path);
  }

  /**
   * The whole value.
   *
   * @param path of the field, for messages
   * @throws LimitError if it takes too much memory; MalformedError if it is not JSON
   */
  parsed(path: string): unknown {
    if (this.length > MAX_PARSED_BYTES) {
      throw new LimitError(`${path} has ${mebibytes(this.length)}, at most ${mebibytes(MAX_PARSED_BYTES)} are read`);
    }
    if (this.isLarge) {
      checkJson(this.#bytes.subarray(this.#start, this.#end), path, MAX_PARSED_VALUES);
    }
    try {
      return parseLosslessJson(this.#bytes.toString('utf8', this.#start, this.#end));
    } catch (error) {
      if (!(error instanceof MalformedError)) throw error;
      // The engine's message quotes the text, which may contain credentials.
      throw new MalformedError(`it is not JSON (${path.slice(0, 200)}, from byte ${this.#start}, is not)`);
    }
  }

  /** The beginning of its text. */
  excerpt(maxBytes: number): string {
    return this.#bytes.toString('utf8', this.#start, Math.min(this.#end, this.#start + maxBytes));
  }

  /** The members of an object, or the elements of an array without keys. @throws MalformedError if it is not JSON */
  *children(): Generator<{ key: string; part: JsonPart }> {
    const bytes = this.#bytes;
    const isObject = this.isObject;
    const close = isObject ? 0x7d : 0x5d;
    let at = skipSpace(bytes, this.#start + 1);
    if (bytes[at] === close) return;
    for (;;) {
      let key = '';
      if (isObject) {
        const keyEnd = bytes[at] === QUOTE ? endOfString(bytes, at + 1) : -1;
        if (keyEnd < 0) throw notJson(at, 'a key');
        key = this.#key(at, keyEnd);
        at = skipSpace(bytes, keyEnd);
        if (bytes[at] !== COLON) throw notJson(at, 'a colon');
        at = skipSpace(bytes, at + 1);
      }
      const end = this.#endOfValue(at);
      yield { key, part: new JsonPart(bytes, this.#ends, at, end) };
      at = skipSpace(bytes, end);
      if (bytes[at] === close) return;
      if (bytes[at] !== COMMA) throw notJson(at, 'a comma');
      at = skipSpace(bytes, at + 1);
    }
  }

  #key(start: number, end: number): string {
    if (end - start > MAX_KEY_BYTES) {
      throw new LimitError(`a key at byte ${start} has ${end - start} bytes, at most ${MAX_KEY_BYTES} are read`);
    }
    try {
      return JSON.parse(this.#bytes.toString('utf8', start, end));
    } catch {
      throw notJson(start, 'a key');
    }
  }

  #endOfValue(start: number): number {
    const bytes = this.#bytes;
    const first = bytes[start];
    if (first === QUOTE) return endOfString(bytes, start + 1);
    if (first !== OPEN_OBJECT && first !== OPEN_ARRAY) {
      let end = start;
      while (end < this.#end && IS_DELIMITER[bytes[end] as number] === 0) end++;
      if (end === start) throw notJson(start, 'a value');
      return end;
    }
    const known = this.#ends.get(start);
    if (known !== undefined) return known;
    let depth = 0;
    for (let at = start; at < this.#end; ) {
      const byte = bytes[at++];
      if (byte === QUOTE) at = endOfString(bytes, at);
      else if (byte === OPEN_OBJECT || byte === OPEN_ARRAY) depth++;
      else if ((byte === 0x7d || byte === 0x5d) && --depth === 0) return at;
    }
    throw notJson(start, 'an object or array that ends');
  }
}

/** Whether a number, `true`, `false` or `null` ends before a byte. */
const IS_DELIMITER = Uint8Array.from({ length: 256 }, (_, byte) => Number(byte <= 0x20 || DELIMITERS.includes(byte)));

function notJson(at: number, expected: string): MalformedError {
  return new MalformedError(`it is not JSON (byte ${at} should be ${expected})`);
}

/** Position after the byte order mark and the white space at the beginning. */
function startOf(bytes: Buffer): number {
  const hasMark = bytes[0] === 0xef && bytes[1] === 0xbb && bytes[2] === 0xbf;
  return skipSpace(bytes, hasMark ? 3 : 0);
}

function skipSpace(bytes: Buffer, start: number): number {
  let at = start;
  for (let byte = bytes[at]; byte === 0x20 || byte === 0x0a || byte === 0x0d || byte === 0x09; ) byte = bytes[++at];
  return at;
}
