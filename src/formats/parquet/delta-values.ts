import { deltaBinaryUnpack } from 'hyparquet/src/delta.js';
import { readVarInt } from 'hyparquet/src/thrift.js';
import { CodedError } from '../../errors.ts';
import { broken } from './broken.ts';

interface Reader {
  view: DataView;
  offset: number;
}

/** Maximum bytes after expanding prefixes; a page of a few KiB could expand to any size. */
const MAX_EXPANDED_BYTES = 64 * 1024 * 1024;

/** DELTA_BINARY_PACKED (Encodings.md). hyparquet trusts the header, and a negative number in it would cause an infinite loop. */
export function unpackDeltas<T extends Int32Array | BigInt64Array>(reader: Reader, output: T): T {
  if (output.length === 0) return output;
  const start = reader.offset;
  const blockSize = readVarInt(reader);
  const miniblocks = readVarInt(reader);
  reader.offset = start;
  if (miniblocks < 1 || miniblocks > blockSize || blockSize > 1 << 20 || blockSize % miniblocks !== 0) {
    throw broken(`a page has blocks of ${blockSize} values in ${miniblocks} parts`);
  }
  deltaBinaryUnpack(reader, output.length, output);
  return output;
}

/** DELTA_LENGTH_BYTE_ARRAY: the lengths, then the bytes. */
export function unpackByteArrays(reader: Reader, count: number): Uint8Array[] {
  const lengths = unpackDeltas(reader, new Int32Array(count));
  return Array.from(lengths, (length) => take(reader, length));
}

/** DELTA_BYTE_ARRAY: the length of the prefix that each value shares with the previous one, then the suffixes. */
export function unpackPrefixed(reader: Reader, count: number): Uint8Array[] {
  const prefixes = unpackDeltas(reader, new Int32Array(count));
  const suffixes = unpackByteArrays(reader, count);
  let expanded = 0;
  let previous: Uint8Array = new Uint8Array(0);
  return suffixes.map((suffix, index) => {
    const prefix = prefixes[index] as number;
    if (prefix === 0) {
      previous = suffix;
      return suffix;
    }
    expanded += prefix + suffix.length;
    if (expanded > MAX_EXPANDED_BYTES)
      throw new CodedError('FAILED_PRECONDITION', `a page expands to more than ${MAX_EXPANDED_BYTES} bytes`);
    if (prefix < 0 || prefix > previous.length)
      throw broken(`a value shares ${prefix} bytes with the previous value, which has ${previous.length}`);
    const value = new Uint8Array(prefix + suffix.length);
    value.set(previous.subarray(0, prefix));
    value.set(suffix, prefix);
    previous = value;
    return value;
  });
}

function take(reader: Reader, length: number): Uint8Array {
  const { buffer, byteOffset, byteLength } = reader.view;
  if (length < 0 || reader.offset + length > byteLength) throw broken('a page ends in the middle of its values');
  const bytes = new Uint8Array(buffer, byteOffset + reader.offset, length);
  reader.offset += length;
  return bytes;
}
