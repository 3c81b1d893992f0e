import type { Readable } from 'node:stream';
import type { Usage } from '../usage.ts';

/** The body ended too early. */
export class TruncatedBodyError extends Error {
  override readonly name = 'TruncatedBodyError';
}

/** The body has more bytes than its headers announced. */
export class OverlongBodyError extends Error {
  override readonly name = 'OverlongBodyError';
}

/** Maximum time for one body, even if bytes keep arriving: 256 MiB at less than 500 KB/s. */
const MAX_BODY_MS = 10 * 60_000;

/**
 * Reads the whole body into one buffer.
 *
 * @param length the number of bytes that the headers announced
 * @throws TruncatedBodyError, OverlongBodyError, an error named TimeoutError, or the error of the stream
 */
export function readBody(body: Readable, length: number, usage: Usage): Promise<Uint8Array> {
  const bytes = Buffer.allocUnsafeSlow(length);
  let filled = 0;
  const until = performance.now() + MAX_BODY_MS;
  // Listeners instead of `for await`, which would be half the cost of a short body.
  return new Promise((resolve, reject) => {
    const truncated = () => new TruncatedBodyError(`received ${filled} of ${length} bytes`);
    const fail = (error: Error) => {
      body.destroy();
      reject(error);
    };
    if (body.destroyed || body.readableEnded) return reject(truncated());
    body.on('data', (chunk: Buffer) => {
      usage.bytes += chunk.length;
      if (filled + chunk.length > length)
        return fail(new OverlongBodyError(`received more than the announced ${length} bytes`));
      filled += chunk.copy(bytes, filled);
      if (performance.now() > until) {
        const message = `received ${filled} of ${length} bytes in ${MAX_BODY_MS / 60_000} minutes`;
        fail(Object.assign(new Error(message), { name: 'TimeoutError' }));
      }
    });
    body.on('error', reject);
    body.on('end', () => (filled < length ? reject(truncated()) : resolve(bytes)));
    // A destroyed stream emits `close` without `end`.
    body.on('close', () => reject(truncated()));
  });
}
