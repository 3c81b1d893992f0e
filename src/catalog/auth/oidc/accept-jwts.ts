import { decodeJwt, errors, type JWTPayload, type JWTVerifyGetKey, jwtVerify } from 'jose';
import type { Logger } from 'pino';
import { ALL_TENANTS, TENANT_ID } from '../../../contract/tenant.ts';
import { CodedError } from '../../../errors.ts';
import type { Principal, Role } from '../../identity/principal.ts';
import { tokenRefused } from '../unauthenticated.ts';
import { textsOfClaim } from './claims.ts';
import { keysOf } from './issuer-keys.ts';
import type { Issuer } from './issuers-file.ts';

/** The clocks of the provider and of this machine may differ by this. */
const CLOCK_TOLERANCE_S = 30;
const MAX_SUBJECT = 255;
const MAX_TENANTS = 100;
/** Why tokens are refused is logged, once per issuer in this time. */
const LOG_EVERY_MS = 10_000;

/**
 * Determines whose a JWT of one of the issuers is.
 *
 * @returns a function that throws CodedError UNAUTHENTICATED, or UNAVAILABLE if the keys of the issuer cannot be read
 */
export function acceptJwts(issuers: readonly Issuer[], logger: Logger): (token: string) => Promise<Principal> {
  const known = new Map(issuers.map((issuer) => [issuer.issuer, { issuer, keys: keysOf(issuer), loggedAt: 0 }]));
  return async (token) => {
    const of = known.get(issuerOf(token) ?? '');
    if (of === undefined) throw tokenRefused();
    try {
      return principalOf(of.issuer, await verify(token, of.issuer, of.keys));
    } catch (error) {
      if (error instanceof CodedError && error.code === 'UNAVAILABLE') {
        logger.warn({ err: error.message }, 'tokens cannot be checked');
        throw error;
      }
      const now = Date.now();
      if (now - of.loggedAt >= LOG_EVERY_MS) {
        of.loggedAt = now;
        logger.warn({ issuer: of.issuer.issuer, reason: (error as Error).message }, 'a token was refused');
      }
      throw tokenRefused();
    }
  };
}

/** Not verified yet. */
function issuerOf(token: string): string | undefined {
  try {
    return decodeJwt(token).iss;
  } catch {
    return undefined;
  }
}

async function verify(token: string, issuer: Issuer, keys: JWTVerifyGetKey): Promise<JWTPayload> {
  try {
    const { payload } = await jwtVerify(token, keys, {
      issuer: issuer.issuer,
      audience: issuer.audience,
      algorithms: [...issuer.algorithms],
      clockTolerance: CLOCK_TOLERANCE_S,
      requiredClaims: ['exp', 'sub'],
    });
    return payload;
  } catch (error) {
    // What is thrown while keys are read is not about the token.
    if (error instanceof errors.JWKSTimeout || error instanceof errors.JWKSInvalid) {
      throw new CodedError('UNAVAILABLE', `the keys of the issuer ${issuer.issuer} cannot be read: ${error.message}`);
    }
    throw error;
  }
}

function principalOf(issuer: Issuer, payload: JWTPayload): Principal {
  const { sub = '', exp = 0 } = payload;
  if (sub === '' || sub.length > MAX_SUBJECT) throw new Error('its subject is empty or too long');
  const values = textsOfClaim(payload, issuer.rolesClaim);
  const roles = [
    ...new Set(
      values.flatMap((value) => (Object.hasOwn(issuer.roleMap, value) ? (issuer.roleMap[value] as Role) : [])),
    ),
  ];
  return {
    subject: sub,
    issuer: issuer.issuer,
    tenants: tenantsOf(issuer, payload, roles),
    roles,
    expiresAt: exp * 1000,
  };
}

/** @throws Error if the token names a tenant that is not the issuer's, or none */
function tenantsOf({ tenantClaim, tenants }: Issuer, payload: JWTPayload, roles: readonly Role[]): string[] {
  const named = tenantClaim === undefined ? (tenants ?? []) : textsOfClaim(payload, tenantClaim);
  const isAllowed = (tenant: string) => {
    if (tenant === ALL_TENANTS) return tenants?.includes(ALL_TENANTS) ?? false;
    return (
      TENANT_ID.test(tenant) && (tenants === undefined || tenants.includes(ALL_TENANTS) || tenants.includes(tenant))
    );
  };
  const other = named.find((tenant) => !isAllowed(tenant));
  if (other !== undefined) throw new Error(`its tenant '${other.slice(0, 63)}' is not one of the issuer's`);
  if (named.length > MAX_TENANTS)
    throw new Error(`it names ${named.length} tenants, at most ${MAX_TENANTS} are allowed`);
  if (named.includes(ALL_TENANTS)) return [ALL_TENANTS];
  if (named.length > 0) return [...new Set(named)];
  // The platform role concerns no tenant.
  if (roles.length > 0 && roles.every((role) => role === 'platform')) return [ALL_TENANTS];
  throw new Error(`it names no tenant in ${tenantClaim}`);
}
