import type { Kysely } from 'kysely';
import type { Role } from '../../identity/principal.ts';
import { compiledQuery } from '../database/compiled-query.ts';
import { bytesOf, mapPage, type Page, readPage } from '../database/page-cut.ts';
import type { Schema, TokenRow } from '../database/schema.ts';

type Db = Kysely<Schema>;

/** An API token without its secret. Times are milliseconds since 1970. */
export interface StoredToken {
  tokenId: string;
  /** SHA-256 of the whole secret. */
  hash: Uint8Array;
  subject: string;
  /** Ids, or `*` alone. */
  tenants: string[];
  roles: Role[];
  createdAt: number;
  createdBy: string;
  /** Undefined: never. */
  expiresAt?: number;
  revokedAt?: number;
  /** To the hour. */
  lastUsedAt?: number;
}

/** Call it in a transaction. */
export async function insertToken(db: Db, token: StoredToken): Promise<void> {
  const row: TokenRow = {
    token_id: token.tokenId,
    secret_hash: token.hash,
    subject: token.subject,
    tenants: JSON.stringify(token.tenants),
    roles: JSON.stringify(token.roles),
    created_at: token.createdAt,
    created_by: token.createdBy,
    expires_at: token.expiresAt ?? null,
    revoked_at: token.revokedAt ?? null,
    last_used_at: token.lastUsedAt ?? null,
  };
  await db.insertInto('tokens').values(row).execute();
  const memberships = token.tenants.map((tenant) => ({ tenant_id: tenant, token_id: token.tokenId }));
  await db.insertInto('token_tenants').values(memberships).execute();
}

const byId = compiledQuery((db, tokenId: string) =>
  db.selectFrom('tokens').selectAll().where('token_id', '=', tokenId),
);

export async function findToken(db: Db, tokenId: string): Promise<StoredToken | undefined> {
  const [row] = await byId(db, tokenId);
  return row && fromRow(row);
}

/**
 * Lists a page of at most `size` tokens after `after`, ordered by id.
 *
 * @param tenant absent: those of all tenants
 */
export async function listTokens(db: Db, size: number, after = '', tenant?: string): Promise<Page<StoredToken>> {
  let query = db.selectFrom('tokens').selectAll().where('tokens.token_id', '>', after);
  if (tenant !== undefined) {
    query = query.where(({ exists, selectFrom }) =>
      exists(
        selectFrom('token_tenants')
          .select('tenant_id')
          .whereRef('token_tenants.token_id', '=', 'tokens.token_id')
          .where('tenant_id', '=', tenant),
      ),
    );
  }
  const page = await readPage(query.orderBy('tokens.token_id'), bytesOf('subject', 'tenants', 'roles'), size);
  return mapPage(page, fromRow);
}

/** Does nothing if the token was revoked before. */
export async function revokeToken(db: Db, tokenId: string, now: number): Promise<void> {
  await db
    .updateTable('tokens')
    .set({ revoked_at: now })
    .where('token_id', '=', tokenId)
    .where('revoked_at', 'is', null)
    .execute();
}

export async function recordUse(db: Db, tokenId: string, hour: number): Promise<void> {
  await db.updateTable('tokens').set({ last_used_at: hour }).where('token_id', '=', tokenId).execute();
}

/** Whether a token with the platform role is valid. */
export async function hasPlatformToken(db: Db, now: number): Promise<boolean> {
  const rows = await db
    .selectFrom('tokens')
    .select('roles')
    .where('revoked_at', 'is', null)
    .where(({ eb, or }) => or([eb('expires_at', 'is', null), eb('expires_at', '>', now)]))
    .where('roles', 'like', '%"platform"%')
    .limit(1)
    .execute();
  return rows.length > 0;
}

/** Those of the ids that are no tenants. */
export async function unknownTenants(db: Db, ids: readonly string[]): Promise<string[]> {
  if (ids.length === 0) return [];
  const rows = await db
    .selectFrom('tenants')
    .select('tenant_id')
    .where('tenant_id', 'in', [...ids])
    .execute();
  const known = new Set(rows.map((row) => row.tenant_id));
  return ids.filter((id) => !known.has(id));
}

function fromRow(row: TokenRow): StoredToken {
  return {
    tokenId: row.token_id,
    hash: row.secret_hash,
    subject: row.subject,
    tenants: JSON.parse(row.tenants) as string[],
    roles: JSON.parse(row.roles) as Role[],
    createdAt: row.created_at,
    createdBy: row.created_by,
    expiresAt: row.expires_at ?? undefined,
    revokedAt: row.revoked_at ?? undefined,
    lastUsedAt: row.last_used_at ?? undefined,
  };
}
