/** What is removed when it is old: see retention.ts. */
export type RemovedKind = 'jobs' | 'failures' | 'changes' | 'outcomes' | 'idempotency_keys' | 'stages';

/** How much a step has removed. */
export type Removed = Partial<Record<RemovedKind, number>>;
