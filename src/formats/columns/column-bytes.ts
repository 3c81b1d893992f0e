import { COLUMNS } from './packed-columns.ts';

/** Longest bound that is copied byte by byte. */
const MAX_SHORT = 32;

/** Writes a non-negative safe integer. @returns its end */
export function number(out: Uint8Array, from: number, tag: number, value: number): number {
  let at = from;
  out[at++] = tag;
  let rest = value;
  while (rest > 0x7f) {
    // Bit operations are correct only below 2^31.
    out[at++] = (rest < 0x8000_0000 ? rest & 0x7f : rest % 0x80) | 0x80;
    rest = rest < 0x8000_0000 ? rest >>> 7 : Math.floor(rest / 0x80);
  }
  out[at++] = rest;
  return at;
}

/** Writes a part of `source`. @returns its end */
export function part(
  out: Uint8Array,
  from: number,
  tag: number,
  source: Uint8Array,
  start: number,
  length: number,
): number {
  const at = number(out, from, tag, length);
  // Most bounds are short, and a call into native code costs more than to copy them here.
  if (length > MAX_SHORT) out.set(source.subarray(start, start + length), at);
  else for (let i = 0; i < length; i++) out[at + i] = source[start + i] as number;
  return at + length;
}

/** Moves a column whose length needs more than the one byte before its start. @returns its end */
export function moved(out: Uint8Array, start: number, end: number): number {
  const size = end - start;
  const extra = size < 0x4000 ? 1 : size < 0x20_0000 ? 2 : size < 0x1000_0000 ? 3 : 4;
  out.copyWithin(start + extra, start, end);
  number(out, start - 2, COLUMNS, size);
  return end + extra;
}
