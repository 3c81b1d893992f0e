import type { Kysely } from 'kysely';
import { bytesOf, type Page, readPage } from '../database/page-cut.ts';
import type { AuditEventRow, Schema } from '../database/schema.ts';

/** Which events are listed. */
export interface AuditFilter {
  /** Empty: those that concern no tenant. */
  tenant: string;
  /** Milliseconds since 1970; `until` is exclusive. */
  from?: number;
  until?: number;
  /** Empty: all. */
  subject: string;
  resource: string;
}

export type StoredAuditEvent = Omit<AuditEventRow, 'audit_num'> & { audit_num: number };

/** Lists a page of at most `size` events, newest first. @param before the number of the last event of the page before */
export async function listAuditEvents(
  db: Kysely<Schema>,
  { tenant, from, until, subject, resource }: AuditFilter,
  size: number,
  before?: number,
): Promise<Page<StoredAuditEvent>> {
  let query = db.selectFrom('audit_events').selectAll().where('tenant_id', '=', tenant);
  if (from !== undefined) query = query.where('at', '>=', from);
  if (until !== undefined) query = query.where('at', '<', until);
  if (subject !== '') query = query.where('subject', '=', subject);
  if (resource !== '') query = query.where('resource', '=', resource);
  if (before !== undefined) query = query.where('audit_num', '<', before);
  return readPage(query.orderBy('audit_num', 'desc'), bytesOf('subject', 'issuer', 'resource', 'fields', 'peer'), size);
}
