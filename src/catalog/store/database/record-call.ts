import type { Insertable, Kysely } from 'kysely';
import type { AuditEvent } from '../../identity/audit-event.ts';
import { currentCall } from '../../identity/current-call.ts';
import type { AuditEventRow, Schema } from './schema.ts';

type Db = Kysely<Schema>;

/**
 * Does work that writes, and stores the event of the call that is being served in the same transaction: nothing changes without a record, and
 * nothing is recorded as changed that was rolled back.
 */
export async function recorded<T>(begin: (last: (trx: Db) => Promise<void>) => Promise<T>): Promise<T> {
  const record = currentCall()?.record;
  if (record === undefined || record.isStored) return begin(async () => {});
  // Set before the first await: what the call does at the same time in another transaction must not store it again.
  record.isStored = true;
  try {
    return await begin((trx) => insertAuditEvents(trx, [record.event]));
  } catch (error) {
    record.isStored = false;
    throw error;
  }
}

/** Stores events, oldest first. */
export async function insertAuditEvents(db: Db, events: readonly AuditEvent[]): Promise<void> {
  await db.insertInto('audit_events').values(events.map(rowOf)).execute();
}

function rowOf({ tenant, traceId, roles, fields, allowed, ...event }: AuditEvent): Insertable<AuditEventRow> {
  return {
    ...event,
    tenant_id: tenant,
    trace_id: traceId,
    roles: JSON.stringify(roles),
    fields: JSON.stringify(fields),
    allowed: allowed ? 1 : 0,
  };
}
