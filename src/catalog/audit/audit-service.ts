import { z } from 'zod';
import { CodedError } from '../../errors.ts';
import type { AuditEvent, AuditServiceImplementation } from '../../generated/reconciler/v1/audit.ts';
import { isAllowed } from '../auth/permissions.ts';
import { rolesToProto } from '../auth/roles.ts';
import type { CatalogDeps } from '../core/ports.ts';
import { currentCall } from '../identity/current-call.ts';
import type { Role } from '../identity/principal.ts';
import { PageTokens, pageSize } from '../rpc/page-token.ts';
import { Checks } from '../rpc/violations.ts';
import { listAuditEvents, type StoredAuditEvent } from '../store/audit/audit-events.ts';

const tokens = new PageTokens('ListAuditEvents', z.object({ num: z.number() }));

/** The service Audit. */
export function createAuditService({ db }: Pick<CatalogDeps, 'db'>): AuditServiceImplementation {
  return {
    async listAuditEvents({ pageSize: size, pageToken, from, until, subject, resource, platform }) {
      const checks = new Checks();
      checks.timestamp(from, 'from');
      checks.timestamp(until, 'until');
      checks.text(subject, 'subject');
      checks.text(resource, 'resource');
      checks.done();
      const tenant = listedTenant(platform);
      const filter = { tenant, from: from?.getTime(), until: until?.getTime(), subject, resource };
      const after = tokens.decode(pageToken, filter);
      const { items, last } = await listAuditEvents(db, filter, pageSize(size), after?.num);
      return {
        events: items.map(eventMessage),
        nextPageToken: last ? tokens.encode({ num: last.audit_num }, filter) : '',
      };
    },
  };
}

/** The tenant whose events are listed; empty for those that concern none. */
function listedTenant(platform: boolean): string {
  const { principal, tenant } = currentCall() ?? {};
  const needed = platform ? 'platform' : 'admin';
  if (principal !== undefined && isAllowed(principal.roles, [platform ? 'platform' : 'administer'])) {
    return platform ? '' : (tenant ?? '');
  }
  throw new CodedError(
    'PERMISSION_DENIED',
    `ListAuditEvents ${platform ? 'with platform' : 'of a tenant'} needs the role ${needed}: '${principal?.subject}' does not have it`,
  );
}

function eventMessage(row: StoredAuditEvent): AuditEvent {
  return {
    auditId: String(row.audit_num),
    at: new Date(row.at),
    tenantId: row.tenant_id,
    subject: row.subject,
    issuer: row.issuer,
    roles: rolesToProto(JSON.parse(row.roles) as Role[]),
    method: row.method,
    resource: row.resource,
    allowed: row.allowed === 1,
    code: row.code,
    fields: JSON.parse(row.fields) as string[],
    peer: row.peer,
    traceId: row.trace_id,
  };
}
