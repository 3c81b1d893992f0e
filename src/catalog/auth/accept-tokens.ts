import type { CallContext } from 'nice-grpc';
import type { Logger } from 'pino';
import { CodedError } from '../../errors.ts';
import { SECRET_PREFIX } from '../identity/token-secret.ts';
import type { AllTenants } from '../store/database/scoped.ts';
import { acceptApiTokens } from './api-tokens.ts';
import type { Authenticate } from './authorize-middleware.ts';
import { acceptJwts } from './oidc/accept-jwts.ts';
import type { Issuer } from './oidc/issuers-file.ts';
import { ensureOwnerToken } from './owner-token.ts';
import { tokenMissing, tokenRefused } from './unauthenticated.ts';

/** Which tokens a catalog accepts besides those that it has created. */
export interface TokenOptions {
  /** Where the catalog keeps the token of its owner. Absent: it creates none. */
  ownerTokenFile?: string;
  /** The providers whose JWTs the catalog accepts. */
  issuers?: readonly Issuer[];
}

/** Longer tokens are refused unread. */
const MAX_TOKEN = 16 * 1024;

/** Determines who is calling by the token in the metadata `authorization`. */
export async function acceptTokens(
  { ownerTokenFile: file, issuers = [] }: TokenOptions,
  deps: { db: AllTenants; logger: Logger },
): Promise<Authenticate> {
  if (file !== undefined) {
    await ensureOwnerToken({ ...deps, file, hasIssuers: issuers.length > 0 }).catch((error: Error) => {
      // What is wrong with the file can be corrected. A damaged database is served as far as it can be read.
      if (error instanceof CodedError && error.code === 'FAILED_PRECONDITION') throw error;
      deps.logger.error({ file, err: error.message }, "the token of the catalog's owner cannot be kept");
    });
  }
  const ofApiToken = acceptApiTokens(deps);
  const ofJwt = acceptJwts(issuers, deps.logger);
  return async (context) => {
    const token = bearerToken(context);
    return token.startsWith(SECRET_PREFIX) ? ofApiToken(token) : ofJwt(token);
  };
}

/** @throws CodedError UNAUTHENTICATED if the call has none, or more than one */
function bearerToken({ metadata }: CallContext): string {
  const [header, ...others] = metadata.getAll('authorization');
  if (header === undefined) throw tokenMissing();
  const [, token] = /^bearer +(\S+) *$/i.exec(String(header).slice(0, MAX_TOKEN + 1)) ?? [];
  if (token === undefined || others.length > 0 || header.length > MAX_TOKEN) throw tokenRefused();
  return token;
}
