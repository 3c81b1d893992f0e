import { DEFAULT_TENANT } from '../contract/tenant.ts';
import { localPolicy, type WorkerPolicy } from './worker-policy.ts';

interface InForce {
  policy: WorkerPolicy;
  /** Of the work in progress. */
  tenant: () => string;
}

/** A process that is no worker reads no secrets of connectors; tests do, on this machine. */
let inForce: InForce = { policy: localPolicy('.reconciler'), tenant: () => DEFAULT_TENANT };

/** Puts the policy of this process in force. */
export function usePolicy(policy: WorkerPolicy, tenant: () => string): void {
  inForce = { policy, tenant };
}

/** The policy of this process. */
export function currentPolicy(): WorkerPolicy {
  return inForce.policy;
}

/** The tenant for which this process is working. */
export function policyTenant(): string {
  return inForce.tenant();
}
