import type { CallContext, ServerMiddlewareCall } from 'nice-grpc';
import { TENANT_ID, TENANT_METADATA } from '../../contract/tenant.ts';
import { CodedError, type CodeName } from '../../errors.ts';
import { eachStep } from '../../telemetry/tracing/each-step.ts';
import { inCall } from '../identity/current-call.ts';
import { ANYONE, isMember, type Principal, tenantByDefault } from '../identity/principal.ts';
import { isAllowed, type Permission, permissionsFor } from './permissions.ts';

/** Determines who is calling. @throws CodedError UNAUTHENTICATED */
export type Authenticate = (context: CallContext) => Promise<Principal>;

/** Lets everybody call a catalog service that does not authenticate. */
export const anyone: Authenticate = async () => ANYONE;

/** A call that was refused since its caller is not known, or may not make it. */
export interface Refused {
  /** Undefined if it is not known who called. */
  principal?: Principal;
  /** Undefined if the call concerns no tenant, or it is not known which. */
  tenant: string | undefined;
  request: unknown;
  context: CallContext;
  method: string;
  code: CodeName;
}

const HEALTH = '/grpc.health.v1.Health/';

/**
 * Serves each call as its caller, in its tenant. A call without the permission that its method needs is refused before anything is read.
 * Health checks are open to all; reflection needs an identity.
 */
export function authorizeCalls(authenticate: Authenticate, onRefused: (refused: Refused) => void) {
  return async function* authorized<Request, Response>(
    call: ServerMiddlewareCall<Request, Response>,
    context: CallContext,
    // biome-ignore lint/suspicious/noConfusingVoidType: the type of nice-grpc's middlewares.
  ): AsyncGenerator<Response, Response | void, undefined> {
    const { path: method } = call.method;
    if (method.startsWith(HEALTH)) return yield* call.next(call.request, context);
    let principal: Principal | undefined;
    let tenant: string | undefined;
    try {
      principal = await authenticate(context);
      const permissions = permissionsFor(method) ?? ['identify'];
      if (!isAllowed(principal.roles, permissions)) throw refused(principal, method, permissions);
      tenant = tenantOf(context, principal, permissions);
    } catch (error) {
      if (error instanceof CodedError) {
        const of = principal && tenantByDefault(principal);
        onRefused({ principal, tenant: of, request: call.request, context, method, code: error.code });
      }
      throw error;
    }
    // biome-ignore lint/suspicious/noConfusingVoidType: the type of nice-grpc's middlewares.
    const steps: AsyncGenerator<Response, Response | void, undefined> = call.next(call.request, context);
    const served = { principal, tenant, method, peer: context.peer };
    return yield* eachStep(steps, (step) => inCall(served, step));
  };
}

/** @throws CodedError if the call must name a tenant and does not, or names one that is not the principal's */
function tenantOf(context: CallContext, principal: Principal, permissions: readonly Permission[]): string | undefined {
  // What only the platform role does concerns tenants, but none of them does it.
  if (permissions.every((each) => each === 'platform')) return undefined;
  const named = context.metadata.get(TENANT_METADATA);
  const needsNone = permissions.includes('platform') || permissions.includes('identify');
  if (named === undefined) {
    const tenant = tenantByDefault(principal);
    if (tenant !== undefined || needsNone) return tenant;
    throw new CodedError(
      'INVALID_ARGUMENT',
      `your token has several tenants: name one with --tenant, RECONCILER_TENANT or the metadata ${TENANT_METADATA}`,
    );
  }
  if (TENANT_ID.test(named) && isMember(principal, named)) return named;
  throw new CodedError(
    'PERMISSION_DENIED',
    `tenant '${named.slice(0, 63)}' is not one of those of '${principal.subject}'`,
  );
}

function refused({ subject, roles }: Principal, method: string, permissions: readonly Permission[]): CodedError {
  const name = method.split('/').at(-1);
  const has = roles.length === 0 ? 'has no role' : `has the role ${roles.join(', ')}`;
  return new CodedError(
    'PERMISSION_DENIED',
    `${name} needs the permission ${permissions.join(' or ')}: '${subject}' ${has}`,
  );
}
