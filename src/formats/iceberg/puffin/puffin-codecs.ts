import { decompressLz4Raw } from 'hyparquet-compressors';
import { type Codec, codec } from '../../avro/codecs.ts';
import { MalformedError } from '../../malformed.ts';

/** The codec of a Puffin blob or footer (spec, "Compression codecs"); throws MalformedError if it is unknown. */
export function puffinCodec(name: string | undefined): Codec {
  switch (name) {
    case undefined:
      return (block) => block;
    case 'zstd':
      return codec('zstandard');
    case 'lz4':
      return lz4Frame;
    default:
      throw new MalformedError(`its codec is ${JSON.stringify(name.slice(0, 50))}; lz4 and zstd are supported`);
  }
}

const LZ4_MAGIC = 0x184d2204;
const INDEPENDENT_BLOCKS = 0x20;
const BLOCK_CHECKSUMS = 0x10;
const CONTENT_SIZE = 0x08;
const DICTIONARY_ID = 0x01;
const STORED = 0x8000_0000;

/**
 * Decompresses one LZ4 frame (lz4_Frame_format.md). Checksums are not verified, because a corrupt sketch cannot be decoded anyway. Frames with
 * dependent blocks are rejected: no known writer makes them, and Iceberg's own library writes no LZ4 at all.
 */
function lz4Frame(frame: Buffer, maxBytes: number): Buffer {
  if (frame.length < 15 || frame.readUInt32LE(0) !== LZ4_MAGIC) throw corrupt('it does not start with a frame');
  const flags = frame[4] as number;
  if ((flags & CONTENT_SIZE) === 0) throw corrupt('its frame has no content size, which Puffin requires');
  const size = Number(frame.readBigUInt64LE(6));
  if (size > maxBytes) throw corrupt(`it has ${size} bytes; the limit is ${maxBytes}`);
  const blockBytes = 1 << (8 + 2 * (((frame[5] as number) >>> 4) & 7));
  const parts: Uint8Array[] = [];
  let filled = 0;
  let at = 15 + ((flags & DICTIONARY_ID) !== 0 ? 4 : 0);
  while (filled < size) {
    if (at + 4 > frame.length) throw corrupt('it is truncated');
    const header = frame.readUInt32LE(at);
    const length = header % STORED;
    at += 4;
    if (length === 0 || at + length > frame.length) throw corrupt('it is truncated');
    const block = frame.subarray(at, at + length);
    const expected = Math.min(blockBytes, size - filled);
    if (parts.length > 0 && (flags & INDEPENDENT_BLOCKS) === 0) throw corrupt('its blocks depend on each other');
    try {
      parts.push(header >= STORED ? block : decompressLz4Raw(block, expected));
    } catch (cause) {
      throw corrupt((cause as Error).message);
    }
    filled += (parts.at(-1) as Uint8Array).length;
    at += length + ((flags & BLOCK_CHECKSUMS) !== 0 ? 4 : 0);
  }
  return Buffer.concat(parts, size);
}

function corrupt(message: string): MalformedError {
  return new MalformedError(`an LZ4 frame is corrupt: ${message}`);
}
