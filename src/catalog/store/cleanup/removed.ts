/** What is removed when it is old: see retention.ts. */
export const REMOVED_KINDS = [
  'jobs',
  'failures',
  'changes',
  'outcomes',
  'idempotency_keys',
  'stages',
  'audit_events',
  'drafts',
] as const;
export type RemovedKind = (typeof REMOVED_KINDS)[number];

/** How much a step has removed. */
export type Removed = Partial<Record<RemovedKind, number>>;
