import type { Readable } from 'node:stream';
import type { Usage } from '../usage.ts';

/** A body that ended before all of it was there. */
export class CutBodyError extends Error {
  override readonly name = 'CutBodyError';
}

/** A body that goes on beyond the bytes that were said. */
export class LongBodyError extends Error {
  override readonly name = 'LongBodyError';
}

/**
 * The whole body in one piece.
 *
 * @param length the bytes it has to have, as its headers say
 * @throws CutBodyError, LongBodyError, or the stream's own error
 */
export async function readBody(body: Readable, length: number, usage: Usage): Promise<Uint8Array> {
  const bytes = Buffer.allocUnsafeSlow(length);
  let filled = 0;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    usage.bytes += chunk.length;
    if (filled + chunk.length > length) throw new LongBodyError(`more than the ${length} bytes that were said came`);
    filled += chunk.copy(bytes, filled);
  }
  if (filled < length) throw new CutBodyError(`${filled} of ${length} bytes came`);
  return bytes;
}
