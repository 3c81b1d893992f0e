import { z } from 'zod';
import { ALL_TENANTS, TENANT_ID } from '../../contract/tenant.ts';
import { durationSeconds } from '../../durations.ts';
import { CodedError } from '../../errors.ts';
import type { CreateTokenRequest, Token, TokensServiceImplementation } from '../../generated/reconciler/v1/tokens.ts';
import { rolesFromProto, rolesToProto } from '../auth/roles.ts';
import type { CatalogDeps } from '../core/ports.ts';
import { currentCall } from '../identity/current-call.ts';
import { isMember, type Principal } from '../identity/principal.ts';
import { newTokenSecret } from '../identity/token-secret.ts';
import { PageTokens, pageSize } from '../rpc/page-token.ts';
import { Checks, checkIds, invalid } from '../rpc/violations.ts';
import { notFound } from '../store/database/errors.ts';
import { date } from '../store/database/json.ts';
import { write } from '../store/database/transaction.ts';
import * as store from '../store/tokens/tokens.ts';
import { checkGrant, type Grant, mayRevoke } from './may-grant.ts';

const pages = new PageTokens('ListTokens', z.object({ tokenId: z.string() }));
const MAX_SUBJECT = 200;
/** With more, a page of a thousand tokens could have more than the 4 MiB that pages have. */
const MAX_TENANTS = 20;
const MAX_LIFE_SECONDS = 10 * 365 * 24 * 3600;

/** The service Tokens. */
export function createTokensService({ db, logger }: Pick<CatalogDeps, 'db' | 'logger'>): TokensServiceImplementation {
  return {
    async createToken(request) {
      const { principal, tenant } = caller();
      const grant = checkRequest(request, tenant);
      const byDefault = checkGrant(principal, grant);
      const secret = newTokenSecret();
      const now = Date.now();
      const lifeMs = request.ttl === undefined ? byDefault : durationSeconds(request.ttl) * 1000;
      const token: store.StoredToken = {
        tokenId: secret.tokenId,
        hash: secret.hash,
        subject: request.subject,
        roles: [...grant.roles],
        tenants: [...grant.tenants],
        createdAt: now,
        createdBy: principal.subject,
        expiresAt: request.noExpiry ? undefined : now + Math.round(lifeMs),
      };
      await write(db, async (trx) => {
        const named = grant.tenants.filter((id) => id !== ALL_TENANTS);
        const [unknown] = await store.unknownTenants(trx, named);
        if (unknown !== undefined) throw notFound('tenant', unknown);
        await store.insertToken(trx, token);
      });
      const { tokenId, subject, roles, tenants, createdBy } = token;
      const about = { tokenId, subject, roles, tenants, createdBy };
      if (request.noExpiry) logger.warn(about, 'a token that never expires was created');
      else logger.info(about, 'a token was created');
      return { token: toMessage(token, principal), secret: secret.text };
    },

    async listTokens(request) {
      const { principal, tenant } = caller();
      const isPlatform = principal.roles.includes('platform');
      const size = pageSize(request.pageSize);
      const filter = isPlatform ? null : tenant;
      const after = pages.decode(request.pageToken, filter);
      const { items, last } = await store.listTokens(db, size, after?.tokenId, isPlatform ? undefined : tenant);
      return {
        tokens: items.map((token) => toMessage(token, principal)),
        nextPageToken: last ? pages.encode({ tokenId: last.tokenId }, filter) : '',
      };
    },

    async revokeToken({ tokenId }) {
      checkIds({ token_id: tokenId });
      const { principal } = caller();
      const revoked = await write(db, async (trx) => {
        const token = await store.findToken(trx, tokenId);
        if (token === undefined || !isVisible(token, principal)) throw notFound('token', tokenId);
        if (!mayRevoke(principal, token)) throw notYours(token, principal);
        const now = Date.now();
        await store.revokeToken(trx, tokenId, now);
        return { ...token, revokedAt: token.revokedAt ?? now };
      });
      logger.info({ tokenId, subject: revoked.subject, revokedBy: principal.subject }, 'a token was revoked');
      return toMessage(revoked, principal);
    },

    async getCaller() {
      const { subject, issuer, tenants, roles, expiresAt } = caller().principal;
      const tenantIds = [...tenants];
      return { subject, issuer, tenantIds, roles: rolesToProto(roles), expiresAt: date(expiresAt ?? null) };
    },
  };
}

/** The call that is being served, whose caller was authenticated. */
function caller(): { principal: Principal; tenant: string | undefined } {
  const call = currentCall();
  if (call === undefined) throw new Error('no call is being served');
  return call;
}

/** @throws InvalidRequest */
function checkRequest(request: CreateTokenRequest, tenant: string | undefined): Grant {
  const checks = new Checks();
  checks.name(request.subject, 'subject', MAX_SUBJECT);
  checks.that(request.roles.length > 0, 'roles', 'is required: name at least one');
  checks.list(request.tenantIds, 'tenant_ids', MAX_TENANTS);
  if (request.ttl !== undefined) {
    const seconds = durationSeconds(request.ttl);
    checks.that(!request.noExpiry, 'ttl', 'and no_expiry exclude each other');
    checks.that(seconds >= 1 && seconds <= MAX_LIFE_SECONDS, 'ttl', 'is not between one second and ten years');
  }
  const roles = rolesFromProto(request.roles);
  checks.that(roles !== undefined, 'roles', 'contains a value that is no role');
  const tenants = [...new Set(request.tenantIds)];
  const isAll = tenants.includes(ALL_TENANTS);
  checks.that(!isAll || tenants.length === 1, 'tenant_ids', `has other tenants beside ${ALL_TENANTS}`);
  const wrong = tenants.findIndex((id) => id !== ALL_TENANTS && !TENANT_ID.test(id));
  checks.that(wrong < 0, `tenant_ids[${wrong}]`, 'is not the id of a tenant');
  checks.done();
  return { roles: roles ?? [], tenants: tenants.length > 0 ? tenants : tenantsByDefault(roles ?? [], tenant) };
}

/** The platform role concerns no tenant, so a token with it alone needs none. */
function tenantsByDefault(roles: Grant['roles'], tenant: string | undefined): string[] {
  if (roles.every((role) => role === 'platform')) return [ALL_TENANTS];
  if (tenant === undefined) throw invalid('tenant_ids', 'is required: name the tenants of the token');
  return [tenant];
}

/** Whether the caller may know of the token. */
function isVisible({ tenants }: store.StoredToken, caller: Principal): boolean {
  return caller.roles.includes('platform') || tenants.some((tenant) => isMember(caller, tenant));
}

function notYours({ tokenId, roles }: store.StoredToken, { subject }: Principal): CodedError {
  const why = roles.includes('platform') ? 'it has the role platform' : 'it belongs to other tenants as well';
  return new CodedError(
    'PERMISSION_DENIED',
    `'${subject}' may not revoke token ${tokenId}, since ${why}: the platform role can`,
  );
}

/** An admin does not learn the other tenants of a token. */
function toMessage(token: store.StoredToken, caller: Principal): Token {
  const isPlatform = caller.roles.includes('platform');
  return {
    tokenId: token.tokenId,
    subject: token.subject,
    tenantIds: token.tenants.filter((tenant) => isPlatform || tenant === ALL_TENANTS || isMember(caller, tenant)),
    roles: rolesToProto(token.roles),
    createdAt: new Date(token.createdAt),
    createdBy: token.createdBy,
    expiresAt: date(token.expiresAt ?? null),
    revokedAt: date(token.revokedAt ?? null),
    lastUsedAt: date(token.lastUsedAt ?? null),
  };
}
