import { mebibytes } from '../../../text.ts';
import { LINE_FEED } from '../../json/json-bytes.ts';
import { checkJson } from '../../json/scan-json.ts';
import { LimitError, MalformedError } from '../../malformed.ts';
import { Turns } from '../../paced.ts';

/** Reads the bytes from `start` to `end`, and fewer at the file's end. */
export type ReadBytes = (start: number, end: number) => Promise<Uint8Array>;

/** Lines are cut from this much at once: about a thousand actions. */
const CHUNK_BYTES = 1024 * 1024;
/** Read with the first request, and with each of the others. Most commits are small. */
export const FIRST_READ_BYTES = CHUNK_BYTES;
const READ_BYTES = 4 * CHUNK_BYTES;
/** Statistics of a file with thousands of columns have a few MiB. */
const MAX_LINE_BYTES = 32 * 1024 * 1024;
/** Longer lines are checked before they are parsed, because parsed values may take a hundred times the memory of their text. */
const LARGE_LINE_BYTES = 256 * 1024;
const MAX_LINE_VALUES = 500_000;

/** Whole lines. Some may be blank, and the file's last one may have no end. */
export class LineChunk {
  readonly bytes: Buffer;
  /** Number of lines before these in the range. */
  readonly before: number;
  /** Position after these lines. */
  readonly end: number;

  constructor(bytes: Buffer, before: number, end: number) {
    this.bytes = bytes;
    this.before = before;
    this.end = end;
  }

  get lines(): string[] {
    const lines = this.bytes.toString('utf8').split('\n');
    if (lines.at(-1) === '') lines.pop();
    return lines;
  }

  /** The position of a byte in the file. */
  position(at: number): number {
    return this.end - this.bytes.length + at;
  }
}

/**
 * Reads the lines that begin in a range of a file with JSON lines, about a MiB at a time. Memory is bounded whatever the file contains.
 *
 * @param options.from first byte of the range; a line that began before it belongs to the range before
 * @param options.to the range's end, exclusive; the end of the file by default
 * @throws LimitError if a line is too long
 */
export async function* readLines(
  read: ReadBytes,
  { from = 0, to = Number.POSITIVE_INFINITY, signal }: { from?: number; to?: number; signal?: AbortSignal } = {},
): AsyncGenerator<LineChunk> {
  const turns = new Turns();
  // The byte before shows whether a line begins at `from`.
  let position = Math.max(0, from - 1);
  let isBeforeFirst = from > 0;
  let before = 0;
  let unfinished: Buffer[] = [];
  let unfinishedBytes = 0;
  const take = (end: number, bytes?: Buffer): LineChunk => {
    const whole = unfinishedBytes > 0 ? Buffer.concat([...unfinished, ...(bytes ? [bytes] : [])]) : (bytes as Buffer);
    [unfinished, unfinishedBytes] = [[], 0];
    const chunk = new LineChunk(whole, before, end);
    before += countLines(whole);
    return chunk;
  };
  let reading = read(position, position + FIRST_READ_BYTES);
  for (let requested = FIRST_READ_BYTES; ; requested = READ_BYTES) {
    signal?.throwIfAborted();
    const block = toBuffer(await reading);
    const isLast = block.length < requested;
    if (!isLast) {
      // The next bytes arrive while these are parsed. The caller may end before they are awaited.
      reading = read(position + block.length, position + block.length + READ_BYTES);
      reading.catch(() => undefined);
    }
    let at = 0;
    if (isBeforeFirst) {
      const end = block.indexOf(LINE_FEED);
      at = end < 0 ? block.length : end + 1;
      isBeforeFirst = end < 0;
    }
    while (at < block.length) {
      if (position + at - unfinishedBytes >= to) return;
      const end = endOfLines(block, at, to - position);
      if (end === undefined) {
        unfinished.push(block.subarray(at));
        unfinishedBytes += block.length - at;
        if (unfinishedBytes > MAX_LINE_BYTES) throw new LimitError(`a line has more than ${mebibytes(MAX_LINE_BYTES)}`);
        break;
      }
      yield take(position + end, block.subarray(at, end));
      at = end;
      if (turns.isOver) await turns.next();
    }
    position += block.length;
    if (isLast) break;
  }
  if (unfinishedBytes > 0) yield take(position);
}

/** Position after the last line that ends in the next chunk and begins before `to`; undefined if no line ends in the block. */
function endOfLines(block: Buffer, at: number, to: number): number | undefined {
  let end = block.lastIndexOf(LINE_FEED, Math.min(at + CHUNK_BYTES, block.length) - 1);
  if (end < at) end = block.indexOf(LINE_FEED, at);
  if (end < at) return undefined;
  const last = end >= to ? block.indexOf(LINE_FEED, Math.max(at, to - 1)) : end;
  return Math.min(end, last) + 1;
}

function countLines(bytes: Buffer): number {
  let lines = 0;
  for (let at = 0; at < bytes.length; lines++) at = lineEnd(bytes, at) + 1;
  return lines;
}

/** Position of the line feed that ends the line, or the end of the bytes. */
export function lineEnd(bytes: Buffer, start: number): number {
  const end = bytes.indexOf(LINE_FEED, start);
  return end < 0 ? bytes.length : end;
}

/** @throws MalformedError if the line is not a JSON object, LimitError if it has too many values */
export function parseLine(line: string): Record<string, unknown> {
  let value: unknown;
  if (line.length > LARGE_LINE_BYTES) checkJson(Buffer.from(line), 'a line', MAX_LINE_VALUES);
  try {
    value = JSON.parse(line);
  } catch (cause) {
    throw new MalformedError(`a line is not JSON (${(cause as Error).message.slice(0, 200)})`);
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw new MalformedError('a line is not a JSON object');
}

function toBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
