import { setMaxListeners } from 'node:events';
import { setTimeout as setTimeoutPromise } from 'node:timers/promises';
import { activityInfo, cancellationSignal, heartbeat } from '@temporalio/activity';
import type { HeartbeatDetails } from '../../contract/activities.ts';
import { CodedError } from '../../errors.ts';
import { currentScope, runInScope } from '../../storage/activity-scope.ts';
import { throwIfPaused } from './paused-activity.ts';
import { workerContext } from './worker-context.ts';

/** Below the heartbeat timeout of 60 s, so that a stall ends with a message that names what stalled. */
const STALL_MS = 50_000;
/** Most activities end before their first heartbeat, which saves its cost. */
const FIRST_MS = 5_000;
/** Interval in which it is looked whether a heartbeat is due: without progress the last one is repeated, since it may bring a cancellation. */
const CHECK_MS = 500;
/** What begins at the end of a slice goes on for this time: it is often done by then, and the next slice would have to begin it again. */
const MIN_PART_MS = 5_000;
/** How long an activity that was cancelled or stalled waits for its work to stop. */
const STOPPING_MS = 5_000;

/** Reports progress to Temporal, or to nobody if the work runs outside an activity. */
export interface Heartbeat {
  /** Reports progress. `details` reach the next attempt, and their counts the workflow. */
  beat<Details extends HeartbeatDetails>(details?: Details): void;
  /** Aborts when the work is cancelled or has stalled. */
  readonly signal: AbortSignal;
  /**
   * The work has lasted as long as it may: it should return as soon as it can be continued. Absent if it may take any time.
   *
   * @param since when a part began that should not be left as soon as it has begun
   */
  isOver?(since?: number): boolean;
}

interface Options<T> {
  /** How long the work may take before it should return what it has done. */
  sliceSeconds?: number;
  /** The name under which the work's counts are reported to the workflow. */
  step?: string;
  /** Whether the work's result leaves something to another activity. */
  continues?(result: T): boolean;
}

/** The activity whose work calls this; undefined outside an activity. */
export const currentActivity = currentScope;

/**
 * Runs an activity's work with heartbeats on progress. A watchdog ends it after 50 s without progress.
 *
 * @throws CodedError DEADLINE_EXCEEDED if it stalled; CancelledFailure if it was cancelled; as `throwIfPaused` does
 */
export async function withHeartbeat<T>(
  what: string,
  { sliceSeconds, step, continues }: Options<T>,
  work: (heartbeat: Heartbeat) => Promise<T>,
): Promise<T> {
  const stopping = new AbortController();
  const cancelled = cancellationSignal();
  const began = Date.now();
  let over = false;
  let working: Promise<T> | undefined;
  let last: { details: unknown; sent: boolean } | undefined;
  const { heartbeatMs, reports } = workerContext();
  let sentAt = began - heartbeatMs + Math.min(FIRST_MS, heartbeatMs);
  const stall = () =>
    stopping.abort(new CodedError('DEADLINE_EXCEEDED', `${what}: nothing progressed for ${STALL_MS / 1000} s.`));
  // Not `AbortSignal.any`: Node keeps such a signal in memory for as long as anything listens to it.
  const { signal } = stopping;
  if (cancelled.aborted) stopping.abort(cancelled.reason);
  else cancelled.addEventListener('abort', () => stopping.abort(cancelled.reason), { once: true });
  // Every waiting request listens.
  setMaxListeners(0, signal);
  const ended = new Promise<never>((_, reject) => {
    signal.addEventListener('abort', () => reject(signal.reason), { once: true });
  });
  const watchdog = setTimeout(stall, STALL_MS);
  const send = () => {
    sentAt = Date.now();
    if (last) last.sent = true;
    heartbeat(last ? last.details : activityInfo().heartbeatDetails);
  };
  const sendIfDue = () => {
    if (Date.now() - sentAt >= heartbeatMs) send();
  };
  const repeating = setInterval(sendIfDue, CHECK_MS);
  const { workflowExecution } = activityInfo();
  const report = step && workflowExecution ? reports?.track(workflowExecution, step) : undefined;
  try {
    const beat = (details?: HeartbeatDetails) => {
      // An abandoned stream may still be read for a moment.
      if (over) return;
      last = { details, sent: false };
      if (details) report?.update(details.counts);
      watchdog.refresh();
      sendIfDue();
    };
    const end = sliceSeconds === undefined ? undefined : began + sliceSeconds * 1000;
    const minPartMs = Math.min(MIN_PART_MS, (sliceSeconds ?? 0) * 1000);
    const isOver = end === undefined ? undefined : (since = began) => Date.now() >= Math.max(end, since + minPartMs);
    // Work that ignores the signal (a read that hangs) must not block the activity.
    const keepAlive = () => {
      if (over) return;
      watchdog.refresh();
      sendIfDue();
    };
    working = runInScope({ keepAlive, signal }, () => work({ beat, signal, isOver }));
    const result = await Promise.race([working, ended]);
    if (continues?.(result)) await throwIfPaused();
    return result;
  } catch (error) {
    // The next attempt continues from here.
    if (last && !last.sent) send();
    // Writes in progress must have stopped before the next attempt begins; a read that hangs is not waited for.
    if (signal.aborted)
      await Promise.race([working?.catch(() => {}), setTimeoutPromise(STOPPING_MS, undefined, { ref: false })]);
    // An abort surfaces as whatever the interrupted call throws; the signal's reason states what happened.
    throw signal.aborted ? signal.reason : error;
  } finally {
    over = true;
    report?.end();
    clearTimeout(watchdog);
    clearInterval(repeating);
    ended.catch(() => {});
  }
}
