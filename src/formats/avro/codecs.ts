import { Decompress } from 'fzstd';
import Bunzip from 'seek-bzip';
import { MalformedError } from '../malformed.ts';
import { crc32 } from './crc32.ts';
import { inflate } from './inflate.ts';
import { snappyDecompress } from './snappy.ts';

/** Decompresses one block; throws if the result has more than `maxBytes`. */
export type Codec = (block: Buffer, maxBytes: number) => Buffer;

/**
 * The codec for the header's `avro.codec` (Avro spec, "Required Codecs" and "Optional Codecs").
 *
 * @throws MalformedError for a codec that Iceberg's writers do not use
 */
export function codec(name: string | undefined): Codec {
  switch (name) {
    case undefined:
    case '':
    case 'null':
      return (block) => block;
    case 'deflate':
      return inflate;
    case 'snappy':
      return snappy;
    case 'zstandard':
      return zstandard;
    case 'bzip2':
      return bzip2;
    default:
      throw new MalformedError(
        `its Avro codec is ${JSON.stringify(name.slice(0, 50))}; null, deflate, snappy, zstandard and bzip2 are supported`,
      );
  }
}

/** For bzip2, whose decoder makes about 10 MB per second. */
const MAX_BZIP2_BYTES = 8 * 1024 * 1024;

function bzip2(block: Buffer, limit: number): Buffer {
  const maxBytes = Math.min(limit, MAX_BZIP2_BYTES);
  let output = Buffer.allocUnsafe(4 * block.length + 1_024);
  let size = 0;
  const writeByte = (byte: number) => {
    if (size === maxBytes) throw new MalformedError(`a bzip2 block has more than ${maxBytes} bytes`);
    if (size === output.length) output = Buffer.concat([output, Buffer.allocUnsafe(output.length)]);
    output[size++] = byte;
  };
  try {
    Bunzip.decode(block, { writeByte });
  } catch (cause) {
    if (cause instanceof MalformedError) throw cause;
    throw new MalformedError(`a bzip2 block is corrupt: ${(cause as Error).message}`);
  }
  return output.subarray(0, size);
}

/** The compressed block is followed by the big-endian CRC-32 of the uncompressed data. */
function snappy(block: Buffer, maxBytes: number): Buffer {
  if (block.length < 5) throw new MalformedError('a snappy block is corrupt: it has no checksum');
  const output = snappyDecompress(block.subarray(0, -4), maxBytes);
  if (crc32(output) !== block.readUInt32BE(block.length - 4)) {
    throw new MalformedError('a snappy block is corrupt: its checksum differs');
  }
  return output;
}

/**
 * The largest window that is allocated. zstd's own tools use at most 8 MiB at all levels below 20, and the standard requires decoders to
 * support no more (RFC 8878, 3.1.1.1.2).
 */
const MAX_ZSTD_WINDOW = 8 * 1024 * 1024;

function zstandard(block: Buffer, maxBytes: number): Buffer {
  requireSmallWindow(block, maxBytes);
  const parts: Uint8Array[] = [];
  let size = 0;
  try {
    const stream = new Decompress((part) => {
      size += part.length;
      if (size > maxBytes) throw new MalformedError(`a zstandard block has more than ${maxBytes} bytes`);
      parts.push(part);
    });
    stream.push(block, true);
  } catch (cause) {
    if (cause instanceof MalformedError) throw cause;
    throw new MalformedError(`a zstandard block is corrupt: ${(cause as Error).message}`);
  }
  return parts.length === 1 ? asBuffer(parts[0] as Uint8Array) : Buffer.concat(parts, size);
}

/** Checks the window size, because the decoder allocates what the frame's header requests, up to 2 GiB (RFC 8878, 3.1.1.1). */
function requireSmallWindow(block: Buffer, maxBytes: number): void {
  if (block.length < 9 || block.readUInt32LE(0) !== 0xfd2fb528) {
    throw new MalformedError('a zstandard block is corrupt: it does not start with a frame');
  }
  const flags = block.readUInt8(4);
  const singleSegment = (flags & 0x20) !== 0;
  let window: number;
  if (singleSegment) {
    const at = 5 + [0, 1, 2, 4][flags & 3]!;
    const width = 1 << (flags >>> 6);
    window = block.length < at + width ? Number.POSITIVE_INFINITY : contentSize(block, at, width);
  } else {
    const descriptor = block.readUInt8(5);
    const base = 2 ** (10 + (descriptor >>> 3));
    window = base + (base / 8) * (descriptor & 7);
  }
  if (window > (singleSegment ? maxBytes : MAX_ZSTD_WINDOW)) {
    throw new MalformedError(`a zstandard block is corrupt: it requires ${window} bytes of memory`);
  }
}

function contentSize(block: Buffer, at: number, width: number): number {
  if (width === 8) return Number(block.readBigUInt64LE(at));
  return block.readUIntLE(at, width) + (width === 2 ? 256 : 0);
}

function asBuffer(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
