import { MalformedError } from '../malformed.ts';

/**
 * Decompresses Snappy's raw format (https://github.com/google/snappy/blob/main/format_description.txt).
 *
 * The npm package `snappyjs` moves backwards in its input on a negative literal length, and so can loop forever on corrupt bytes. This
 * implementation only moves forward. The tests compare it with `snappyjs`.
 */
export function snappyDecompress(input: Uint8Array, maxBytes: number): Buffer {
  let position = 0;
  let length = 0;
  for (let shift = 0; ; shift += 7) {
    const byte = input[position++];
    if (byte === undefined || shift > 28) throw broken('its length is not terminated');
    length += (byte & 0x7f) * 2 ** shift;
    if (byte < 0x80) break;
  }
  // A copy of 64 bytes takes 3 bytes, so a length of more than 22 times the input is corrupt and must not be allocated.
  if (length > maxBytes || length > input.length * 22) throw broken(`it claims to have ${length} uncompressed bytes`);

  const output = Buffer.allocUnsafe(length);
  let filled = 0;
  while (position < input.length) {
    const tag = input[position++] as number;
    if ((tag & 3) === 0) {
      let size = tag >>> 2;
      if (size >= 60) {
        const bytes = size - 59;
        size = littleEndian(input, position, bytes);
        position += bytes;
      }
      size += 1;
      if (position + size > input.length || filled + size > length) throw broken('a literal is too long');
      output.set(input.subarray(position, position + size), filled);
      position += size;
      filled += size;
      continue;
    }
    let size = (tag >>> 2) + 1;
    let offset: number;
    if ((tag & 3) === 1) {
      size = ((tag >>> 2) & 7) + 4;
      offset = ((tag >>> 5) << 8) | littleEndian(input, position, 1);
      position += 1;
    } else {
      const bytes = (tag & 3) === 2 ? 2 : 4;
      offset = littleEndian(input, position, bytes);
      position += bytes;
    }
    if (offset === 0 || offset > filled || filled + size > length) throw broken('a copy is out of bounds');
    if (offset >= size) {
      output.copyWithin(filled, filled - offset, filled - offset + size);
    } else {
      // The copy overlaps its own output, which repeats it.
      for (let i = 0; i < size; i++) output[filled + i] = output[filled - offset + i] as number;
    }
    filled += size;
  }
  if (filled !== length) throw broken(`it ends after ${filled} of ${length} bytes`);
  return output;
}

function littleEndian(input: Uint8Array, position: number, bytes: number): number {
  if (position + bytes > input.length) throw broken('it ends in the middle of a number');
  let value = 0;
  for (let i = bytes - 1; i >= 0; i--) value = value * 256 + (input[position + i] as number);
  return value;
}

function broken(what: string): MalformedError {
  return new MalformedError(`a snappy block is corrupt: ${what}`);
}
