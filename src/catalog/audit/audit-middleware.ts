import { type CallContext, ServerError, type ServerMiddlewareCall, Status } from 'nice-grpc';
import { CLAIM_METADATA } from '../../contract/claim.ts';
import { CodedError } from '../../errors.ts';
import type { Refused } from '../auth/authorize-middleware.ts';
import { permissionsFor } from '../auth/permissions.ts';
import type { AuditEvent } from '../identity/audit-event.ts';
import { type Call, currentCall } from '../identity/current-call.ts';
import type { AuditLog } from './audit-log.ts';
import { fieldsOf, resourceOf } from './resource-of.ts';

/** Which calls are recorded: changes, or all. Refusals always are. */
export type AuditScope = 'writes' | 'all';

/**
 * Records calls. The event of a change is stored in the first transaction that the call writes, or after the call if it writes none here: it then
 * has changed something in Temporal. A worker's calls are one event for each job: its end.
 */
export function auditCalls(log: AuditLog, scope: AuditScope) {
  return async function* audited<Request, Response>(
    call: ServerMiddlewareCall<Request, Response>,
    context: CallContext,
    // biome-ignore lint/suspicious/noConfusingVoidType: the type of nice-grpc's middlewares.
  ): AsyncGenerator<Response, Response | void, undefined> {
    const served = currentCall();
    if (served === undefined) return yield* call.next(call.request, context);
    const changes = isChange(call.method.path) && !isOfJob(served, context);
    const event = eventOf(served, call.request, context);
    const isRecorded = changes || scope === 'all';
    if (changes) served.record = { event, isStored: false };
    try {
      const response = yield* call.next(call.request, context);
      if (served.record?.isStored) log.print(event);
      else if (changes) log.addChange(event);
      else if (isRecorded) log.add(event);
      return response;
    } catch (error) {
      const code = codeOf(error, context.signal);
      const allowed = code !== 'PERMISSION_DENIED';
      if (isRecorded || !allowed) log.add({ ...event, allowed, code });
      throw error;
    }
  };
}

/** Records a call that was refused. */
export function auditRefusal(log: AuditLog): (refused: Refused) => void {
  return ({ principal, tenant, request, context, method, code }) => {
    const { subject = '', issuer = '', roles = [] } = principal ?? {};
    const call = { principal: { subject, issuer, roles, tenants: [] }, tenant, method, peer: context.peer };
    log.add({ ...eventOf(call, request, context), allowed: false, code });
  };
}

const END_OF_JOB = '/reconciler.internal.v1.Reconciliation/EndJob';

/** Whether a method changes something, other than what workers change on behalf of a job. */
function isChange(method: string): boolean {
  if (method === END_OF_JOB) return true;
  const permissions = permissionsFor(method) ?? [];
  const isWrite = !/\/(Get|List)[A-Z]\w*$/.test(method);
  return isWrite && permissions.some((each) => each === 'operate' || each === 'administer' || each === 'platform');
}

/** Whether a worker makes the call for the job whose claim it carries. What jobs change is in their reports. */
function isOfJob({ method, principal }: Call, { metadata }: CallContext): boolean {
  if (method === END_OF_JOB || !principal.roles.includes('worker')) return false;
  return metadata.has(CLAIM_METADATA) && (permissionsFor(method) ?? []).includes('work');
}

function eventOf({ principal, tenant, method, peer }: Call, request: unknown, context: CallContext): AuditEvent {
  const { subject, issuer, roles } = principal;
  return {
    at: Date.now(),
    tenant: tenant ?? '',
    subject,
    issuer,
    roles,
    method: method.slice(1),
    resource: resourceOf(request),
    allowed: true,
    code: 'OK',
    fields: fieldsOf(request),
    peer,
    traceId: /^[0-9a-f]{2}-([0-9a-f]{32})-/.exec(context.metadata.get('traceparent') ?? '')?.[1] ?? '',
  };
}

function codeOf(error: unknown, signal: AbortSignal): string {
  if (error instanceof CodedError) return error.code;
  if (error instanceof ServerError) return Status[error.code] ?? 'UNKNOWN';
  return signal.aborted ? 'CANCELLED' : 'INTERNAL';
}
