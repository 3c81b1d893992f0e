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

/** For one body, though bytes keep coming: 256 MiB at less than 500 KB/s. */
const LONGEST_MS = 10 * 60_000;

/**
 * The whole body in one piece.
 *
 * @param length the bytes it has to have, as its headers say
 * @throws CutBodyError, LongBodyError, an error named TimeoutError, or the stream's own error
 */
export async function readBody(body: Readable, length: number, usage: Usage): Promise<Uint8Array> {
  const bytes = Buffer.allocUnsafeSlow(length);
  let filled = 0;
  const until = performance.now() + LONGEST_MS;
  for await (const chunk of body as AsyncIterable<Buffer>) {
    usage.bytes += chunk.length;
    if (filled + chunk.length > length) throw new LongBodyError(`more than the ${length} bytes that were said came`);
    filled += chunk.copy(bytes, filled);
    if (performance.now() > until) {
      throw Object.assign(new Error(`${filled} of ${length} bytes came in ${LONGEST_MS / 60_000} minutes`), {
        name: 'TimeoutError',
      });
    }
  }
  if (filled < length) throw new CutBodyError(`${filled} of ${length} bytes came`);
  return bytes;
}
