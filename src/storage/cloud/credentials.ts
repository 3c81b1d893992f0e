import { CodedError } from '../../errors.ts';
import { ObtainedSecrets } from '../../policy/obtained-secrets.ts';
import type { Grant } from '../../policy/secret-grants.ts';
import { rememberIssuedSecret } from '../../secrets.ts';
import { Rereadable } from '../rereadable.ts';

/** Credentials of a store, in the form in which its requests need them. */
export interface Credentials<C extends object> {
  /** For error messages, without secrets. */
  readonly name: string;
  current(): Promise<C>;
  /**
   * Reads them again after the service has refused them.
   *
   * @returns whether there are others now
   */
  renew(used: C): Promise<boolean>;
}

/** An OAuth 2.0 access token. */
export interface Token {
  readonly value: string;
  /** As in `Date.now()`. */
  readonly expiresAt: number;
}

/**
 * Tokens are renewed this long before they expire, or half of their lifetime if that is less. Google's metadata server returns the same token until
 * 4 minutes before its end.
 */
const RENEW_BEFORE_MS = 225_000;
/** How soon a renewal that brought no other token is repeated. */
const RETRY_MS = 10_000;
/** A token that is younger is not replaced if it is refused, because it is not the cause. */
const MIN_AGE_MS = 5_000;

/** Credentials that do not change. */
export function fixed<C extends object>(name: string, value: C): Credentials<C> {
  return { name, current: async () => value, renew: async () => false };
}

/** Credentials that may be shared by connectors. */
export interface SharedCredentials extends Credentials<Token> {
  /** Where the worker's policy allows its own identity to be used: the grants of all tenants that use it. */
  readonly grants: Set<Grant>;
}

/**
 * Caches the token, renews it before it expires, and makes one request for all concurrent callers.
 *
 * @param source the connector's secret with which it is requested; absent if that is the worker's
 */
export function cachedToken(name: string, read: () => Promise<Token>, source?: string): SharedCredentials {
  const secrets = new ObtainedSecrets<Token>(({ value }) => [value], source);
  let readAt = Number.NEGATIVE_INFINITY;
  let renewAt = 0;
  const held = new Rereadable(async () => {
    readAt = performance.now();
    const token = await read();
    rememberIssuedSecret(token.value, source);
    const left = Math.max(0, token.expiresAt - Date.now());
    renewAt = token.expiresAt - Math.min(RENEW_BEFORE_MS, left / 2);
    return token;
  });
  const isRecent = (ms: number) => performance.now() - readAt < ms;
  return {
    name,
    grants: secrets.grants,
    current: async () => secrets.limit(await current()),
    renew: async (used) => (held.value === used && isRecent(MIN_AGE_MS) ? false : held.renew(used)),
  };

  async function current(): Promise<Token> {
    const { value } = held;
    const isValid = value !== undefined && value.expiresAt > Date.now();
    if (isValid && (Date.now() < renewAt || isRecent(RETRY_MS))) return value;
    try {
      return await held.reread();
    } catch (error) {
      // The old token is still valid for some minutes.
      if (isValid) return value;
      throw error;
    }
  }
}

/**
 * The token in the response of a token endpoint (RFC 6749, section 5.1), an identity endpoint or a command-line tool. Of the three fields for
 * its end, `expires_in` is in seconds from now, and `expires_on` in seconds since 1970.
 *
 * @throws CodedError `UNAVAILABLE` if there is none; the message shows nothing of the response
 */
export function tokenIn(response: Record<string, unknown>, source: string): Token {
  const value = response.access_token ?? response.accessToken;
  const seconds = (field: unknown) => (/^\d+(\.\d+)?$/.test(String(field)) ? Number(field) * 1000 : undefined);
  const until = seconds(response.expires_on);
  const within = seconds(response.expires_in);
  const date = Date.parse(String(response.expireTime));
  const expiresAt = until ?? (within === undefined ? undefined : Date.now() + within) ?? date;
  if (typeof value === 'string' && value !== '' && !Number.isNaN(expiresAt)) return { value, expiresAt };
  throw new CodedError('UNAVAILABLE', `${source} returned no token with its expiry`);
}
