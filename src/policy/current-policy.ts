import { usePolicyTenant } from './policy-tenant.ts';
import { localPolicy, type WorkerPolicy } from './worker-policy.ts';

/** A process that is no worker reads no secrets of connectors; tests do, on this machine. */
let inForce: WorkerPolicy = localPolicy('.reconciler');

/**
 * Puts the policy of this process in force.
 *
 * @param tenant the tenant of the work in progress
 */
export function usePolicy(policy: WorkerPolicy, tenant: () => string): void {
  inForce = policy;
  usePolicyTenant(tenant);
}

/** The policy of this process. */
export function currentPolicy(): WorkerPolicy {
  return inForce;
}
