import { createHash } from 'node:crypto';
import { CodedError } from '../../../errors.ts';
import type { Scoped } from './scoped.ts';
import { write } from './transaction.ts';

/** SHA-256 of a request's message, in hex. It shows whether a key is reused for another request. */
export function requestHash(bytes: Uint8Array): string {
  return createHash('sha256').update(bytes).digest('hex');
}

/**
 * The id of the resource that an earlier request with this key created; undefined if there was none.
 *
 * @throws CodedError INVALID_ARGUMENT if the key was used for another request
 */
export async function findCreatedResource(
  db: Scoped,
  scope: string,
  key: string,
  hash: string,
): Promise<string | undefined> {
  if (key === '') return undefined;
  const row = await db
    .selectFrom('idempotency_keys')
    .select(['request_hash', 'resource_id'])
    .where('tenant_id', '=', db.tenant)
    .where('scope', '=', scope)
    .where('idempotency_key', '=', key)
    .executeTakeFirst();
  if (row !== undefined && row.request_hash !== hash) {
    throw new CodedError(
      'INVALID_ARGUMENT',
      `idempotency_key: '${key.slice(0, 100)}' was used for another ${scope} request; use a new key`,
    );
  }
  return row?.resource_id;
}

/** Stores which resource a key created. Call it in the transaction that creates the resource. */
export async function recordCreatedResource(db: Scoped, scope: string, key: string, hash: string, id: string) {
  if (key === '') return;
  await db
    .insertInto('idempotency_keys')
    .values({
      tenant_id: db.tenant,
      scope,
      idempotency_key: key,
      request_hash: hash,
      resource_id: id,
      created_at: Date.now(),
    })
    .onConflict((conflict) =>
      conflict
        .columns(['tenant_id', 'scope', 'idempotency_key'])
        .doUpdateSet({ request_hash: hash, resource_id: id, created_at: Date.now() }),
    )
    .execute();
}

/** A request that creates a resource once, however often it is sent. */
export interface CreateOnce {
  /** The method. */
  scope: string;
  /** Empty: each request creates a resource. */
  key: string;
  /** The encoded request. */
  request: Uint8Array;
}

/**
 * Creates a resource in a transaction, or returns the one that an earlier request with this key created.
 *
 * @throws CodedError INVALID_ARGUMENT if the key was used for another request
 */
export async function createOnce<Resource>(
  db: Scoped,
  { scope, key, request }: CreateOnce,
  resource: {
    create(trx: Scoped): Promise<Resource>;
    get(trx: Scoped, id: string): Promise<Resource>;
    idOf(created: Resource): string;
  },
): Promise<Resource> {
  const hash = requestHash(request);
  return write(db, async (trx) => {
    const first = await findCreatedResource(trx, scope, key, hash);
    if (first !== undefined) return resource.get(trx, first);
    const created = await resource.create(trx);
    await recordCreatedResource(trx, scope, key, hash, resource.idOf(created));
    return created;
  });
}

/** Deletes the keys that created a deleted resource, so that the same key can create it again. */
export async function deleteIdempotencyKeys(db: Scoped, resourceId: string): Promise<void> {
  await db
    .deleteFrom('idempotency_keys')
    .where('tenant_id', '=', db.tenant)
    .where('resource_id', '=', resourceId)
    .execute();
}
