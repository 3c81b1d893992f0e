import { ALL_TENANTS } from '../../contract/tenant.ts';
import type { Token } from '../../generated/reconciler/v1/tokens.ts';
import type { Tone } from '../io/colour.ts';
import { NONE, time } from '../io/format.ts';

/** Whether a token can be used: `active`, `expired` or `revoked`. */
export function stateWord({ revokedAt, expiresAt }: Token): string {
  if (revokedAt) return 'revoked';
  return expiresAt && expiresAt.getTime() <= Date.now() ? 'expired' : 'active';
}

export const stateTone = (token: Token): Tone | undefined => (stateWord(token) === 'active' ? 'good' : 'dim');

export const expiryText = ({ expiresAt }: Pick<Token, 'expiresAt'>) => (expiresAt ? time(expiresAt) : 'never');

const NEAR_MS = 48 * 3_600_000;

/** `2026-12-30`; a time that is less than two days away, `2026-12-01T08:15Z`. */
export function dayText(at: Date): string {
  const text = at.toISOString();
  return Math.abs(at.getTime() - Date.now()) < NEAR_MS ? `${text.slice(0, 16)}Z` : text.slice(0, 10);
}

/** `all` for a token of every tenant. */
export function tenantsText(tenantIds: readonly string[]): string {
  if (tenantIds.includes(ALL_TENANTS)) return 'all';
  return tenantIds.join(', ') || NONE;
}
