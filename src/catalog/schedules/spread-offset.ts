import { createHash } from 'node:crypto';

/**
 * When within its interval a connector runs, in seconds. Temporal counts intervals from 1970, so without an offset all connectors with the
 * same interval would start at the same moment. A hash of the id spreads them evenly, and never changes.
 *
 * @returns 0 if there is no interval
 */
export function spreadOffset(connectorId: string, intervalSeconds: number): number {
  if (intervalSeconds <= 0) return 0;
  return createHash('sha256').update(connectorId).digest().readUIntBE(0, 6) % intervalSeconds;
}
