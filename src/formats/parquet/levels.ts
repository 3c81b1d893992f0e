import { broken } from './broken.ts';

/**
 * Decodes Parquet's hybrid of run lengths and bit packing (Encodings.md, "RLE"), which encodes dictionary indices and levels.
 *
 * hyparquet's own decoder does not limit runs to the expected count, so a hostile file could exhaust the memory.
 *
 * @param count number of values to decode
 * @throws CodedError `DATA_LOSS` if the bytes contain fewer
 */
export function decodeHybrid(bytes: Uint8Array, bitWidth: number, count: number): Uint32Array {
  const values = new Uint32Array(count);
  if (bitWidth === 0) return values;
  if (bitWidth > 32) throw broken(`a page has indices of ${bitWidth} bits`);
  let at = 0;
  let filled = 0;
  while (filled < count) {
    let header = 0;
    for (let shift = 0; ; shift += 7) {
      const byte = bytes[at++];
      if (byte === undefined || shift > 28) throw broken('a page ends in the middle of its indices');
      header += (byte & 0x7f) * 2 ** shift;
      if (byte < 0x80) break;
    }
    if (header % 2 === 0) {
      const width = (bitWidth + 7) >> 3;
      let value = 0;
      for (let i = 0; i < width; i++) value += (bytes[at + i] ?? 0) * 2 ** (8 * i);
      at += width;
      const end = Math.min(count, filled + header / 2);
      if (at > bytes.length || end === filled) throw broken('a page ends in the middle of its indices');
      values.fill(value, filled, end);
      filled = end;
    } else {
      const end = Math.min(count, filled + ((header - 1) / 2) * 8);
      if (at >= bytes.length) throw broken('a page ends in the middle of its indices');
      unpack(bytes, at, bitWidth, values, filled, end);
      at += ((header - 1) / 2) * bitWidth;
      filled = end;
    }
  }
  return values;
}

/** Unpacks values of `bitWidth` bits, least significant bit first. Bytes after the end count as 0, because writers omit them. */
function unpack(
  bytes: Uint8Array,
  start: number,
  bitWidth: number,
  values: Uint32Array,
  from: number,
  to: number,
): void {
  const mask = bitWidth === 32 ? 0xffff_ffff : 2 ** bitWidth - 1;
  let bits = 0; // a number of up to 39 bits
  let have = 0;
  let at = start;
  for (let index = from; index < to; index++) {
    while (have < bitWidth) {
      bits += (bytes[at++] ?? 0) * 2 ** have;
      have += 8;
    }
    values[index] = bitWidth === 32 ? bits % 2 ** 32 : bitWidth > 24 ? bits % (mask + 1) : bits & mask;
    bits = Math.floor(bits / 2 ** bitWidth);
    have -= bitWidth;
  }
}
