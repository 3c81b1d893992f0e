import type { Progress } from '../../src/contract/job.ts';

/** The progress of a job that has not begun. */
export function newProgress(): Progress {
  return { state: 'JS_QUEUED', phase: 'resolving the connector', counters: {}, inFlight: [] };
}
