import type { Metadata } from 'nice-grpc';

/**
 * The response trailer of a call that succeeded, but whose result the caller may not expect: a text for people in UTF-8. There may be several.
 * As a trailer, it needs no field in every response that may once have a warning.
 */
export const WARNING_TRAILER = 'warning-bin';

/** The warnings among the trailers of a response. */
export function warningsIn(trailer: Metadata): string[] {
  return trailer.getAll(WARNING_TRAILER).map((bytes) => Buffer.from(bytes).toString('utf8'));
}
