import { AsyncLocalStorage } from 'node:async_hooks';
import type { ProgressReports } from './progress-reports.ts';

/** What the activities of a worker share, for code that has no dependencies passed to it. */
export interface WorkerContext {
  /** Tells workflows what long steps have counted. Absent where nobody listens, as in tests of activities. */
  reports?: ProgressReports;
  /** Whether a person has paused an activity in Temporal. Absent outside of a worker. */
  isActivityPaused?(activity: { workflowId: string; activityId: string }): Promise<boolean>;
  /** The time between heartbeats. Each is billed, and a cancellation comes with the next one. */
  heartbeatMs: number;
}

/** The default of RECONCILER_HEARTBEAT_SECONDS. */
export const HEARTBEAT_MS = 10_000;

const contexts = new AsyncLocalStorage<WorkerContext>();

export const workerContext = (): WorkerContext => contexts.getStore() ?? { heartbeatMs: HEARTBEAT_MS };

/** Runs an activity of the worker. */
export function inWorker<T>(context: WorkerContext, work: () => T): T {
  return contexts.run(context, work);
}
