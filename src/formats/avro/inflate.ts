import { constants, createInflateRaw, deflateRawSync, inflateRawSync } from 'node:zlib';
import { MalformedError } from '../malformed.ts';

/** Decompresses a raw deflate stream (RFC 1951); throws `MalformedError` if it is corrupt or has more than `maxBytes`. */
export type Inflate = (block: Buffer, maxBytes: number) => Buffer;

/** Outputs share buffers of this size, because many small buffers are expensive to allocate and collect. */
const SLAB_BYTES = 256 * 1024;

/** Node's internal zlib binding, which its streams use. */
interface Handle {
  reset(): void;
  writeSync(
    flush: number,
    input: Buffer,
    inputStart: number,
    inputLength: number,
    output: Buffer,
    outputStart: number,
    outputLength: number,
  ): void;
  onerror: (message: string, errno: number, code: string) => void;
}

/**
 * The fastest way to inflate in this version of Node. All files share it and its slabs, because separate slabs would be most of the cost of
 * reading a small manifest.
 *
 * pyiceberg writes one manifest entry per block. For such small blocks `inflateRawSync` spends most of the time creating its stream: 5 µs per
 * block and a third of all garbage, although zlib itself needs 1 µs. So the binding of one stream is reused for every block. The binding is
 * not a public interface; it has been the same from Node 12 to 24. If a probe finds that it has changed, `inflateRawSync` is used.
 */
export const inflate: Inflate = (probe() && reusingInflate()) || inflateOnce;

export function inflateOnce(block: Buffer, maxOutputLength: number): Buffer {
  try {
    return inflateRawSync(block, { maxOutputLength });
  } catch (cause) {
    throw corrupt((cause as Error).message, maxOutputLength);
  }
}

function probe(): boolean {
  try {
    const inflate = reusingInflate();
    const text = Buffer.from('block block block '.repeat(50_000));
    const block = deflateRawSync(text);
    for (let turn = 0; turn < 2; turn++) if (!inflate?.(block, text.length).equals(text)) return false;
    try {
      inflate?.(block.subarray(0, -9), text.length);
      return false;
    } catch (error) {
      return error instanceof MalformedError;
    }
  } catch {
    return false;
  }
}

function reusingInflate(): Inflate | undefined {
  const stream = createInflateRaw() as unknown as { _handle?: Handle; _writeState?: Uint32Array };
  const { _handle: handle, _writeState: state } = stream;
  if (typeof handle?.writeSync !== 'function' || typeof handle.reset !== 'function' || state?.length !== 2)
    return undefined;
  let failure: string | undefined;
  handle.onerror = (message) => {
    failure = message;
  };
  let slab = Buffer.alloc(0);
  let used = 0;

  const inflateBlock = (block: Buffer, maxBytes: number): Buffer => {
    // Entries are compressed to about a quarter. If the output is larger, the block is inflated again with more room.
    let room = Math.min(maxBytes, block.length * 4 + 1024);
    for (;;) {
      if (slab.length - used < room) {
        slab = Buffer.allocUnsafeSlow(Math.max(SLAB_BYTES, room));
        used = 0;
      }
      room = slab.length - used;
      failure = undefined;
      handle.reset();
      handle.writeSync(constants.Z_FINISH, block, 0, block.length, slab, used, room);
      if (failure !== undefined) throw corrupt(failure, maxBytes);
      const size = room - (state[0] as number);
      if (size > maxBytes) throw corrupt('it is too large', maxBytes);
      if (size < room) {
        const output = slab.subarray(used, used + size);
        used += size;
        return output;
      }
      // The room is full, so there may be more output.
      if (room > maxBytes) throw corrupt('it is too large', maxBytes);
      room = Math.min(maxBytes + 1, room * 4);
      used = slab.length;
    }
  };
  return (block, maxBytes) => {
    try {
      return inflateBlock(block, maxBytes);
    } finally {
      // A slab for a large block is not kept.
      if (slab.length > SLAB_BYTES) {
        slab = Buffer.alloc(0);
        used = 0;
      }
    }
  };
}

function corrupt(message: string, maxBytes: number): MalformedError {
  return new MalformedError(`a deflated block is corrupt or has more than ${maxBytes} bytes: ${message}`);
}
