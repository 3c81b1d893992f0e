import { deltaBinaryUnpack } from 'hyparquet/src/delta.js';
import { readVarInt } from 'hyparquet/src/thrift.js';
import { CodedError } from '../../errors.ts';
import { broken } from './broken.ts';

interface Reader {
  view: DataView;
  offset: number;
}

/** Of what prefixes are expanded to: a page of a few KiB could ask for any amount. */
const MAX_EXPANDED_BYTES = 64 * 1024 * 1024;

/** DELTA_BINARY_PACKED (Encodings.md). hyparquet trusts the header, and with a negative number in it would go round for ever. */
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

/** DELTA_BYTE_ARRAY: how much each shares with the one before, then the rests. */
export function unpackPrefixed(reader: Reader, count: number): Uint8Array[] {
  const prefixes = unpackDeltas(reader, new Int32Array(count));
  const rests = unpackByteArrays(reader, count);
  let expanded = 0;
  let previous: Uint8Array = new Uint8Array(0);
  return rests.map((rest, index) => {
    const prefix = prefixes[index] as number;
    if (prefix === 0) {
      previous = rest;
      return rest;
    }
    expanded += prefix + rest.length;
    if (expanded > MAX_EXPANDED_BYTES) throw new CodedError('FAILED_PRECONDITION', 'a page has prefixes without end');
    if (prefix < 0 || prefix > previous.length)
      throw broken(`a value is said to share ${prefix} bytes with the one before`);
    const value = new Uint8Array(prefix + rest.length);
    value.set(previous.subarray(0, prefix));
    value.set(rest, prefix);
    previous = value;
    return value;
  });
}

function take(reader: Reader, length: number): Uint8Array {
  const { buffer, byteOffset, byteLength } = reader.view;
  if (length < 0 || reader.offset + length > byteLength) throw broken('a page ends within its values');
  const bytes = new Uint8Array(buffer, byteOffset + reader.offset, length);
  reader.offset += length;
  return bytes;
}
