import { createHash, randomBytes, timingSafeEqual } from 'node:crypto';
import { sortableId } from './ids.ts';

/** The secret of an API token: `rct_<id>_<43 characters>`, of which the last are 32 random bytes in base64url. */
export interface TokenSecret {
  tokenId: string;
  /** What the holder sends. It is not stored. */
  text: string;
  /** SHA-256 of the text. The text is random, so that a slow hash would protect nothing. */
  hash: Uint8Array;
}

/** What tells API tokens apart from JWTs. */
export const SECRET_PREFIX = 'rct_';

const FORM = /^rct_([0-9a-z]{22})_[\w-]{43}$/;

export function newTokenSecret(): TokenSecret {
  const tokenId = sortableId();
  const text = `rct_${tokenId}_${randomBytes(32).toString('base64url')}`;
  return { tokenId, text, hash: sha256(text) };
}

/** @returns undefined if the text is not the secret of an API token */
export function parseTokenSecret(text: string): TokenSecret | undefined {
  const [, tokenId] = FORM.exec(text) ?? [];
  return tokenId === undefined ? undefined : { tokenId, text, hash: sha256(text) };
}

const NO_HASH = new Uint8Array(32);

/** Compares a secret with the stored hash in constant time, also if there is none: the time must not show which ids exist. */
export function isSecretOf(secret: TokenSecret, stored: Uint8Array | undefined): boolean {
  return timingSafeEqual(secret.hash, stored ?? NO_HASH) && stored !== undefined;
}

function sha256(text: string): Uint8Array {
  return createHash('sha256').update(text).digest();
}
