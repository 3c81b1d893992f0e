import type { Logger } from 'pino';
import type { Principal } from '../identity/principal.ts';
import { isSecretOf, parseTokenSecret } from '../identity/token-secret.ts';
import type { AllTenants } from '../store/database/scoped.ts';
import { write } from '../store/database/transaction.ts';
import { findToken, recordUse, type StoredToken } from '../store/tokens/tokens.ts';
import { tokenRefused } from './unauthenticated.ts';

/** The issuer of the callers that have an API token. */
export const API_TOKENS = 'reconciler';

/** How long a token may be used after it was revoked. */
const CACHE_MS = 10_000;
const MAX_CACHED = 10_000;
const HOUR_MS = 3_600_000;

/**
 * Determines whose an API token is. A wrong token costs one look-up by key, and only if it has the form of a token.
 *
 * @param now for tests
 * @returns a function that throws CodedError UNAUTHENTICATED
 */
export function acceptApiTokens(
  { db, logger }: { db: AllTenants; logger: Logger },
  now: () => number = Date.now,
): (text: string) => Promise<Principal> {
  /** Valid tokens by id, those that were read last at the end. */
  const cache = new Map<string, { token: StoredToken; readAt: number }>();

  return async (text) => {
    const secret = parseTokenSecret(text);
    if (secret === undefined) throw tokenRefused();
    const token = await read(secret.tokenId);
    const isRight = isSecretOf(secret, token?.hash);
    if (token === undefined || !isRight || !isValid(token)) throw tokenRefused();
    recordHour(token);
    const { subject, tenants, roles, tokenId, expiresAt } = token;
    return { subject, issuer: API_TOKENS, tenants, roles, tokenId, expiresAt };
  };

  async function read(tokenId: string): Promise<StoredToken | undefined> {
    const cached = cache.get(tokenId);
    if (cached && now() - cached.readAt < CACHE_MS) return cached.token;
    cache.delete(tokenId);
    const token = await findToken(db, tokenId);
    if (token === undefined || !isValid(token)) return undefined;
    const [oldest] = cache.keys();
    if (cache.size >= MAX_CACHED && oldest !== undefined) cache.delete(oldest);
    cache.set(tokenId, { token, readAt: now() });
    return token;
  }

  function isValid({ revokedAt, expiresAt }: StoredToken): boolean {
    return revokedAt === undefined && (expiresAt === undefined || expiresAt > now());
  }

  /** The call does not wait for it, and does not fail if it fails. */
  function recordHour(token: StoredToken): void {
    const hour = Math.floor(now() / HOUR_MS) * HOUR_MS;
    if (token.lastUsedAt === hour) return;
    token.lastUsedAt = hour;
    write(db, (trx) => recordUse(trx, token.tokenId, hour)).catch((error: Error) =>
      logger.warn({ tokenId: token.tokenId, err: error.message }, 'the use of a token cannot be recorded'),
    );
  }
}
