import { constants, createInflateRaw, deflateRawSync, inflateRawSync } from 'node:zlib';
import { MalformedError } from '../malformed.ts';

/** Gives what a raw deflate stream holds (RFC 1951); `MalformedError` if that is more than so many bytes. */
export type Inflate = (block: Buffer, maxBytes: number) => Buffer;

/** Output is put into buffers of this size, one behind the other: many small ones cost much to make and to collect. */
const SLAB_BYTES = 256 * 1024;

/** Node's binding of zlib, as its own streams use it. */
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
 * The fastest way to inflate that this Node has. One for all files, which share its slabs: slabs of their own would be most of what
 * reading a small manifest costs.
 *
 * pyiceberg writes one manifest entry a block. For blocks so small `inflateRawSync` mostly makes and drops its stream: 5 µs
 * a block and a third of all garbage, where zlib itself needs 1 µs. So the binding behind one stream is used again for
 * every block, which is not a public interface; it has been the same from Node 12 to 24, and where a probe says it is not so
 * any more, `inflateRawSync` does it.
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
    // Entries shrink to a quarter or so; what turns out larger is inflated again into more room.
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
      if (size > maxBytes) throw corrupt('it is larger', maxBytes);
      if (size < room) {
        const output = slab.subarray(used, used + size);
        used += size;
        return output;
      }
      // No room is left, and perhaps there is more.
      if (room > maxBytes) throw corrupt('it is larger', maxBytes);
      room = Math.min(maxBytes + 1, room * 4);
      used = slab.length;
    }
  };
  return (block, maxBytes) => {
    try {
      return inflateBlock(block, maxBytes);
    } finally {
      // That of a large block goes with it.
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
