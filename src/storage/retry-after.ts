/** No server is waited for longer than this, whatever it asks. */
const MAX_MS = 10 * 60_000;

/**
 * Milliseconds to wait by a `Retry-After` header, in seconds or as a date (RFC 9110, section 10.2.3). Undefined where there is none
 * that can be read.
 */
export function retryAfterMs(header: string | undefined, now: number): number | undefined {
  const value = header?.trim();
  if (!value) return undefined;
  if (/^\d+(\.\d+)?$/.test(value)) return Math.min(Math.ceil(Number(value) * 1000), MAX_MS);
  const date = Date.parse(value);
  return Number.isNaN(date) ? undefined : Math.min(Math.max(0, date - now), MAX_MS);
}
