import type { TenantLimits } from '../../generated/reconciler/v1/tenants.ts';
import { count } from '../io/format.ts';

type Field = keyof TenantLimits;

/** The limits of a tenant: their option, what it means, and the default that 0 stands for; see tenants.proto. */
export const LIMITS: { field: Field; flag: string; meaning: string; byDefault: number }[] = [
  { field: 'requestsPerSecond', flag: 'max-requests', meaning: 'calls per second', byDefault: 200 },
  { field: 'openStreams', flag: 'max-streams', meaning: 'open streams', byDefault: 64 },
  { field: 'connectors', flag: 'max-connectors', meaning: 'connectors', byDefault: 1_000 },
  { field: 'tables', flag: 'max-tables', meaning: 'tables', byDefault: 200_000 },
  { field: 'files', flag: 'max-files', meaning: 'data and delete files', byDefault: 50_000_000 },
  { field: 'runningJobs', flag: 'max-jobs', meaning: 'jobs that run or wait', byDefault: 50 },
];

/** `200 (default)`, `500`. */
export function limitText(limits: TenantLimits | undefined, { field, byDefault }: (typeof LIMITS)[number]): string {
  const value = Number(limits?.[field] ?? 0);
  return value === 0 ? `${count(byDefault)} (default)` : count(value);
}
