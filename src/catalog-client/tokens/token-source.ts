import { isToken } from '../../config.ts';
import { CodedError } from '../../errors.ts';
import type { CatalogAccess } from '../access.ts';

/** Where the token of calls is from. */
export interface TokenSource {
  /** As people know it: `RECONCILER_TOKEN`, `the file /run/token`. Undefined if it has no token yet. */
  name?: string;
  /** @throws CodedError UNAUTHENTICATED if it has no token, and should have one */
  token: NonNullable<CatalogAccess['token']>;
}

/** Larger than any token. */
export const MAX_TOKEN_BYTES = 64 * 1024;

/**
 * The token that a file contains or a command prints, without the line break after it.
 *
 * @throws CodedError UNAUTHENTICATED, without the text: it may be a secret of another kind
 */
export function tokenIn(text: string, source: string): string {
  const token = text.trim();
  if (isToken(token)) return token;
  const found = token === '' ? 'nothing' : 'more than one word, or characters that are not ASCII';
  throw new CodedError('UNAUTHENTICATED', `${source} has no token: it contains ${found}`);
}
