/** Limit for waits, whatever the server requests. */
const MAX_MS = 10 * 60_000;

/**
 * The wait in milliseconds that a `Retry-After` header requests, in seconds or as a date (RFC 9110, section 10.2.3). Undefined if the header
 * is missing or invalid.
 */
export function retryAfterMs(header: string | undefined, now: number): number | undefined {
  const value = header?.trim();
  if (!value) return undefined;
  if (/^\d+(\.\d+)?$/.test(value)) return Math.min(Math.ceil(Number(value) * 1000), MAX_MS);
  const date = Date.parse(value);
  return Number.isNaN(date) ? undefined : Math.min(Math.max(0, date - now), MAX_MS);
}
