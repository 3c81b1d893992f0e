import type { Readable } from 'node:stream';
import type { Usage } from '../usage.ts';

/** A body that ended before all of it was there. */
export class TruncatedBodyError extends Error {
  override readonly name = 'CutBodyError';
}

/** A body that goes on beyond the bytes that were said. */
export class OverlongBodyError extends Error {
  override readonly name = 'LongBodyError';
}

/** For one body, though bytes keep coming: 256 MiB at less than 500 KB/s. */
const MAX_BODY_MS = 10 * 60_000;

/**
 * The whole body in one piece.
 *
 * @param length the bytes it has to have, as its headers say
 * @throws CutBodyError, LongBodyError, an error named TimeoutError, or the stream's own error
 */
export function readBody(body: Readable, length: number, usage: Usage): Promise<Uint8Array> {
  const bytes = Buffer.allocUnsafeSlow(length);
  let filled = 0;
  const until = performance.now() + MAX_BODY_MS;
  // Listeners and not `for await`: of a short body that would be half the cost.
  return new Promise((resolve, reject) => {
    const cut = () => new TruncatedBodyError(`${filled} of ${length} bytes came`);
    const fail = (error: Error) => {
      body.destroy();
      reject(error);
    };
    if (body.destroyed || body.readableEnded) return reject(cut());
    body.on('data', (chunk: Buffer) => {
      usage.bytes += chunk.length;
      if (filled + chunk.length > length)
        return fail(new OverlongBodyError(`more than the ${length} bytes that were said came`));
      filled += chunk.copy(bytes, filled);
      if (performance.now() > until) {
        const late = `${filled} of ${length} bytes came in ${MAX_BODY_MS / 60_000} minutes`;
        fail(Object.assign(new Error(late), { name: 'TimeoutError' }));
      }
    });
    body.on('error', reject);
    body.on('end', () => (filled < length ? reject(cut()) : resolve(bytes)));
    // What is destroyed ends without an end.
    body.on('close', () => reject(cut()));
  });
}
